#include "models/numerics/exact_value.h"

#include <cmath>
#include <limits>
#include <utility>

#include "models/design/error.h"
#include "models/numerics/exact_sum.h"

namespace narrowmac {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Widest exact sum; one more bit is left for the carry.
constexpr int kWindow = 126;

/// x << shift or x >> -shift, for any shift.
template <typename Magnitude>
Magnitude shift_left(Magnitude x, int shift) {
  constexpr int kBits = static_cast<int>(sizeof(Magnitude)) * 8;
  if (shift >= kBits || shift <= -kBits) return 0;
  return shift >= 0 ? x << shift : x >> -shift;
}

/// The dropped part of a magnitude: remainder < 2^shift in units of the result's quantum / 2^shift.
template <typename Magnitude>
struct Dropped {
  Magnitude remainder = 0;
  int shift = 0;
  bool sticky = false;
  [[nodiscard]] bool exact() const { return remainder == 0 && !sticky; }
};

/// -1, 0, 1: the dropped part is below, at or above one half.
template <typename Magnitude>
int compare_with_half(const Dropped<Magnitude>& dropped) {
  constexpr int kBits = static_cast<int>(sizeof(Magnitude)) * 8;
  if (dropped.shift > kBits) return -1;
  const Magnitude half = Magnitude{1} << (dropped.shift - 1);
  if (dropped.remainder != half) return dropped.remainder < half ? -1 : 1;
  return dropped.sticky ? 1 : 0;
}

template <typename Magnitude>
bool rounds_up(const Rounding& rounding, bool negative, bool odd, const Dropped<Magnitude>& dropped,
               std::uint32_t random) {
  if (dropped.exact()) return false;
  switch (rounding.mode) {
    case RoundingMode::NearestEven: {
      const int half = compare_with_half(dropped);
      return half > 0 || (half == 0 && odd);
    }
    case RoundingMode::NearestAway:
      return compare_with_half(dropped) >= 0;
    case RoundingMode::TowardZero:
    case RoundingMode::TruncateAligned:
      return false;
    case RoundingMode::Down:
      return negative;
    case RoundingMode::Stochastic: {
      const Magnitude fraction =
          shift_left(dropped.remainder, rounding.random_bits - dropped.shift);
      return fraction + random >= (Magnitude{1} << rounding.random_bits);
    }
  }
  return false;
}

/// significand * 2^exponent with the sign, exact where a double can hold it.
double scaled(bool negative, std::uint64_t significand, int exponent) {
  auto value = static_cast<double>(significand);
  if (exponent >= -1022 && exponent <= 1023) {
    value *= std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
  } else {
    value = std::ldexp(value, exponent);
  }
  return negative ? -value : value;
}

double overflowed_float(const RoundingTarget& target, bool negative) {
  const RoundingMode mode = target.conversion.rounding.mode;
  const bool inward = mode == RoundingMode::TowardZero || mode == RoundingMode::TruncateAligned ||
                      (mode == RoundingMode::Down && !negative);
  if (inward || target.conversion.overflow == Overflow::Saturate) {
    return negative ? target.lowest_value : target.max_value;
  }
  if (target.is_finite_float) return kNaN;
  return negative ? -kInfinity : kInfinity;
}

template <typename Magnitude>
StepOutcome round_float(const RoundingTarget& target, bool negative, Magnitude magnitude,
                        int exponent, bool sticky, std::uint32_t random) {
  StepOutcome outcome;
  if (magnitude == 0) {
    outcome.value = negative ? -0.0 : 0.0;
    return outcome;
  }
  const bool subnormals = target.conversion.subnormals;
  int leading = exponent + bit_length(magnitude) - 1;
  if (subnormals && leading < target.min_exponent) leading = target.min_exponent;
  const int quantum = leading - target.fraction_bits;
  const int shift = quantum - exponent;
  auto significand = static_cast<std::uint64_t>(shift_left(magnitude, -shift));
  if (shift > 0) {
    const Dropped<Magnitude> dropped{
        static_cast<Magnitude>(magnitude - shift_left(shift_left(magnitude, -shift), shift)), shift,
        sticky};
    outcome.inexact = !dropped.exact();
    const bool odd = (significand & 1U) != 0;
    significand += rounds_up(target.conversion.rounding, negative, odd, dropped, random) ? 1U : 0U;
  }
  double rounded = scaled(false, significand, quantum);
  if (!subnormals && rounded < target.smallest_normal) {
    rounded = 0;
    outcome.inexact = true;
  }
  outcome.value = negative ? -rounded : rounded;
  if (rounded > target.max_value) {
    outcome.overflow = true;
    outcome.inexact = true;
    outcome.value = overflowed_float(target, negative);
  } else if (outcome.inexact) {
    outcome.underflow = rounded < target.smallest_normal;
  }
  return outcome;
}

/// magnitude (an integer, in units) reduced modulo 2^width and read as the format's code.
double wrapped_value(const RoundingTarget& target, bool negative, std::uint64_t magnitude) {
  const std::uint64_t mask = (std::uint64_t{1} << target.width) - 1;
  const std::uint64_t code = (negative ? ~magnitude + 1 : magnitude) & mask;
  const bool is_signed = target.conversion.format.family == NumberFormat::Family::Signed;
  const bool below_zero = is_signed && (code >> (target.width - 1)) != 0;
  const std::uint64_t size = below_zero ? (~code + 1) & mask : code;
  return size == 0 ? 0.0 : scaled(below_zero, size, -target.fraction_bits);
}

template <typename Magnitude>
StepOutcome round_fixed(const RoundingTarget& target, bool negative, Magnitude magnitude,
                        int exponent, bool sticky, std::uint32_t random) {
  StepOutcome outcome;
  const int shift = -target.fraction_bits - exponent;
  Magnitude units = shift_left(magnitude, -shift);
  // Bits shifted out at the top: far beyond any fixed-point range.
  bool overflow = shift < 0 && shift_left(units, shift) != magnitude;
  if (shift > 0) {
    const Dropped<Magnitude> dropped{static_cast<Magnitude>(magnitude - shift_left(units, shift)),
                                     shift, sticky};
    outcome.inexact = !dropped.exact();
    const bool odd = (units & 1U) != 0;
    units += rounds_up(target.conversion.rounding, negative, odd, dropped, random) ? 1U : 0U;
  }
  const bool is_signed = target.conversion.format.family == NumberFormat::Family::Signed;
  const Magnitude positive_limit = Magnitude{1} << (is_signed ? target.width - 1 : target.width);
  const Magnitude negative_limit = is_signed ? positive_limit : Magnitude{0};
  overflow = overflow || (negative ? units > negative_limit : units >= positive_limit);
  if (!overflow) {
    const auto size = static_cast<std::uint64_t>(units);
    outcome.value = size == 0 ? 0.0 : scaled(negative, size, -target.fraction_bits);
  } else {
    outcome.overflow = true;
    outcome.inexact = true;
    switch (target.conversion.overflow) {
      case Overflow::Saturate:
        outcome.value = negative ? target.lowest_value : target.max_value;
        break;
      case Overflow::Wrap:
        outcome.value = wrapped_value(target, negative, static_cast<std::uint64_t>(units));
        break;
      case Overflow::Infinity:
        throw Error("a value beyond the range of " + target.conversion.format.to_string() +
                    ", which has no infinity: expected overflow saturate or wrap");
    }
  }
  outcome.underflow = outcome.inexact && outcome.value == 0;
  return outcome;
}

StepOutcome round_special(const RoundingTarget& target, const ExactValue& x) {
  const bool infinite = x.kind == ValueKind::Infinity;
  if (!target.is_float) {
    throw Error(std::string(infinite ? "infinity" : "NaN") + " reaches fixed point " +
                target.conversion.format.to_string() + ", which cannot hold it");
  }
  StepOutcome outcome;
  outcome.value = kNaN;
  if (infinite && !target.is_finite_float) outcome.value = x.negative ? -kInfinity : kInfinity;
  return outcome;
}

/// IEEE 754-2019, 6.3: the sign of an exact zero sum of zeros or of opposite addends.
bool zero_sum_is_negative(bool x_negative, bool y_negative, RoundingMode mode) {
  if (x_negative == y_negative) return x_negative;
  return mode == RoundingMode::Down;
}

ExactValue add_specials(const ExactValue& x, const ExactValue& y) {
  const bool any_nan = x.kind == ValueKind::NotANumber || y.kind == ValueKind::NotANumber;
  const bool opposite =
      x.kind == ValueKind::Infinity && y.kind == ValueKind::Infinity && x.negative != y.negative;
  if (any_nan || opposite) {
    ExactValue nan;
    nan.kind = ValueKind::NotANumber;
    return nan;
  }
  return x.kind == ValueKind::Infinity ? x : y;
}

int top_of(const ExactValue& x) { return x.exponent + bit_length(x.magnitude); }

/// Sum of two non-zero finite values that fit one window: no bit is lost.
ExactValue add_in_window(const ExactValue& x, const ExactValue& y, int low, RoundingMode mode) {
  const uint128 a = x.magnitude << (x.exponent - low);
  const uint128 b = y.magnitude << (y.exponent - low);
  ExactValue sum;
  sum.exponent = low;
  if (x.negative == y.negative) {
    sum.negative = x.negative;
    sum.magnitude = a + b;
  } else if (a == b) {
    sum.negative = zero_sum_is_negative(x.negative, y.negative, mode);
  } else {
    sum.negative = a > b ? x.negative : y.negative;
    sum.magnitude = a > b ? a - b : b - a;
  }
  return sum;
}

/// Sum of two values that lie so far apart that the smaller reaches below the window: its lost bits
/// become `sticky`. Both have at most 106 bits, so the smaller lies at least 20 bits below the
/// larger and nothing cancels.
ExactValue add_far_apart(const ExactValue& larger, const ExactValue& smaller) {
  ExactValue sum;
  sum.negative = larger.negative;
  sum.exponent = top_of(larger) - kWindow;
  const uint128 a = larger.magnitude << (larger.exponent - sum.exponent);
  const int shift = sum.exponent - smaller.exponent;
  const uint128 b = shift_left(smaller.magnitude, -shift);
  sum.sticky = shift_left(b, shift) != smaller.magnitude;
  if (larger.negative == smaller.negative) {
    sum.magnitude = a + b;
  } else {
    sum.magnitude = a - b - (sum.sticky ? 1U : 0U);
  }
  return sum;
}

ExactValue add(const ExactValue& x, const ExactValue& y, RoundingMode mode) {
  if (x.kind != ValueKind::Finite || y.kind != ValueKind::Finite) return add_specials(x, y);
  if (x.magnitude == 0 && y.magnitude == 0) {
    ExactValue zero;
    zero.negative = zero_sum_is_negative(x.negative, y.negative, mode);
    return zero;
  }
  if (x.magnitude == 0) return y;
  if (y.magnitude == 0) return x;
  const int high = top_of(x) > top_of(y) ? top_of(x) : top_of(y);
  const int low = x.exponent < y.exponent ? x.exponent : y.exponent;
  if (high - low <= kWindow) return add_in_window(x, y, low, mode);
  return top_of(x) > top_of(y) ? add_far_apart(x, y) : add_far_apart(y, x);
}

/// x, finite, truncated toward zero to a multiple of 2^quantum. Zero keeps the sign.
ExactValue truncate(ExactValue x, int quantum) {
  const int shift = quantum - x.exponent;
  if (shift <= 0 || x.magnitude == 0) return x;
  x.magnitude = shift_left(x.magnitude, -shift);
  x.exponent = quantum;
  return x;
}

/// Both addends lose what lies below the larger one's last guard bit before they are added.
StepOutcome add_aligned(const RoundingTarget& target, const ExactValue& acc,
                        const ExactValue& addend) {
  constexpr auto kMode = RoundingMode::TruncateAligned;
  const ExactValue exact = add(acc, addend, kMode);
  if (exact.kind != ValueKind::Finite) return round_to(target, exact, 0);
  int top = target.min_exponent;
  for (const ExactValue& x : {acc, addend}) {
    if (x.magnitude != 0 && top_of(x) - 1 > top) top = top_of(x) - 1;
  }
  const int quantum = top - target.fraction_bits - target.conversion.rounding.guard_bits;
  StepOutcome outcome =
      round_to(target, add(truncate(acc, quantum), truncate(addend, quantum), kMode), 0);
  // What the step lost is told against the sum of the addends as they came.
  outcome.inexact = outcome.overflow || !equals(exact, outcome.value);
  outcome.underflow =
      outcome.inexact && !outcome.overflow && std::fabs(outcome.value) < target.smallest_normal;
  return outcome;
}

}  // namespace

