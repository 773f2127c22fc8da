#pragma once

#include "models/numerics/gemm.h"
#include "models/numerics/plan.h"

namespace narrowmac {

/// True if this GEMM's operands can be packed for the plan's integer lanes.
bool integer_lanes_apply(const GemmProblem& problem, const GemmPlan& plan);
/// Runs a GEMM in the integer lanes of its plan.
void integer_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out);

}  // namespace narrowmac
