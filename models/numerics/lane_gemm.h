#pragma once

#include <cstdint>
#include <optional>

#include "models/numerics/gemm.h"
#include "models/numerics/plan.h"

namespace narrowmac {

/// Runs a planned GEMM in lanes of type T and recomputes by the reference what left the finite
/// numbers.
template <typename T>
void lane_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out);

/// Statistics of all outputs through the instrumented kernel; empty if a lane left the finite
/// numbers, in which case only the reference can count.
template <typename T>
std::optional<GemmStatistics> lane_statistics(const GemmProblem& problem, const GemmPlan& plan);

}  // namespace narrowmac
