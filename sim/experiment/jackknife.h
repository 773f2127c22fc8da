#pragma once

#include <optional>
#include <span>

#include "models/numerics/statistics.h"

namespace narrowmac {

/// A number with its 95 % confidence interval; without one where there is a single group.
struct Estimate {
  double value = 0;
  std::optional<double> low, high;
};

/// VRR and NMSE of all outputs of independent groups, with intervals from the delete-one-group
/// jackknife (Efron, "Bootstrap methods: another look at the jackknife", 1979) and Student's t with
/// one degree of freedom less than groups. Both are ratios of positive numbers, so the intervals
/// are those of their logarithms; of a ratio that may be zero they are plain, cut off at 0. Outputs
/// of one group may depend on each other; groups may not. Absent where GemmStatistics says so.
std::optional<Estimate> estimate_vrr(std::span<const GemmStatistics> groups);
std::optional<Estimate> estimate_nmse(std::span<const GemmStatistics> groups);

}  // namespace narrowmac
