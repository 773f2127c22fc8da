#include <cmath>
#include <limits>

#include "models/numerics/plan.h"

namespace narrowmac {

template <typename T>
LaneStep<T> lane_step(const Conversion& conversion, const LevelPlan& level, int scale_exponent) {
  const NumberFormat& format = conversion.format;
  constexpr int kBits = std::numeric_limits<T>::digits;
  const auto power = [](int exponent) { return std::ldexp(T{1}, exponent); };
  LaneStep<T> step;
  step.rounding = level.rounding;
  step.clamp = level.clamp;
  if (format.is_float()) {
    const int dropped = kBits - format.precision();
    step.scale = power(dropped);
    step.scale_less_one = step.scale - 1;
    step.smallest_normal = power(format.min_exponent() + scale_exponent);
    step.gradual_factor = T{1.5} * power(dropped);
  } else {
    step.magic = T{1.5} * power(kBits - 1 - format.fraction_bits + scale_exponent);
  }
  if (level.clamp) {
    step.high = static_cast<T>(std::ldexp(format.max_value(), scale_exponent));
    step.low = static_cast<T>(std::ldexp(format.lowest_value(), scale_exponent));
  }
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
  }
  return "none";
}

}  // namespace narrowmac
