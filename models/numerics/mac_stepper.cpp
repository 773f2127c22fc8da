#include "models/numerics/mac_stepper.h"

#include <bit>
#include <cmath>
#include <limits>

namespace narrowmac {
namespace {

/// x = RN(exact), exact = x + error, error not zero: `exact` rounded to odd, as a double. Rounding
/// that again to at least two bits less gives what rounding `exact` at once gives, in every mode
/// (Boldo, Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using
/// rounding to odd", 2008).
double round_to_odd(double x, double error) {
  auto bits = std::bit_cast<std::uint64_t>(x);
  if ((bits & 1U) == 0) {
    const bool outward = (error > 0) == (x > 0);
    bits = outward ? bits + 1 : bits - 1;
  }
  return std::bit_cast<double>(bits);
}

}  // namespace

PatternRounder::PatternRounder(const RoundingTarget& target)
    : mode_(target.conversion.rounding.mode),
      random_bits_(target.conversion.rounding.random_bits),
      is_float_(target.is_float),
      largest_(std::bit_cast<std::uint64_t>(target.max_value)),
      normal_(std::bit_cast<std::uint64_t>(target.smallest_normal)) {
  lowest_field_ = static_cast<int>(normal_ >> 52);
  // A double's last bit is 2^(field - 1023 - 52).
  quantum_ = is_float_ ? 52 - target.fraction_bits : 52 + 1023 - target.fraction_bits;
  if (is_float_ && !target.conversion.subnormals) flushed_below_ = lowest_field_;
}

Adder::Adder(const Conversion& accumulator)
    : target_(accumulator),
      pattern_(target_),
      aligns_(accumulator.rounding.mode == RoundingMode::TruncateAligned) {
  // A float's rounding looks at Y + 1 <= 24 bits of the sum and at r <= 24 random ones: 53 hold two
  // more. Fixed point looks down to 2^-r of its unit, so the sum must not be too large.
  odd_limit_ = target_.is_float ? std::numeric_limits<double>::infinity()
                                : std::ldexp(1.0, 50 - random_bits() - target_.fraction_bits);
}

StepOutcome Adder::add_carefully(double acc, double addend, double sum, double error,
                                 std::uint32_t random) const {
  if (!std::isfinite(sum)) return add_exactly(acc, unpack(addend), random);
  if (error != 0) {
    if (std::fabs(sum) >= odd_limit_) return add_exactly(acc, unpack(addend), random);
    const double odd = round_to_odd(sum, error);
    StepOutcome outcome;
    return pattern_.round(odd, random, outcome) ? outcome : round_double(target_, odd, random);
  }
  if (sum == 0 && target_.conversion.rounding.mode == RoundingMode::Down) {
    // IEEE 754-2019, 6.3: under `down` only +0 + +0 gives +0.
    const bool negative = std::signbit(acc) || std::signbit(addend);
    return round_double(target_, negative ? -0.0 : 0.0, random);
  }
  return round_double(target_, sum, random);
}

Multiplier::Multiplier(const MacDesign& mac)
    : target_(mac.product.value_or(mac.accumulator)),
      rounds_(mac.product.has_value()),
      narrow_(mac.a.precision() + mac.b.precision() <= 53),
      random_bits_(target_.conversion.rounding.random_bits) {}

double Multiplier::product(double a, double b, std::uint32_t random) const {
  if (!rounds_) return a * b;
  const double product = a * b;
  if (narrow_ && std::isfinite(product)) return round_double(target_, product, random).value;
  return round_to(target_, multiply(unpack(a), unpack(b)), random).value;
}

ExactValue Multiplier::exact_product(double a, double b, std::uint32_t random) const {
  const ExactValue exact = multiply(unpack(a), unpack(b));
  return rounds_ ? unpack(round_to(target_, exact, random).value) : exact;
}

}  // namespace narrowmac
