// Until the kernels land: gemm() by the reference.
#include "models/numerics/gemm.h"
#include "models/numerics/reference.h"

namespace narrowmac {
std::optional<GemmStatistics> gemm(const GemmProblem& problem, const OutputView& out,
                                   const std::optional<Observation>& observe) {
  if (!observe) {
    reference_gemm(problem, out);
    return std::nullopt;
  }
  GemmStatistics statistics;
  reference_gemm(problem, out, &statistics, *observe);
  return statistics;
}
}  // namespace narrowmac
