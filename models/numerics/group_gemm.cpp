#include "models/numerics/group_gemm.h"

namespace narrowmac {

void group_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  if (problem.order.dot) return dot_gemm(problem, plan, out);
  exact_gemm(problem, plan, out);
}

std::optional<GemmStatistics> group_statistics(const GemmProblem& problem, const GemmPlan& plan,
                                               const std::vector<std::int64_t>& row_numbers) {
  if (problem.order.dot) return dot_statistics(problem, plan, row_numbers);
  return exact_statistics(problem, plan, row_numbers);
}

}  // namespace narrowmac
