#include "sim/accelerators/functional.h"

#include "models/array/timing.h"
#include "sim/accelerators/gemm_problem.h"

namespace narrowmac {

FunctionalAccelerator::FunctionalAccelerator(const ArrayDesign& array) : array_(array) {
  validate(array_);
}

GemmResult FunctionalAccelerator::execute(const GemmRequest& request) {
  if (request.mac == nullptr) return fp32_.execute(request);
  const GemmProblem problem = gemm_problem(request, array_);
  const Timing time = timing(problem.shape(), array_, element_bytes(problem.mac, problem.order));
  GemmResult result = gemm_result(time);
  result.statistics = gemm(problem, request.out, request.observe);
  return result;
}

}  // namespace narrowmac
