#include "models/numerics/level_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace narrowmac {
namespace {

/// Binades above a sum that rounding to nearest even needs: the lane multiplies by 2^(L-p), Gradual
/// by twice that.
int headroom_of(const NumberFormat& format, const LaneTraits& lane) {
  return format.is_float() ? lane.significand - format.precision() + 2 : 1;
}

LevelResult plan_fixed(const Conversion& to, const Addends& addends, const LaneTraits& lane) {
  const NumberFormat& format = to.format;
  const int quantum = -format.fraction_bits;
  const bool drops_bits = addends.quantum_exponent < quantum;
  LevelResult result;
  result.plan.rounding = drops_bits ? LaneRounding::Quantum : LaneRounding::None;
  Conversion rounded = to;
  if (!drops_bits) rounded.rounding = {};
  const Growth growth = growth_of(rounded, addends);
  result = plan_overflow(result, to, growth, lane, 1);
  if (!result.ok()) return result;
  const int sum_bound = std::max(std::min(growth.bound_exponent, result.results.bound_exponent),
                                 addends.bound_exponent) +
                        1;
  const int finest = std::min(quantum, addends.quantum_exponent);
  if (sum_bound - finest > lane.significand)
    return level_fails("sums need more bits than the lane has");
  if (drops_bits && sum_bound - quantum > lane.significand - 2) {
    return level_fails("the rounding constant needs more bits than the lane has");
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

LevelResult plan_float(const Conversion& to, const Addends& addends, const LaneTraits& lane) {
  const NumberFormat& format = to.format;
  const int p = format.precision();
  const int q = addends.precision;
  const int bits = lane.significand;
  LevelResult result;
  result.results.precision = p;
  if (lane_is_accumulator(to, lane)) {
    if (!lanes_fuse_multiply_add() && q > bits)
      return level_fails("the processor does not fuse multiply and add");
    result.plan.clamp = to.overflow == Overflow::Saturate;
    result.results.bound_exponent =
        std::min(format.max_exponent() + 1, growth_of(to, addends).bound_exponent);
    result.results.quantum_exponent =
        std::max(value_quantum(result.plan, format, addends), lane.quantum_exponent);
    result.reason = "the lane's fused multiply-add is the fp32 accumulator";
    return result;
  }
  if (2 * p + 2 > bits)
    return level_fails(fmt::format("2p + 2 = {} exceeds the lane's {} bits", 2 * p + 2, bits));
  result = plan_overflow(result, to, growth_of(to, addends), lane, headroom_of(format, lane));
  if (!result.ok()) return result;
  const int sum_bound = std::max(result.results.bound_exponent, addends.bound_exponent) + 1;
  const int quantum = value_quantum(result.plan, format, addends);
  result.results.quantum_exponent = quantum;
  const Underflow underflow = underflow_of(to, quantum);
  const int span = sum_bound - quantum;
  const bool exact_sums = span <= bits;
  // What the accumulator can hold, from its last unit up to a sum that overflows.
  const int window =
      result.results.bound_exponent + 1 - std::max(quantum, format.min_quantum_exponent());
  const std::string overflow_reason = result.reason;
  if (q <= p) {
    result.reason =
        fmt::format("q = {} <= p = {} and 2p + 2 <= {}: rounding twice is harmless", q, p, bits);
  } else if (exact_sums) {
    result.reason = fmt::format("sums span {} bits: exact in the lane", span);
  } else if (window <= bits && p + q + 2 <= bits) {
    result.reason = fmt::format(
        "accumulators span {} bits: sums are exact in the lane or round to the accumulator",
        window);
  } else if (underflow != Underflow::Gradual && p + q + 2 <= bits && lanes_fuse_multiply_add()) {
    result.plan.rounding = LaneRounding::Repaired;
    result.reason =
        fmt::format("product of {} bits into {}: the lane's rounding error is fed back", q, p);
  } else {
    return level_fails(
        fmt::format("products of {} bits into {} cannot be repaired in this lane", q, p));
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
  return lane.significand == 24 && to.format == NumberFormat{} && to.subnormals &&
         to.rounding.mode == RoundingMode::NearestEven;
}

LevelResult plan_level(const Conversion& to, const Addends& addends, const LaneTraits& lane) {
  if (to.format.is_fixed()) {
    const bool drops_bits = addends.quantum_exponent < -to.format.fraction_bits;
    if (!drops_bits || to.rounding.mode == RoundingMode::NearestEven) {
      return plan_fixed(to, addends, lane);
    }
    return plan_directed(to, addends, lane);
  }
  if (to.rounding.mode != RoundingMode::NearestEven) return plan_directed(to, addends, lane);
  return plan_float(to, addends, lane);
}

}  // namespace narrowmac
