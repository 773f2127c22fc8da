#pragma once

#include <optional>

#include "models/numerics/gemm.h"
#include "models/numerics/plan.h"

namespace narrowmac {

/// Statistics of the observed outputs of a planned GEMM: in lanes where that is exact, else by the
/// reference.
GemmStatistics observe_gemm(const GemmProblem& problem, const GemmPlan& plan,
                            const Observation& observe);

/// Statistics of all outputs along the non-zero factors; empty if the rounding needs
/// lane_statistics(), or a lane left the finite numbers, in which case only the reference can
/// count.
template <typename T>
std::optional<GemmStatistics> sparse_statistics(const GemmProblem& problem, const GemmPlan& plan);

}  // namespace narrowmac