ExactValue unpack(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const auto field = static_cast<int>((bits >> 52) & 0x7ffU);
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << 52) - 1);
  ExactValue value;
  value.negative = (bits >> 63) != 0;
  if (field == 0x7ff) {
    value.kind = fraction == 0 ? ValueKind::Infinity : ValueKind::NotANumber;
    return value;
  }
  std::uint64_t significand = field == 0 ? fraction : fraction | (std::uint64_t{1} << 52);
  if (significand == 0) return value;
  const int zeros = std::countr_zero(significand);
  value.magnitude = significand >> zeros;
  value.exponent = (field == 0 ? 1 : field) - 1075 + zeros;
  return value;
}

ExactValue multiply(const ExactValue& x, const ExactValue& y) {
  ExactValue product;
  product.negative = x.negative != y.negative;
  const bool x_zero = x.kind == ValueKind::Finite && x.magnitude == 0;
  const bool y_zero = y.kind == ValueKind::Finite && y.magnitude == 0;
  if (x.kind == ValueKind::Finite && y.kind == ValueKind::Finite) {
    product.magnitude = x.magnitude * y.magnitude;
    product.exponent = product.magnitude == 0 ? 0 : x.exponent + y.exponent;
  } else if (x.kind == ValueKind::NotANumber || y.kind == ValueKind::NotANumber || x_zero ||
             y_zero) {
    product.kind = ValueKind::NotANumber;
  } else {
    product.kind = ValueKind::Infinity;
  }
  return product;
}

