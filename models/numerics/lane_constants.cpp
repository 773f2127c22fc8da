#include <cmath>
#include <limits>

#include "models/numerics/plan.h"

namespace narrowmac {

namespace {

/// What only Directed levels have. They are never scaled.
template <typename T>
void set_directed(LaneStep<T>& step, const Conversion& conversion, const LevelPlan& level) {
  const NumberFormat& format = conversion.format;
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  step.increment = level.increment;
  step.dropped = level.dropped;
  step.random_bits = conversion.rounding.random_bits;
  if (level.increment == LaneIncrement::Aligned) {
    const int below = format.fraction_bits + conversion.rounding.guard_bits;
    step.align_scale = std::ldexp(T{1}, std::numeric_limits<T>::digits - 1 - below);
  }
  if (format.is_fixed()) {
    step.offset = std::ldexp(T{1}, level.offset_exponent);
    step.offset_below = kInfinity;
  } else if (level.underflows && conversion.subnormals) {
    step.offset = step.offset_below = step.smallest_normal;
  } else if (level.underflows) {
    step.flush_below = step.smallest_normal;
  }
  if (level.clamp) {
    step.above_high = step.high;
    step.below_low = step.low;
  } else if (level.to_infinity && level.increment == LaneIncrement::Negative) {
    step.above_high = step.high;
  } else if (!level.to_infinity && !level.underflows) {
    // Nothing to be careful about, ever.
    step.guard_steps = 1 << 20;
    step.guard_high = kInfinity;
    step.guard_low = -kInfinity;
  }
  if (level.underflows) step.guard_steps = 0;
}

}  // namespace

template <typename T>
LaneStep<T> lane_step(const Conversion& conversion, const LevelPlan& level, int scale_exponent) {
  const NumberFormat& format = conversion.format;
  constexpr int kBits = std::numeric_limits<T>::digits;
  const auto power = [](int exponent) { return std::ldexp(T{1}, exponent); };
  LaneStep<T> step;
  step.rounding = level.rounding;
  step.clamp = level.clamp;
  step.positive_zero = format.is_fixed();
  if (format.is_float()) {
    const int dropped = kBits - format.precision();
    step.scale = power(dropped);
    step.scale_less_one = step.scale - 1;
    step.smallest_normal = power(format.min_exponent() + scale_exponent);
    step.gradual_factor = T{1.5} * power(dropped);
  } else {
    step.magic = T{1.5} * power(kBits - 1 - format.fraction_bits + scale_exponent);
  }
  if (level.clamp || level.to_infinity) {
    step.high = static_cast<T>(std::ldexp(format.max_value(), scale_exponent));
    step.low = static_cast<T>(std::ldexp(format.lowest_value(), scale_exponent));
  }
  step.guard_steps = level.guard_steps;
  step.guard_high = static_cast<T>(std::ldexp(level.guard, scale_exponent));
  step.guard_low = -step.guard_high;
  if (level.rounding == LaneRounding::Directed) set_directed(step, conversion, level);
  return step;
}

template <typename T>
CountingLimits<T> counting_limits(const Conversion& conversion, int scale_exponent) {
  const NumberFormat& format = conversion.format;
  CountingLimits<T> limits;
  limits.high = static_cast<T>(std::ldexp(format.max_value(), scale_exponent));
  limits.low = static_cast<T>(std::ldexp(format.lowest_value(), scale_exponent));
  limits.smallest_normal =
      format.is_float() ? static_cast<T>(std::ldexp(format.smallest_normal(), scale_exponent))
                        : std::numeric_limits<T>::denorm_min();
  return limits;
}

template LaneStep<float> lane_step<float>(const Conversion&, const LevelPlan&, int);
template LaneStep<double> lane_step<double>(const Conversion&, const LevelPlan&, int);
template CountingLimits<float> counting_limits<float>(const Conversion&, int);
template CountingLimits<double> counting_limits<double>(const Conversion&, int);

const char* to_string(LaneRounding rounding) {
  switch (rounding) {
    case LaneRounding::None:
      return "none";
    case LaneRounding::Significand:
      return "significand";
    case LaneRounding::Repaired:
      return "repaired";
    case LaneRounding::Gradual:
      return "gradual underflow";
    case LaneRounding::Quantum:
      return "quantum";
    case LaneRounding::Flush:
      return "flush";
    case LaneRounding::RepairedFlush:
      return "repaired and flushed";
    case LaneRounding::Directed:
      return "directed";
  }
  return "none";
}

}  // namespace narrowmac
