#include "models/numerics/dot_unit.h"

#include <algorithm>
#include <cmath>

namespace narrowmac {
namespace {

__extension__ using int128 = __int128;

int exponent_of(const ExactValue& x) { return x.exponent + bit_length(x.magnitude) - 1; }

/// x as a multiple of 2^quantum_exponent. `lost` is set if bits were lost.
int128 align(const ExactValue& x, int quantum_exponent, Alignment alignment, bool& lost) {
  const int shift = quantum_exponent - x.exponent;
  if (x.magnitude == 0) return 0;
  uint128 units = 0;
  if (shift <= 0) {
    units = x.magnitude << -shift;
  } else {
    units = shift < 128 ? x.magnitude >> shift : 0;
    const uint128 rest = shift < 128 ? x.magnitude - (units << shift) : x.magnitude;
    lost = lost || rest != 0;
    const bool half_exists = shift <= 128;
    const uint128 half = half_exists ? uint128{1} << (shift - 1) : 0;
    switch (alignment) {
      case Alignment::TowardZero:
        break;
      case Alignment::Down:
        if (x.negative && rest != 0) ++units;
        break;
      case Alignment::NearestEven:
        if (half_exists && (rest > half || (rest == half && (units & 1U) != 0))) ++units;
        break;
    }
  }
  const auto size = static_cast<int128>(units);
  return x.negative ? -size : size;
}

ExactValue value_of(int128 units, int quantum_exponent) {
  ExactValue value;
  value.negative = units < 0;
  value.magnitude = static_cast<uint128>(units < 0 ? -units : units);
  value.exponent = quantum_exponent;
  return value;
}

}  // namespace

void SpecialTerms::add(const ExactValue& x) {
  nan_ = nan_ || x.kind == ValueKind::NotANumber;
  if (x.kind == ValueKind::Infinity) {
    (x.negative ? negative_infinity_ : positive_infinity_) = true;
  }
  (x.negative ? negative_ : positive_) = true;
}

std::optional<ExactValue> SpecialTerms::special() const {
  ExactValue value;
  if (nan_ || (positive_infinity_ && negative_infinity_)) {
    value.kind = ValueKind::NotANumber;
    return value;
  }
  if (!positive_infinity_ && !negative_infinity_) return std::nullopt;
  value.kind = ValueKind::Infinity;
  value.negative = negative_infinity_;
  return value;
}

namespace {

/// R(sum of finite terms) for any sum: also modulo 2^W where it is wider than an ExactValue.
StepOutcome round_sum(const RoundingTarget& target, const ExactSum& sum, bool negative_zero,
                      std::uint32_t random) {
  ExactValue value = sum.value();
  if (value.magnitude == 0) {
    value.negative = negative_zero;
    return round_to(target, value, random);
  }
  const int wrapped = target.width - target.fraction_bits;
  const bool beyond = target.conversion.overflow == Overflow::Wrap && exponent_of(value) > wrapped;
  if (!beyond) return round_to(target, value, random);
  // Only the low bits count, but of a number that is out of range all the same.
  const bool negative = value.negative;
  value = sum.value(wrapped);
  value.negative = negative;
  StepOutcome outcome = round_to(target, value, random);
  outcome.overflow = outcome.inexact = true;
  outcome.underflow = outcome.value == 0;
  return outcome;
}

}  // namespace

StepOutcome ExactTotal::round(const RoundingTarget& target, double start, std::uint32_t random) {
  add(unpack(start));
  if (const std::optional<ExactValue> special = terms_.special()) {
    return round_to(target, *special, random);
  }
  // IEEE 754-2019, 6.3, of many terms: under `down` every other exact zero sum is -0.
  const bool down = target.conversion.rounding.mode == RoundingMode::Down;
  return round_sum(target, sum_, down ? terms_.any_negative() : terms_.all_negative(), random);
}

/// The terms of one group on their common grid.
struct DotUnit::Group {
  SpecialTerms terms;
  bool all_zero = true;
  bool lost = false;           ///< alignment lost bits
  int quantum_exponent = 0;    ///< Emax - F
  int128 sum = 0;              ///< of the aligned products, and the accumulator if it is aligned
  bool products_zero = false;  ///< the aligned products add up to zero
};

DotUnit::DotUnit(const MacDesign& mac, const Dot& dot)
    : dot_(dot),
      target_(mac.accumulator),
      a_min_exponent_(mac.a.min_exponent()),
      b_min_exponent_(mac.b.min_exponent()) {
  if (target_.is_float) accumulator_min_exponent_ = target_.min_exponent;
}

DotOutcome DotUnit::step(double acc, const double* a, const double* b, std::int64_t count,
                         std::uint32_t random, bool judge) const {
  const bool aligned = dot_.accumulator == DotAccumulator::Aligned;
  const ExactValue accumulator = unpack(acc);
  Group group;
  std::optional<int> largest;
  const auto raise = [&largest](int exponent) {
    largest = std::max(largest.value_or(exponent), exponent);
  };
  for (std::int64_t i = 0; i < count; ++i) {
    const ExactValue x = unpack(a[i]);
    const ExactValue y = unpack(b[i]);
    group.terms.add(multiply(x, y));
    if (x.magnitude == 0 || y.magnitude == 0) continue;
    raise(std::max(exponent_of(x), a_min_exponent_) + std::max(exponent_of(y), b_min_exponent_));
  }
  if (count < dot_.terms) group.terms.add(ExactValue{});
  if (aligned) {
    group.terms.add(accumulator);
    if (accumulator.magnitude != 0) {
      raise(std::max(exponent_of(accumulator),
                     accumulator_min_exponent_.value_or(exponent_of(accumulator))));
    }
  }
  DotOutcome outcome;
  group.all_zero = !largest;
  const bool finite = !group.terms.special();
  if (largest && finite) {
    group.quantum_exponent = *largest - dot_.fraction_bits;
    outcome.quantum_exponent = group.quantum_exponent;
    for (std::int64_t i = 0; i < count; ++i) {
      group.sum += align(multiply(unpack(a[i]), unpack(b[i])), group.quantum_exponent,
                         dot_.alignment, group.lost);
    }
    group.products_zero = group.sum == 0;
    if (aligned) {
      group.sum += align(accumulator, group.quantum_exponent, dot_.alignment, group.lost);
    }
  }
  outcome.step = round(group, acc, random);
  outcome.counts = !group.all_zero && finite && std::isfinite(acc) && !group.products_zero;
  if (judge && finite && group.lost && std::isfinite(acc)) {
    judge_lost_bits(a, b, count, acc, outcome);
  }
  return outcome;
}

StepOutcome DotUnit::round(const Group& group, double acc, std::uint32_t random) const {
  const bool aligned = dot_.accumulator == DotAccumulator::Aligned;
  ExactValue sum = value_of(group.sum, group.quantum_exponent);
  if (const std::optional<ExactValue> special = group.terms.special()) {
    sum = *special;
  } else if (group.all_zero) {
    sum.negative = group.terms.all_negative();
  } else if (aligned && sum.magnitude == 0) {
    // IEEE 754-2019, 6.3: terms that cancel exactly.
    sum.negative = target_.conversion.rounding.mode == RoundingMode::Down;
  }
  if (!aligned) return add_and_round(target_, unpack(acc), sum, random);
  if (sum.kind != ValueKind::Finite || sum.magnitude == 0) return round_to(target_, sum, random);
  return add_and_round(target_, ExactValue{}, sum, random);
}

void DotUnit::judge_lost_bits(const double* a, const double* b, std::int64_t count, double acc,
                              DotOutcome& outcome) const {
  ExactSum exact;
  for (std::int64_t i = 0; i < count; ++i) exact.add(multiply(unpack(a[i]), unpack(b[i])));
  outcome.counts = !exact.is_zero();
  exact.add(unpack(acc));
  StepOutcome& step = outcome.step;
  const ExactValue sum = exact.value();
  step.inexact = step.overflow || !equals(sum, step.value);
  const bool small =
      target_.is_float ? std::fabs(step.value) < target_.smallest_normal : step.value == 0;
  const bool to_zero = step.value == 0 && sum.magnitude != 0;
  step.underflow = !(step.overflow && target_.is_float) && (to_zero || (small && step.inexact));
}

double aligned_product(double a, double b, int quantum_exponent, Alignment alignment) {
  bool lost = false;
  const int128 units = align(multiply(unpack(a), unpack(b)), quantum_exponent, alignment, lost);
  return std::ldexp(static_cast<double>(units), quantum_exponent);
}

}  // namespace narrowmac
