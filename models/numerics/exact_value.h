#pragma once

#include <bit>
#include <cstdint>

#include "models/design/mac_design.h"
#include "models/numerics/reference.h"

// The arithmetic of the reference in plain integers. Internal to the room: users call convert.h and
// reference.h.

namespace narrowmac {

__extension__ using uint128 = unsigned __int128;

/// Bits needed to write `x`; 0 for 0.
inline int bit_length(std::uint64_t x) { return 64 - std::countl_zero(x); }
inline int bit_length(uint128 x) {
  const auto high = static_cast<std::uint64_t>(x >> 64);
  return high != 0 ? 64 + bit_length(high) : bit_length(static_cast<std::uint64_t>(x));
}

enum class ValueKind : std::uint8_t { Finite, Infinity, NotANumber };

/// A number without rounding: (-1)^negative * (magnitude + d) * 2^exponent with d = 0, or 0 < d < 1
/// if `sticky`. At most 126 bits; sticky only if there are at least 125, so that d lies below every
/// bit that a rounding looks at.
struct ExactValue {
  ValueKind kind = ValueKind::Finite;
  bool negative = false;
  bool sticky = false;
  int exponent = 0;
  uint128 magnitude = 0;
};

/// What a double holds, exactly; its magnitude has at most 53 bits.
ExactValue unpack(double x);
/// The exact product of two unpacked doubles. A zero product carries the product of the signs, also
/// between fixed-point values: values are values.
ExactValue multiply(const ExactValue& x, const ExactValue& y);

/// A Conversion with what its format implies, looked up once.
struct RoundingTarget {
  explicit RoundingTarget(const Conversion& to);

  Conversion conversion;
  bool is_float = false;
  bool is_finite_float = false;
  int fraction_bits = 0;
  int width = 0;
  int min_exponent = 0;  ///< floats only
  double max_value = 0;
  double lowest_value = 0;
  double smallest_normal = 0;
};

/// R(x): rounding, overflow, subnormals. Throws Error if NaN or infinity meets a fixed-point
/// format.
StepOutcome round_to(const RoundingTarget& target, const ExactValue& x, std::uint32_t random);
/// R(x) of a finite double, the same bits faster.
StepOutcome round_double(const RoundingTarget& target, double x, std::uint32_t random);
/// R(acc + addend) for `acc` a value of the target's format and any addend of at most 106 bits.
StepOutcome add_and_round(const RoundingTarget& target, const ExactValue& acc,
                          const ExactValue& addend, std::uint32_t random);

}  // namespace narrowmac
