#pragma once

#include <cstdint>
#include <optional>

#include "models/theory/vrr.h"

namespace narrowmac {

/// v(n) below this is what the theory calls sufficient.
inline constexpr double kLogVThreshold = 3.912023005428146;  // ln 50

/// True if a mantissa suffices: not below the products' (the theorem's assumption), and v(n) < 50
/// at every level of accumulation, with that level's length and product width.
bool is_sufficient(int accumulator_mantissa, const Accumulation& sum);

/// The smallest mantissa that suffices.
int minimum_mantissa(const Accumulation& sum);

/// The longest sum, up to 2^40 products, that a mantissa suffices for; `sum.length` is not read.
/// Absent if it does not suffice for two products.
std::optional<std::int64_t> longest_length(int accumulator_mantissa, Accumulation sum);

/// A chunk length and the mantissa that suffices with it.
struct ChunkChoice {
  std::int64_t chunk = 0;  ///< a power of two, which a counter's carry marks; 0 = sequential
  int minimum_mantissa = 0;
};
/// The power of two below `sum.length` that needs the smallest mantissa, and of several the one
/// with the least loss at that mantissa; sequential if no chunk needs less. `sum.chunk` is not
/// read.
ChunkChoice best_chunk(Accumulation sum);
/// The power of two below `sum.length` with the least loss at a mantissa, 0 if a sequential sum
/// loses less still. `sum.chunk` is not read.
std::int64_t least_loss_chunk(int accumulator_mantissa, Accumulation sum);

}  // namespace narrowmac
