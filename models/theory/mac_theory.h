#pragma once

#include <cstdint>
#include <optional>

#include "models/design/array_design.h"
#include "models/theory/vrr.h"

namespace narrowmac {

/// Fraction bits of a product: those of the exact product of two significands, p_a + p_b - 1, or
/// of the format it is rounded to if that has fewer; at most kMaxTheoryMantissa. Two e5m2
/// operands: 5.
int product_mantissa(const NumberFormat& a, const NumberFormat& b);
int product_mantissa(const MacDesign& mac);

/// The sum of `length` products of a MAC in an order, as the theory sees it. Absent where the
/// theory has nothing to say: with a fixed-point accumulator, which has no mantissa, in a dot unit,
/// whose products do not meet the accumulator one by one, and in an exact sum.
std::optional<Accumulation> theory_of(const MacDesign& mac, const AccumulationOrder& order,
                                      std::int64_t length, double nonzero_ratio);

/// 1 - VRR that the theory predicts for this MAC, each accumulator with its own mantissa.
std::optional<double> predicted_loss(const MacDesign& mac, const AccumulationOrder& order,
                                     std::int64_t length, double nonzero_ratio);
/// The mantissa, of all accumulators together, that the theory asks for.
std::optional<int> predicted_mantissa(const MacDesign& mac, const AccumulationOrder& order,
                                      std::int64_t length, double nonzero_ratio);

}  // namespace narrowmac
