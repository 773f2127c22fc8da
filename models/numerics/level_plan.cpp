#include "models/numerics/level_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace narrowmac {
namespace {

int log2_ceil(std::int64_t value) {
  return value <= 1 ? 0 : 64 - std::countl_zero(static_cast<std::uint64_t>(value - 1));
}

/// Smallest e with |every value of the format| <= 2^e.
int format_bound_exponent(const NumberFormat& format) {
  if (format.is_float()) return format.max_exponent() + 1;
  return format.precision() - format.fraction_bits;
}

LevelResult fails(std::string why) {
  LevelResult result;
  result.failure = std::move(why);
  return result;
}

/// Rounding to nearest moves a sum by at most the addend, so `n` additions stay within 2 n Pmax;
/// and an accumulator of p bits stops growing once its unit in the last place exceeds 2 Pmax, so
/// they stay within 2^(p+2) Pmax.
int growth_bound(const Addends& addends, int precision) {
  return addends.bound_exponent + std::min(log2_ceil(addends.count) + 1, precision + 2);
}

LevelResult plan_overflow(LevelResult result, const Conversion& to, int bound_exponent) {
  const int format_bound = format_bound_exponent(to.format);
  // Strictly inside the top binade: no rounding can reach the largest value.
  if (bound_exponent < format_bound) {
    result.results.bound_exponent = bound_exponent;
    result.reason += "; overflow impossible";
    return result;
  }
  result.results.bound_exponent = format_bound;
  if (to.overflow == Overflow::Saturate) {
    result.plan.clamp = true;
    result.reason += "; clamped each step";
  } else if (to.overflow == Overflow::Infinity) {
    result.plan.watch_overflow = true;
    result.reason += "; overflow makes the lane non-finite, such outputs are recomputed";
  } else {
    return fails("a sum may wrap around");
  }
  return result;
}

LevelResult plan_fixed(const Conversion& to, const Addends& addends, const LaneTraits& lane) {
  const NumberFormat& format = to.format;
  const int quantum = -format.fraction_bits;
  const bool drops_bits = addends.quantum_exponent < quantum;
  LevelResult result;
  result.plan.rounding = drops_bits ? LaneRounding::Quantum : LaneRounding::None;
  const int growth = addends.bound_exponent + log2_ceil(addends.count) + (drops_bits ? 1 : 0);
  result = plan_overflow(result, to, growth);
  if (!result.ok()) return result;
  const int sum_bound =
      std::max(std::min(growth, result.results.bound_exponent), addends.bound_exponent) + 1;
  const int finest = std::min(quantum, addends.quantum_exponent);
  if (sum_bound - finest > lane.significand) return fails("sums need more bits than the lane has");
  if (drops_bits && sum_bound - quantum > lane.significand - 2) {
    return fails("the rounding constant needs more bits than the lane has");
  }
  result.results.precision = format.precision();
  // The ends of the range are multiples of the format's quantum only.
  result.results.quantum_exponent =
      result.plan.clamp ? quantum : std::max(quantum, addends.quantum_exponent);
  result.reason =
      (drops_bits ? "rounded to the quantum by a constant" : "sums are exact integers") +
      result.reason;
  return result;
}

/// How subnormals of a float accumulator are met.
enum class Underflow { Impossible, Gradual, Flush };

Underflow underflow_of(const Conversion& to, int quantum_exponent) {
  const NumberFormat& format = to.format;
  if (to.subnormals) {
    return quantum_exponent >= format.min_quantum_exponent() ? Underflow::Impossible
                                                             : Underflow::Gradual;
  }
  return quantum_exponent >= format.min_exponent() ? Underflow::Impossible : Underflow::Flush;
}

/// Exponent of a quantum of all values of a float accumulator. They are sums of addends, rounded:
/// multiples of the addends' quantum, too; but not the largest value, to which a clamp leads.
int value_quantum(const LevelPlan& plan, const NumberFormat& format, const Addends& addends) {
  if (!plan.clamp) return addends.quantum_exponent;
  return std::min(addends.quantum_exponent, format.max_exponent() + 1 - format.precision());
}

LevelResult plan_float(const Conversion& to, const Addends& addends, const LaneTraits& lane) {
  const NumberFormat& format = to.format;
  const int p = format.precision();
  const int q = addends.precision;
  const int bits = lane.significand;
  LevelResult result;
  result.results.precision = p;
  if (lane_is_accumulator(to, lane)) {
    if (!lanes_fuse_multiply_add() && q > bits)
      return fails("the processor does not fuse multiply and add");
    result.plan.clamp = to.overflow == Overflow::Saturate;
    result.results.bound_exponent =
        std::min(format_bound_exponent(format), growth_bound(addends, p));
    result.results.quantum_exponent =
        std::max(value_quantum(result.plan, format, addends), lane.quantum_exponent);
    result.reason = "the lane's fused multiply-add is the fp32 accumulator";
    return result;
  }
  if (2 * p + 2 > bits)
    return fails(fmt::format("2p + 2 = {} exceeds the lane's {} bits", 2 * p + 2, bits));
  result = plan_overflow(result, to, growth_bound(addends, p));
  if (!result.ok()) return result;
  const int sum_bound = std::max(result.results.bound_exponent, addends.bound_exponent) + 1;
  const int quantum = value_quantum(result.plan, format, addends);
  result.results.quantum_exponent = quantum;
  const Underflow underflow = underflow_of(to, quantum);
  const int span = sum_bound - quantum;
  const bool exact_sums = span <= bits;
  const std::string overflow_reason = result.reason;
  if (q <= p) {
    result.reason =
        fmt::format("q = {} <= p = {} and 2p + 2 <= {}: rounding twice is harmless", q, p, bits);
  } else if (exact_sums) {
    result.reason = fmt::format("sums span {} bits: exact in the lane", span);
  } else if (underflow != Underflow::Gradual && p + q + 2 <= bits && lanes_fuse_multiply_add()) {
    result.plan.rounding = LaneRounding::Repaired;
    result.reason =
        fmt::format("product of {} bits into {}: the lane's rounding error is fed back", q, p);
  } else {
    return fails(fmt::format("products of {} bits into {} cannot be repaired in this lane", q, p));
  }
  const bool repaired = result.plan.rounding == LaneRounding::Repaired;
  switch (underflow) {
    case Underflow::Impossible:
      result.plan.rounding = repaired ? LaneRounding::Repaired : LaneRounding::Significand;
      result.reason += "; underflow impossible";
      break;
    case Underflow::Gradual:
      result.plan.rounding = LaneRounding::Gradual;
      result.results.quantum_exponent = format.min_quantum_exponent();
      result.reason += "; gradual underflow each step";
      break;
    case Underflow::Flush:
      result.plan.rounding = repaired ? LaneRounding::RepairedFlush : LaneRounding::Flush;
      result.reason += "; flushed each step";
      break;
  }
  result.reason += overflow_reason;
  return result;
}

}  // namespace

bool lane_is_accumulator(const Conversion& to, const LaneTraits& lane) {
  return lane.significand == 24 && to.format == NumberFormat{} && to.subnormals;
}

LevelResult plan_level(const Conversion& to, const Addends& addends, const LaneTraits& lane) {
  if (to.rounding.mode != RoundingMode::NearestEven) {
    return fails(fmt::format("rounding {}", to_string(to.rounding.mode)));
  }
  return to.format.is_float() ? plan_float(to, addends, lane) : plan_fixed(to, addends, lane);
}

}  // namespace narrowmac
