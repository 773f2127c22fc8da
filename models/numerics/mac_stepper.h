#pragma once

#include <cstdint>

#include "models/design/mac_design.h"
#include "models/numerics/exact_value.h"

// The reference's step with everything that depends only on the design looked up once. Internal to
// the room.

namespace narrowmac {

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
  [[nodiscard]] StepOutcome add(double acc, double addend, std::uint32_t random) const;

  [[nodiscard]] int random_bits() const { return target_.conversion.rounding.random_bits; }
  [[nodiscard]] const Conversion& conversion() const { return target_.conversion; }

 private:
  RoundingTarget target_;
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
