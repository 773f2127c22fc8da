#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "models/numerics/exact_value.h"

namespace narrowmac {

/// A sum without rounding: a fixed-point register that is wide enough for 2^60 products and
/// accumulators of any formats (Kulisch, "Advanced Arithmetic for the Digital Computer", 2002).
/// Finite values only. Internal to the room.
class ExactSum {
 public:
  /// Adds a finite value that is not sticky.
  void add(const ExactValue& x);
  [[nodiscard]] bool is_zero() const;
  /// The sum as an ExactValue: all of it, or its first 126 bits and whether there are more. With
  /// `modulus_exponent`, its magnitude modulo 2^modulus_exponent. Zero is +0.
  [[nodiscard]] ExactValue value(std::optional<int> modulus_exponent = std::nullopt) const;

 private:
  /// The last bit of a product of two fixed-point values with 256 fraction bits.
  static constexpr int kLowestExponent = -512;
  /// Their first one lies below 2^616: 64 bits are left for the number of terms, and the sign.
  static constexpr std::size_t kWords = 19;

  std::array<std::uint64_t, kWords> words_{};  ///< two's complement, lowest word first
};

/// Whether magnitude and sign of a finite `value` are those of `exact`.
bool equals(const ExactValue& exact, double value);

}  // namespace narrowmac
