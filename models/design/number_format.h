#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace narrowmac {

/// A number format: a float `eXmY`, its finite-only variant `e4m3fn`, or fixed point `fxW.F`,
/// `ufxW.F`. A plain value; two formats are equal when they hold the same values in the same codes.
struct NumberFormat {
  enum class Family : std::uint8_t { Float, FiniteFloat, Signed, Unsigned };

  Family family = Family::Float;
  int exponent_bits = 8;   ///< floats: X, 2..8; fixed point: 0
  int fraction_bits = 23;  ///< floats: Y, 1..23; fixed point: F, -256..256 (value = code * 2^-F)
  int width = 32;          ///< all bits of a code: floats 1 + X + Y, fixed point 1 or 2..53

  /// Parses `eXmY`, `e4m3fn`, `fxW.F`, `ufxW.F`, `intW`, `uintW` and the aliases fp32, fp16, bf16.
  /// Throws Error naming the text found and what is accepted.
  static NumberFormat parse(std::string_view text);
  /// Canonical text, which parses back to the same value: eXmY, e4m3fn, fxW.F, ufxW.F.
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] bool is_float() const {
    return family == Family::Float || family == Family::FiniteFloat;
  }
  [[nodiscard]] bool is_fixed() const { return !is_float(); }
  [[nodiscard]] bool has_infinity() const { return family == Family::Float; }
  /// Significand bits with the hidden one (Y + 1) of a float; the magnitude's bits of fixed point
  /// (W - 1 signed, W unsigned).
  [[nodiscard]] int precision() const;
  /// Exponent bias 2^(X-1) - 1. Floats only.
  [[nodiscard]] int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  /// Exponent of the smallest normal number, 1 - bias. Floats only.
  [[nodiscard]] int min_exponent() const { return 1 - bias(); }
  /// Exponent of the largest finite number. Floats only.
  [[nodiscard]] int max_exponent() const {
    return family == Family::FiniteFloat ? bias() + 1 : bias();
  }
  /// log2 of the smallest positive value: every finite value is a multiple of
  /// 2^min_quantum_exponent.
  [[nodiscard]] int min_quantum_exponent() const {
    return is_float() ? min_exponent() - fraction_bits : -fraction_bits;
  }
  [[nodiscard]] double max_value() const;        ///< largest finite value
  [[nodiscard]] double lowest_value() const;     ///< most negative finite value; 0 if unsigned
  [[nodiscard]] double smallest_normal() const;  ///< 2^min_exponent; fixed point: one unit
  [[nodiscard]] double smallest_value() const;   ///< smallest positive value
  /// True if every finite value of this format is a float32 value.
  [[nodiscard]] bool fits_float32() const;

  friend bool operator==(const NumberFormat&, const NumberFormat&) = default;
};

}  // namespace narrowmac
