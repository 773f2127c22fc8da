#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "models/design/mac_design.h"
#include "models/numerics/exact_value.h"

// The reference's step with everything that depends only on the design looked up once. Internal to
// the room.

namespace narrowmac {

/// R(x) of a double whose result is neither zero nor beyond the largest value: a rounding of its
/// bit pattern, in which a carry moves into the exponent by itself.
class PatternRounder {
 public:
  explicit PatternRounder(const RoundingTarget& target);

  /// False, and nothing done, where the plain way must decide: zeros, results below the unit,
  /// overflow, flushing.
  bool round(double x, std::uint32_t random, StepOutcome& outcome) const {
    const auto bits = std::bit_cast<std::uint64_t>(x);
    const std::uint64_t size = bits & ~kSign;
    const auto field = static_cast<int>(size >> 52);
    const int dropped = (is_float_ ? std::max(field, lowest_field_) : 0) + quantum_ - field;
    if (dropped < 1 || dropped > 51 || field < flushed_below_) return false;
    const std::uint64_t unit = std::uint64_t{1} << dropped;
    const std::uint64_t rounded =
        (size + increment(size, dropped, (bits & kSign) != 0, random)) & ~(unit - 1);
    if (rounded > largest_) return false;
    outcome.value = std::bit_cast<double>(rounded | (bits & kSign));
    outcome.inexact = (size & (unit - 1)) != 0;
    outcome.underflow = outcome.inexact && rounded < normal_;
    return true;
  }

 private:
  static constexpr std::uint64_t kSign = std::uint64_t{1} << 63;

  /// What carries into the result's last bit exactly where the magnitude rounds up.
  [[nodiscard]] std::uint64_t increment(std::uint64_t size, int dropped, bool negative,
                                        std::uint32_t random) const {
    const std::uint64_t half = std::uint64_t{1} << (dropped - 1);
    switch (mode_) {
      case RoundingMode::NearestEven:
        return half - 1 + ((size >> dropped) & 1U);
      case RoundingMode::NearestAway:
        return half;
      case RoundingMode::TowardZero:
      case RoundingMode::TruncateAligned:
        return 0;
      case RoundingMode::Down:
        return negative ? 2 * half - 1 : 0;
      case RoundingMode::Stochastic:
        return dropped >= random_bits_ ? std::uint64_t{random} << (dropped - random_bits_)
                                       : std::uint64_t{random} >> (random_bits_ - dropped);
    }
    return 0;
  }

  RoundingMode mode_;
  int random_bits_;
  bool is_float_;
  int lowest_field_ = 0;   ///< exponent field of 2^emin in a double
  int quantum_ = 0;        ///< dropped bits: this (plus the field, if a float) less the field of x
  int flushed_below_ = 1;  ///< exponent field below which the plain way decides
  std::uint64_t largest_ = 0;  ///< bit patterns of the largest and the smallest normal value
  std::uint64_t normal_ = 0;
};

/// acc <- R(acc + addend) for one accumulator format.
class Adder {
 public:
  explicit Adder(const Conversion& accumulator);

  /// By integers, the definition: acc is a value of the accumulator's format, the addend has at
  /// most 106 bits.
  [[nodiscard]] StepOutcome add_exactly(double acc, const ExactValue& addend,
                                        std::uint32_t random) const {
    return add_and_round(target_, unpack(acc), addend, random);
  }
  /// The same bits. Goes through double where that is proven to lose nothing: see add() in
  /// mac_stepper.cpp.
  [[nodiscard]] StepOutcome add(double acc, double addend, std::uint32_t random) const {
    if (aligns_) return add_exactly(acc, unpack(addend), random);
    const double sum = acc + addend;
    // TwoSum (Knuth, TAOCP 2, 4.2.2): acc + addend = sum + error, exactly.
    const double addend_part = sum - acc;
    const double error = (acc - (sum - addend_part)) + (addend - addend_part);
    StepOutcome outcome;
    if (error == 0 && sum != 0 && pattern_.round(sum, random, outcome)) return outcome;
    return add_carefully(acc, addend, sum, error, random);
  }

  [[nodiscard]] int random_bits() const { return target_.conversion.rounding.random_bits; }
  [[nodiscard]] const Conversion& conversion() const { return target_.conversion; }

 private:
  [[nodiscard]] StepOutcome add_carefully(double acc, double addend, double sum, double error,
                                          std::uint32_t random) const;

  RoundingTarget target_;
  PatternRounder pattern_;
  bool aligns_ = false;   ///< TruncateAligned
  double odd_limit_ = 0;  ///< sums below it keep two more bits in double than the rounding looks at
};

/// The product as it reaches the adder: a double where the design's products all are, otherwise
/// wider.
class Multiplier {
 public:
  explicit Multiplier(const MacDesign& mac);

  /// False for a design whose exact products need more than 53 bits: only exact_product() will do.
  [[nodiscard]] bool products_are_doubles() const { return narrow_ || rounds_; }
  /// R_product(a * b) of a design whose products are doubles.
  [[nodiscard]] double product(double a, double b, std::uint32_t random) const;
  /// R_product(a * b) by integers, for any design.
  [[nodiscard]] ExactValue exact_product(double a, double b, std::uint32_t random) const;
  /// 0 unless products are rounded stochastically.
  [[nodiscard]] int random_bits() const { return rounds_ ? random_bits_ : 0; }

 private:
  RoundingTarget target_;
  bool rounds_ = false;
  bool narrow_ = false;  ///< a * b is exact in double
  int random_bits_ = 0;
};

}  // namespace narrowmac
