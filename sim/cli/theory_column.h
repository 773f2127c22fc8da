#pragma once

#include <cstdint>
#include <optional>

#include "sim/experiment/measure.h"

namespace narrowmac {

/// VRR of models/theory for a measured design: sums of `length` products, of which `nonzero_ratio`
/// are not zero. Below the product's mantissa its expression is extrapolated, as everywhere. Absent
/// where it says nothing: fixed point, dot units and exact sums, lengths below 2.
std::optional<double> theory_vrr(const MeasuredDesign& design, std::int64_t length,
                                 double nonzero_ratio);

/// The accumulators have the product's mantissa at least, as the theorem assumes.
bool theory_applies(const MeasuredDesign& design);

}  // namespace narrowmac
