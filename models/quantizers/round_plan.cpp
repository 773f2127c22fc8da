#include <cmath>
#include <limits>

#include "models/quantizers/round_kernel.h"

namespace narrowmac {

namespace {

/// Below every scaled float (2^-149 over the largest scale), above double's subnormals.
constexpr int kUnboundedExponent = -700;

/// The next float towards zero: exact but for the maximum of fixed point wider than float's 24
/// bits.
double as_float_toward_zero(double value) {
  const auto nearest = static_cast<float>(value);
  return std::abs(static_cast<double>(nearest)) > std::abs(value) ? std::nextafter(nearest, 0.0F)
                                                                  : nearest;
}

/// What a finite result beyond the maximum becomes, for positive and for negative ones.
double overflow_result(const Conversion& to, bool negative) {
  const RoundingMode mode = to.rounding.mode;
  const bool inward = mode == RoundingMode::TowardZero || mode == RoundingMode::TruncateAligned ||
                      (mode == RoundingMode::Down && !negative);
  if (to.overflow == Overflow::Saturate || inward) {
    return negative ? to.format.lowest_value() : as_float_toward_zero(to.format.max_value());
  }
  if (!to.format.has_infinity()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double infinity = std::numeric_limits<double>::infinity();
  return negative ? -infinity : infinity;
}

/// A power of two that is a normal float, with room for the arithmetic around it.
bool fits_float32(double power) { return power >= 0x1p-120 && power <= 0x1p120; }

/// Whether every intermediate value of the float32 lanes is exact where it decides a code.
bool plan_float32(const RoundPlan& plan, const NumberFormat& format) {
  if (plan.mode != RoundingMode::NearestEven || format.fraction_bits > 20) return false;
  if (format.is_float()) {
    // A binade above the largest value, times 1.5 * 2^(23 - fraction bits).
    const int top = format.max_exponent() + 1 + 24 - format.fraction_bits;
    return plan.inverse_scale == 1 && top <= 127 && fits_float32(format.smallest_value());
  }
  return format.precision() <= 20 && fits_float32(plan.quantum) &&
         fits_float32(plan.inverse_scale / plan.quantum);
}

}  // namespace

bool can_plan(const Conversion& to) { return to.overflow != Overflow::Wrap; }

RoundPlan make_plan(const Conversion& to, double scale, const RandomRowKey& random_key) {
  RoundPlan plan;
  const NumberFormat& format = to.format;
  plan.mode = to.rounding.mode;
  plan.random_bits = to.rounding.random_bits;
  plan.random_key = random_key;
  plan.random_step = random_step_word(random_key, 0);
  plan.inverse_scale = 1.0 / scale;
  plan.fixed = format.is_fixed();
  plan.quantum = format.smallest_value();
  if (format.is_float()) {
    plan.fraction_bits = format.fraction_bits;
    plan.smallest_binade =
        to.subnormals ? format.smallest_normal() : std::ldexp(1.0, kUnboundedExponent);
    plan.flush_below = to.subnormals ? 0.0 : format.smallest_normal();
  }
  plan.max = format.max_value();
  plan.lowest = format.lowest_value();
  plan.above = overflow_result(to, false);
  plan.below = overflow_result(to, true);
  const bool infinities = format.has_infinity();
  const double infinity = std::numeric_limits<double>::infinity();
  plan.plus_infinity = infinities ? infinity : std::numeric_limits<double>::quiet_NaN();
  plan.minus_infinity = infinities ? -infinity : plan.plus_infinity;
  plan.in_float32 = plan_float32(plan, format);
  return plan;
}

}  // namespace narrowmac
