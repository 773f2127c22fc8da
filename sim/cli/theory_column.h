#pragma once

#include <cstdint>
#include <optional>

#include "sim/experiment/measure.h"

namespace narrowmac {

/// VRR of models/theory for a measured design: sums of `length` products, of which `nonzero_ratio`
/// are not zero. Absent where the theorem says nothing: fixed point, dot units and exact sums,
/// mantissas below the product's, lengths below 2.
std::optional<double> theory_vrr(const MeasuredDesign& design, std::int64_t length,
                                 double nonzero_ratio);

}  // namespace narrowmac
