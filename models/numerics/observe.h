#pragma once

#include <cstdint>
#include <optional>
#include <vector>

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

/// Statistics of all outputs, a product at a time through the kernel of a Directed level, which
/// cannot count itself: its sums are looked at before and after. `row_numbers` says which row of
/// the whole GEMM each row of A is, for the random function. Empty if a sum became infinite.
template <typename T>
std::optional<GemmStatistics> stepwise_statistics(const GemmProblem& problem, const GemmPlan& plan,
                                                  const std::vector<std::int64_t>& row_numbers);

}  // namespace narrowmac