RoundingTarget::RoundingTarget(const Conversion& to)
    : conversion(to),
      is_float(to.format.is_float()),
      is_finite_float(to.format.family == NumberFormat::Family::FiniteFloat),
      fraction_bits(to.format.fraction_bits),
      width(to.format.width),
      min_exponent(is_float ? to.format.min_exponent() : 0),
      max_value(to.format.max_value()),
      lowest_value(to.format.lowest_value()),
      smallest_normal(to.format.smallest_normal()) {}

StepOutcome round_to(const RoundingTarget& target, const ExactValue& x, std::uint32_t random) {
  if (x.kind != ValueKind::Finite) return round_special(target, x);
  if (target.is_float) {
    return round_float(target, x.negative, x.magnitude, x.exponent, x.sticky, random);
  }
  return round_fixed(target, x.negative, x.magnitude, x.exponent, x.sticky, random);
}

StepOutcome round_double(const RoundingTarget& target, double x, std::uint32_t random) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const auto field = static_cast<int>((bits >> 52) & 0x7ffU);
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << 52) - 1);
  const std::uint64_t magnitude = field == 0 ? fraction : fraction | (std::uint64_t{1} << 52);
  const int exponent = (field == 0 ? 1 : field) - 1075;
  const bool negative = (bits >> 63) != 0;
  return target.is_float ? round_float(target, negative, magnitude, exponent, false, random)
                         : round_fixed(target, negative, magnitude, exponent, false, random);
}

