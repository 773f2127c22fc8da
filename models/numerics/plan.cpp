#include "models/numerics/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

namespace narrowmac {
namespace {

/// What is known of the addends of one level.
struct Addends {
  int precision = 0;         ///< significand bits
  int quantum_exponent = 0;  ///< every addend is a multiple of 2^quantum_exponent
  int bound_exponent = 0;    ///< every |addend| <= 2^bound_exponent
  std::int64_t count = 0;    ///< additions into one accumulator
};

/// A lane's significand bits and exponent range.
struct LaneTraits {
  const char* name;
  int significand;
  int max_exponent;      ///< of the largest finite value
  int quantum_exponent;  ///< of the smallest subnormal
};
constexpr LaneTraits kFloat32 = {"float32", 24, 127, -149};
constexpr LaneTraits kFloat64 = {"float64", 53, 1023, -1074};

int log2_ceil(std::int64_t value) {
  return value <= 1 ? 0 : 64 - std::countl_zero(static_cast<std::uint64_t>(value - 1));
}

/// Smallest e with |every value of the format| <= 2^e.
int format_bound_exponent(const NumberFormat& format) {
  if (format.is_float()) return format.max_exponent() + 1;
  return format.precision() - format.fraction_bits;
}

/// A level planned in a lane, and what it hands on; or the reason why the lane is not exact.
struct LevelResult {
  LevelPlan plan;
  Addends results;  ///< count unused
  std::string reason;
  std::string failure;
  [[nodiscard]] bool ok() const { return failure.empty(); }
};

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

/// The lane's own arithmetic is the accumulator's: fp32 in float32 lanes.
bool lane_is_accumulator(const Conversion& to, const LaneTraits& lane) {
  return lane.significand == 24 && to.format == NumberFormat{} && to.subnormals;
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

LevelResult plan_level(const Conversion& to, const Addends& addends, const LaneTraits& lane) {
  if (to.rounding.mode != RoundingMode::NearestEven) {
    return fails(fmt::format("rounding {}", to_string(to.rounding.mode)));
  }
  return to.format.is_float() ? plan_float(to, addends, lane) : plan_fixed(to, addends, lane);
}

/// The scale that makes a lane overflow where a watched level reaches its top binade, or 0.
std::optional<int> watch_scale(const Conversion& to, const LevelPlan& level,
                               const LaneTraits& lane) {
  if (!level.watch_overflow) return std::nullopt;
  const int dropped = lane.significand - to.format.precision();
  return lane.max_exponent + 2 - dropped - to.format.max_exponent();
}

/// Room that the lane's intermediate values need above the sums: they are multiplied by 2^(L-p),
/// Gradual by twice that.
int headroom(const Conversion& to, const LevelPlan& level, const LaneTraits& lane) {
  if (level.watch_overflow || !to.format.is_float() || lane_is_accumulator(to, lane)) return 1;
  return lane.significand - to.format.precision() + 2;
}

Addends products_of(const PlanInput& input) {
  Addends products;
  products.precision = input.mac.a.precision() + input.mac.b.precision();
  products.quantum_exponent = input.a.quantum_exponent + input.b.quantum_exponent;
  const bool zero = input.a.zero || input.b.zero;
  products.bound_exponent =
      zero ? products.quantum_exponent : input.a.max_exponent + input.b.max_exponent + 2;
  products.count = input.shape.k;
  if (input.order.chunk) products.count = std::min(products.count, input.order.chunk->length);
  return products;
}

/// Both levels of a plan in one lane type, or the failure of the first that is not exact.
struct LanePlan {
  LevelResult first, second;
  std::string failure;
};

LanePlan plan_levels(const PlanInput& input, const Addends& products, const LaneTraits& lane) {
  LanePlan plan;
  plan.first = plan_level(input.mac.accumulator, products, lane);
  if (!plan.first.ok()) {
    plan.failure = plan.first.failure;
  } else if (input.order.chunk) {
    Addends sums = plan.first.results;
    sums.count = (input.shape.k + input.order.chunk->length - 1) / input.order.chunk->length;
    plan.second = plan_level(input.order.chunk->accumulator, sums, lane);
    if (!plan.second.ok()) plan.failure = "second accumulator: " + plan.second.failure;
  }
  return plan;
}

/// A clamp turns a lane that left the finite numbers back into one, so the two must not meet in one
/// plan.
bool clamp_hides_overflow(const LevelPlan& clamping, const LevelResult& other) {
  return clamping.clamp && !other.plan.clamp &&
         (other.plan.watch_overflow || other.results.bound_exponent > kFloat32.max_exponent);
}

/// Plans a GEMM in one lane type; the failure says why not.
std::string try_lane(const PlanInput& input, const LaneTraits& lane, GemmPlan& plan) {
  if (lane.significand == 24 && !(input.mac.a.fits_float32() && input.mac.b.fits_float32())) {
    return "operands are no float32 values";
  }
  const Conversion& accumulator = input.mac.accumulator;
  const Addends products = products_of(input);
  const bool chunked = input.order.chunk.has_value();
  const bool first_is_lane = lane_is_accumulator(accumulator, lane);
  const bool second_is_lane = chunked && lane_is_accumulator(input.order.chunk->accumulator, lane);
  const bool all_lane = first_is_lane && (!chunked || second_is_lane);
  if (products.precision > lane.significand && !(first_is_lane && lanes_fuse_multiply_add())) {
    return fmt::format("products of {} bits are not exact in the lane", products.precision);
  }
  const LanePlan levels = plan_levels(input, products, lane);
  if (!levels.failure.empty()) return levels.failure;
  plan.first = levels.first.plan;
  plan.second = levels.second.plan;
  int top = std::max(products.bound_exponent, levels.first.results.bound_exponent) +
            headroom(accumulator, plan.first, lane);
  std::optional<int> scale = watch_scale(accumulator, plan.first, lane);
  if (chunked) {
    const Conversion& to = input.order.chunk->accumulator;
    top = std::max(top, levels.second.results.bound_exponent + headroom(to, plan.second, lane));
    const std::optional<int> second_scale = watch_scale(to, plan.second, lane);
    // The larger scale only makes the other level's lanes overflow earlier: more to recompute,
    // never wrong.
    if (second_scale) scale = scale ? std::max(*scale, *second_scale) : second_scale;
    if (clamp_hides_overflow(plan.first, levels.second) ||
        clamp_hides_overflow(plan.second, levels.first)) {
      return "one level saturates and the other may overflow";
    }
  }
  plan.scale_exponent = scale.value_or(0);
  const int scaled_quantum = products.quantum_exponent + std::min(0, plan.scale_exponent);
  const bool exact_products =
      products.precision <= lane.significand && scaled_quantum >= lane.quantum_exponent;
  if (!scale && !all_lane && top > lane.max_exponent) return "sums may leave the lane's range";
  if (!(all_lane && !scale) && !exact_products) return "products may underflow in the lane";
  plan.lane = lane.significand == 24 ? GemmPlan::Lane::Float32 : GemmPlan::Lane::Float64;
  // The instrumented kernel forms products on their own: an infinite one shows only where overflow
  // is watched.
  const bool finite_products = scale || products.bound_exponent <= lane.max_exponent;
  plan.counts_in_lanes =
      products.precision <= lane.significand - 2 && exact_products && finite_products;
  plan.reasons.push_back(
      fmt::format("{} lanes ({}): {}", lane.name, lane_target_name(), levels.first.reason));
  if (chunked) plan.reasons.push_back("second accumulator: " + levels.second.reason);
  if (scale)
    plan.reasons.push_back(fmt::format("B is scaled by 2^{} for that", plan.scale_exponent));
  return {};
}

}  // namespace

GemmPlan make_plan(const PlanInput& input) {
  GemmPlan plan;
  const auto reference = [&](std::string why) {
    plan.reasons.push_back("exact reference: " + std::move(why));
    return plan;
  };
  if (input.shape.k == 0) return reference("no products");
  if (input.mac.product) return reference("the product is rounded");
  if (input.starts_from_c0) return reference("the accumulator starts from C0");
  if (!input.a.finite || !input.b.finite) return reference("operands hold infinities or NaN");
  for (const LaneTraits& lane : {kFloat32, kFloat64}) {
    const std::string failure = try_lane(input, lane, plan);
    if (failure.empty()) return plan;
    plan.reasons.push_back(fmt::format("not in {} lanes: {}", lane.name, failure));
  }
  plan.first = {};
  plan.second = {};
  plan.scale_exponent = 0;
  return reference("no lane is proven");
}

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
