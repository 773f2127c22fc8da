#include <fmt/format.h>

#include <algorithm>

#include "models/numerics/level_plan.h"
#include "models/numerics/random.h"

// Roundings that need no more than the first bits of the exact sum: all but nearest even.

namespace narrowmac {
namespace {

LaneIncrement increment_of(RoundingMode mode) {
  switch (mode) {
    case RoundingMode::NearestAway:
      return LaneIncrement::Half;
    case RoundingMode::Down:
      return LaneIncrement::Negative;
    case RoundingMode::Stochastic:
      return LaneIncrement::Random;
    case RoundingMode::TruncateAligned:
      return LaneIncrement::Aligned;
    default:
      return LaneIncrement::None;
  }
}

/// Bits below the result's last one that the rounding looks at.
int looked_at(const Rounding& rounding) {
  if (rounding.mode == RoundingMode::NearestAway) return 1;
  return rounding.mode == RoundingMode::Stochastic ? rounding.random_bits : 0;
}

/// Empty if x = fma(a, b, acc) begins with all bits of the exact sum that the rounding looks at,
/// also where the lane itself underflows.
std::string keeps_bits(const Conversion& to, const Addends& addends, const LaneTraits& lane,
                       int value_quantum_exponent) {
  if (!lanes_fuse_multiply_add() && addends.precision > lane.significand) {
    return fmt::format("products of {} bits are not exact in the lane", addends.precision);
  }
  if (std::min(addends.quantum_exponent, value_quantum_exponent) >= lane.quantum_exponent)
    return {};
  const int last_bit =
      to.format.min_quantum_exponent() - looked_at(to.rounding) - to.rounding.guard_bits - 2;
  if (lanes_fuse_multiply_add() && last_bit >= lane.quantum_exponent) return {};
  return "sums may underflow in the lane";
}

LevelResult plan_directed_float(LevelResult result, const Conversion& to, const Addends& addends,
                                const LaneTraits& lane) {
  const NumberFormat& format = to.format;
  result.plan.dropped = lane.significand - format.precision();
  if (result.plan.dropped < looked_at(to.rounding)) {
    return level_fails(
        fmt::format("the lane has {} bits below the accumulator's, the rounding "
                    "looks at {}",
                    result.plan.dropped, looked_at(to.rounding)));
  }
  const int guard_bits = to.rounding.guard_bits;
  if (format.fraction_bits + guard_bits + 2 > lane.significand) {
    return level_fails(
        fmt::format("the aligned sum has {} bits", format.precision() + guard_bits + 1));
  }
  result = plan_overflow(result, to, growth_of(to, addends), lane, 1);
  if (!result.ok()) return result;
  const int quantum = value_quantum(result.plan, format, addends);
  const std::string failure = keeps_bits(to, addends, lane, quantum);
  if (!failure.empty()) return level_fails(failure);
  result.results.quantum_exponent = quantum;
  switch (underflow_of(to, quantum)) {
    case Underflow::Impossible:
      result.reason += "; underflow impossible";
      break;
    case Underflow::Gradual:
      result.results.quantum_exponent = format.min_quantum_exponent();
      result.plan.underflows = true;
      result.reason += "; gradual underflow each step";
      break;
    case Underflow::Flush:
      result.plan.underflows = true;
      result.reason += "; flushed each step";
      break;
  }
  return result;
}

LevelResult plan_directed_fixed(LevelResult result, const Conversion& to, const Addends& addends,
                                const LaneTraits& lane) {
  const int quantum = to.format.min_quantum_exponent();
  result = plan_overflow(result, to, growth_of(to, addends), lane, 1);
  if (!result.ok()) return result;
  const std::string failure = keeps_bits(to, addends, lane, quantum);
  if (!failure.empty()) return level_fails(failure);
  const int sum_bound = std::max({result.results.bound_exponent, addends.bound_exponent, quantum});
  result.plan.offset_exponent = sum_bound + 2;
  result.plan.dropped = quantum - (result.plan.offset_exponent - lane.significand + 1);
  if (result.plan.dropped < std::max(1, looked_at(to.rounding)) ||
      result.plan.offset_exponent >= lane.max_exponent) {
    return level_fails("sums and the bits that the rounding looks at need more than the lane has");
  }
  result.plan.underflows = true;
  result.plan.guard_steps = 0;
  result.results.quantum_exponent = quantum;
  return result;
}

}  // namespace

LevelResult plan_directed(const Conversion& to, const Addends& addends, const LaneTraits& lane) {
  LevelResult result;
  result.plan.rounding = LaneRounding::Directed;
  result.plan.increment = increment_of(to.rounding.mode);
  result = to.format.is_float() ? plan_directed_float(result, to, addends, lane)
                                : plan_directed_fixed(result, to, addends, lane);
  if (!result.ok()) return result;
  result.results.precision = to.format.precision();
  const bool down = to.rounding.mode == RoundingMode::Down;
  if (to.rounding.mode == RoundingMode::TruncateAligned) {
    result.reason =
        fmt::format("addends truncated at {} guard bit{} in lanes rounded toward zero{}",
                    to.rounding.guard_bits, to.rounding.guard_bits == 1 ? "" : "s", result.reason);
    return result;
  }
  result.reason =
      fmt::format("lanes rounded {} begin with the exact sum's bits, integers do the rest{}",
                  down ? "down" : "toward zero", result.reason);
  if (to.rounding.mode == RoundingMode::Stochastic) {
    result.reason += fmt::format("; {} random bits, {} steps a word", to.rounding.random_bits,
                                 draws_per_word(to.rounding.random_bits));
  }
  return result;
}

}  // namespace narrowmac