StepOutcome add_and_round(const RoundingTarget& target, const ExactValue& acc,
                          const ExactValue& addend, std::uint32_t random) {
  const RoundingMode mode = target.conversion.rounding.mode;
  if (mode == RoundingMode::TruncateAligned) return add_aligned(target, acc, addend);
  // Modulo 2^width only the low bits of a large multiple of the unit count; the sum is out of range
  // all the same.
  const bool beyond_wrap = target.conversion.overflow == Overflow::Wrap &&
                           addend.kind == ValueKind::Finite && acc.kind == ValueKind::Finite &&
                           addend.magnitude != 0 && addend.exponent >= -target.fraction_bits &&
                           top_of(addend) > target.width - target.fraction_bits;
  if (!beyond_wrap) return round_to(target, add(acc, addend, mode), random);
  const int units_shift = addend.exponent + target.fraction_bits;
  ExactValue low = addend;
  low.exponent = -target.fraction_bits;
  low.magnitude = shift_left(addend.magnitude, units_shift) & ((uint128{1} << target.width) - 1);
  StepOutcome outcome = round_to(target, add(acc, low, mode), random);
  outcome.overflow = true;
  outcome.inexact = true;
  outcome.underflow = outcome.value == 0;
  return outcome;
}

}  // namespace narrowmac
