#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace narrowmac {

/// Equal as values of a format: the sign of zero counts, and there is one NaN.
inline bool same_bits(double x, double y) {
  if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y);
  return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
}

}  // namespace narrowmac
