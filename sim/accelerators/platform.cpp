#include "sim/accelerators/platform.h"

#include "sim/accelerators/gemm_problem.h"

namespace narrowmac {

namespace {

/// Before the platform is built: a process gets only one.
const ArrayDesign& validated(const ArrayDesign& array) {
  validate(array);
  return array;
}

}  // namespace

PlatformAccelerator::PlatformAccelerator(const ArrayDesign& array)
    : array_(validated(array)), platform_(array.fidelity) {}

GemmResult PlatformAccelerator::execute(const GemmRequest& request) {
  if (request.mac == nullptr) return fp32_.execute(request);
  PlatformJob job;
  job.problem = gemm_problem(request, array_);
  job.out = request.out;
  job.observe = request.observe;
  job.array = array_;
  const PlatformResult simulated = platform_.run(job);
  GemmResult result = gemm_result(simulated.timing);
  result.statistics = simulated.statistics;
  return result;
}

}  // namespace narrowmac
