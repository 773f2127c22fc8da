#include "models/numerics/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "models/numerics/level_plan.h"

namespace narrowmac {
namespace {

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

/// True if a level that starts at +0 and rounds to nearest even never becomes -0: an exact zero sum
/// of which not both addends are -0 is +0, so only underflow leads there. The kernels that meet
/// underflow are Gradual, the flushing ones, and fp32's own lane below its smallest subnormal.
bool never_negative_zero(const Conversion& to, const LevelPlan& level, int addend_quantum,
                         const LaneTraits& lane) {
  switch (level.rounding) {
    case LaneRounding::Significand:
    case LaneRounding::Repaired:
    case LaneRounding::Quantum:
      return true;
    case LaneRounding::None:
      return to.format.is_fixed() || addend_quantum >= lane.quantum_exponent;
    default:
      return false;
  }
}

/// Adding a zero to an accumulator that is not zero leaves it: it is a value of its format. Adding
/// one to +0 leaves +0 under nearest even. So only an accumulator of -0 can change, into +0, and no
/// later non-zero addend sees the difference.
ZeroProducts zero_products_of(const PlanInput& input, const GemmPlan& plan, const LanePlan& levels,
                              const Addends& products, const LaneTraits& lane) {
  const auto to_nearest = [](const Conversion& to) {
    return to.rounding.mode == RoundingMode::NearestEven;
  };
  const Conversion& first = input.mac.accumulator;
  if (!to_nearest(first)) return ZeroProducts::Matter;
  bool unseen = never_negative_zero(first, plan.first, products.quantum_exponent, lane);
  if (input.order.chunk) {
    const Conversion& second = input.order.chunk->accumulator;
    if (!to_nearest(second)) return ZeroProducts::Matter;
    // Chunk sums are added whatever they are; a second accumulator of +0 does not see their sign.
    unseen = unseen ||
             never_negative_zero(second, plan.second, levels.first.results.quantum_exponent, lane);
  }
  return unseen ? ZeroProducts::ChangeNothing : ZeroProducts::ChangeSignsOfZero;
}

const char* explain(ZeroProducts zero_products) {
  switch (zero_products) {
    case ZeroProducts::ChangeNothing:
      return "zero products may be skipped: no sum can be -0, so they change no bits";
    case ZeroProducts::ChangeSignsOfZero:
      return "zero products may be skipped: they change no bits but the sign of -0, and results of "
             "-0 are recomputed";
    default:
      return "zero products are added: they may change the sign of a zero";
  }
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
  plan.zero_products = zero_products_of(input, plan, levels, products, lane);
  plan.reasons.emplace_back(explain(plan.zero_products));
  return {};
}

}  // namespace

GemmPlan make_plan(const PlanInput& input) {
  GemmPlan plan;
  plan.a = input.a;
  plan.b = input.b;
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

}  // namespace narrowmac
