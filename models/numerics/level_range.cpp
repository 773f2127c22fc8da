#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "models/numerics/level_plan.h"

// How far sums grow, what happens at the end of the range, and below it.

namespace narrowmac {
namespace {

constexpr std::int32_t kMaxGuardSteps = 512;
constexpr std::int32_t kMinGuardSteps = 6;
/// An exponent that no format and no lane reaches.
constexpr int kUnbounded = 1 << 20;

/// Smallest e with |every value of the format| <= 2^e.
int format_bound_exponent(const NumberFormat& format) {
  if (format.is_float()) return format.max_exponent() + 1;
  return format.precision() - format.fraction_bits;
}

/// The most steps after which sums that began within a quarter of the range are still inside.
std::int32_t guarded_steps(const NumberFormat& format, const Growth& growth) {
  const double largest = format.max_value();
  std::int32_t steps = kMaxGuardSteps;
  const auto stays_inside = [&](std::int32_t n) {
    // A little less than the largest value, for the rounding of these very numbers.
    return (largest / 4 + n * growth.addend) * std::pow(growth.ratio, n) <=
           0.99 * largest - format.smallest_value();
  };
  while (steps >= kMinGuardSteps && !stays_inside(steps)) --steps;
  return steps >= kMinGuardSteps ? steps : 0;
}

}  // namespace

int log2_ceil(std::int64_t value) {
  return value <= 1 ? 0 : 64 - std::countl_zero(static_cast<std::uint64_t>(value - 1));
}

LevelResult level_fails(std::string why) {
  LevelResult result;
  result.failure = std::move(why);
  return result;
}

Growth growth_of(const Conversion& to, const Addends& addends) {
  const NumberFormat& format = to.format;
  const int p = format.precision();
  const double addend = std::ldexp(1.0, addends.bound_exponent);
  const double quantum = std::ldexp(1.0, format.min_quantum_exponent());
  const auto count = static_cast<double>(addends.count);
  const bool drops_bits = addends.quantum_exponent < format.min_quantum_exponent();
  Growth growth;
  switch (to.rounding.mode) {
    case RoundingMode::NearestEven:
    case RoundingMode::NearestAway: {
      // acc itself is a candidate, so rounding moves a sum by at most the addend; and an
      // accumulator of p bits stops growing once its unit in the last place exceeds 2 Pmax. Where
      // nothing is dropped, nothing moves.
      const bool moves = format.is_float() || drops_bits;
      growth.addend = moves ? 2 * addend : addend;
      growth.bound_exponent = addends.bound_exponent + log2_ceil(addends.count) + (moves ? 1 : 0);
      break;
    }
    case RoundingMode::TowardZero:
    case RoundingMode::TruncateAligned:
      growth.addend = addend;
      growth.bound_exponent = addends.bound_exponent + log2_ceil(addends.count);
      break;
    default:
      // Away from acc by less than a unit of the sum, however small the addend.
      growth.addend = addend + quantum;
      if (format.is_float()) {
        growth.ratio = 1 + std::ldexp(1.0, 1 - p);
        const double bits = std::log2(count * growth.addend) + count * std::log2(growth.ratio);
        growth.bound_exponent =
            bits < kUnbounded ? static_cast<int>(std::ceil(bits)) + 1 : kUnbounded;
      } else {
        growth.bound_exponent = std::max(addends.bound_exponent, format.min_quantum_exponent()) +
                                1 + log2_ceil(addends.count);
      }
      return growth;
  }
  if (format.is_float()) {
    growth.bound_exponent = std::min(growth.bound_exponent, addends.bound_exponent + p + 2);
  }
  return growth;
}

LevelResult plan_overflow(LevelResult result, const Conversion& to, const Growth& growth,
                          const LaneTraits& lane, int headroom) {
  const int format_bound = format_bound_exponent(to.format);
  // Strictly inside the top binade: no rounding can reach the largest value.
  if (growth.bound_exponent < format_bound) {
    result.results.bound_exponent = growth.bound_exponent;
    result.reason += "; overflow impossible";
    return result;
  }
  result.results.bound_exponent = format_bound;
  const bool nearest_even = to.rounding.mode == RoundingMode::NearestEven;
  if (to.overflow == Overflow::Wrap) return level_fails("a sum may wrap around");
  if (to.overflow == Overflow::Saturate || to.rounding.mode == RoundingMode::TowardZero ||
      to.rounding.mode == RoundingMode::TruncateAligned) {
    result.plan.clamp = true;
    result.reason += "; clamped";
  } else {
    result.plan.to_infinity = format_bound + 1 + headroom <= lane.max_exponent;
    result.plan.watch_overflow = nearest_even;
    if (!result.plan.to_infinity && !nearest_even) {
      return level_fails("sums may leave the lane's range");
    }
    result.reason += "; overflow makes the lane non-finite";
    if (!result.plan.to_infinity) {
      result.reason += ", such outputs are recomputed";
      return result;
    }
  }
  result.plan.guard_steps = guarded_steps(to.format, growth);
  if (result.plan.guard_steps > 0) {
    result.plan.guard = to.format.max_value() / 4;
    result.reason += fmt::format(" in blocks of {} steps that begin beyond a quarter of the range",
                                 result.plan.guard_steps);
  }
  return result;
}

Underflow underflow_of(const Conversion& to, int quantum_exponent) {
  const NumberFormat& format = to.format;
  if (to.subnormals) {
    return quantum_exponent >= format.min_quantum_exponent() ? Underflow::Impossible
                                                             : Underflow::Gradual;
  }
  return quantum_exponent >= format.min_exponent() ? Underflow::Impossible : Underflow::Flush;
}

int value_quantum(const LevelPlan& plan, const NumberFormat& format, const Addends& addends) {
  // Sums are multiples of the addends' quantum, and rounded ones, too; but not the largest value,
  // to which a clamp leads.
  const bool ends_at_largest =
      plan.clamp || (plan.to_infinity && plan.rounding == LaneRounding::Directed);
  if (!ends_at_largest) return addends.quantum_exponent;
  return std::min(addends.quantum_exponent, format.max_exponent() + 1 - format.precision());
}

}  // namespace narrowmac
