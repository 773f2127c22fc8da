#include "models/numerics/wide_gemm.h"

#include "models/numerics/lane_gemm.h"

namespace narrowmac {

void wide_gemm(const OperandView& a, const OperandView& b, const OutputView& out) {
  GemmProblem problem;
  problem.a = a;
  problem.b = b;
  GemmPlan plan;
  plan.lane = GemmPlan::Lane::Float64;
  lane_gemm<double>(problem, plan, out);
}

}  // namespace narrowmac
