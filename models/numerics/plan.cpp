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
  if (level.increment == LaneIncrement::Aligned) {
    return lane.significand + 1 - to.format.fraction_bits - to.rounding.guard_bits;
  }
  if (level.rounding == LaneRounding::Directed) return 1;
  if (!to.format.is_float() || lane_is_accumulator(to, lane)) return 1;
  return lane.significand - to.format.precision() + 2;
}

bool is_directed(const LevelPlan& level) { return level.rounding == LaneRounding::Directed; }

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
/// plan. Rounding down clamps at the upper end.
bool clamp_hides_overflow(const LevelPlan& clamping, const LevelResult& other) {
  const bool clamps_above = is_directed(clamping) &&
                            clamping.increment == LaneIncrement::Negative && clamping.to_infinity;
  return (clamping.clamp || clamps_above) && !other.plan.clamp &&
         (other.plan.watch_overflow || other.plan.to_infinity ||
          other.results.bound_exponent > kFloat32.max_exponent);
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

/// Both levels in one lane type, with what the choice of a scale needs.
class LaneProof {
 public:
  LaneProof(const PlanInput& input, const LaneTraits& lane)
      : input_(input), lane_(lane), products_(products_of(input)) {}

  /// Fills the plan; the failure says why not.
  std::string run(GemmPlan& plan) {
    std::string failure = prove_levels(plan);
    if (!failure.empty()) return failure;
    return choose_scale(plan);
  }
  void explain_into(GemmPlan& plan) const {
    plan.reasons.push_back(
        fmt::format("{} lanes ({}): {}", lane_.name, lane_target_name(), levels_.first.reason));
    if (chunked()) plan.reasons.push_back("second accumulator: " + levels_.second.reason);
    if (plan.scale_exponent != 0 && !plan.infinities_in_lanes) {
      plan.reasons.push_back(fmt::format("B is scaled by 2^{} for that", plan.scale_exponent));
    }
    plan.reasons.emplace_back(explain(plan.zero_products));
  }

 private:
  [[nodiscard]] bool chunked() const { return input_.order.chunk.has_value(); }
  [[nodiscard]] const Conversion& first() const { return input_.mac.accumulator; }
  [[nodiscard]] const Conversion& second() const { return input_.order.chunk->accumulator; }

  std::string prove_levels(GemmPlan& plan) {
    if (lane_.significand == 24 && !(input_.mac.a.fits_float32() && input_.mac.b.fits_float32())) {
      return "operands are no float32 values";
    }
    levels_ = plan_levels(input_, products_, lane_);
    if (!levels_.failure.empty()) return levels_.failure;
    plan.first = levels_.first.plan;
    plan.second = levels_.second.plan;
    if (chunked() && (clamp_hides_overflow(plan.first, levels_.second) ||
                      clamp_hides_overflow(plan.second, levels_.first))) {
      return "one level saturates and the other may overflow";
    }
    const bool fused = lanes_fuse_multiply_add() &&
                       (lane_is_accumulator(first(), lane_) || is_directed(plan.first));
    if (products_.precision > lane_.significand && !fused) {
      return fmt::format("products of {} bits are not exact in the lane", products_.precision);
    }
    return {};
  }

  /// Exponent that everything stays below if nothing is scaled.
  [[nodiscard]] int top(const GemmPlan& plan) const {
    const int sums = levels_.first.results.bound_exponent;
    int top = std::max(products_.bound_exponent, sums) + headroom(first(), plan.first, lane_);
    if (chunked()) {
      top = std::max(
          top, levels_.second.results.bound_exponent + headroom(second(), plan.second, lane_));
    }
    return top;
  }

  std::string choose_scale(GemmPlan& plan) const {
    const bool all_lane =
        lane_is_accumulator(first(), lane_) && (!chunked() || lane_is_accumulator(second(), lane_));
    const bool directed = is_directed(plan.first) || is_directed(plan.second);
    std::optional<int> scale = watch_scale(first(), plan.first, lane_);
    if (chunked()) {
      const std::optional<int> other = watch_scale(second(), plan.second, lane_);
      // The larger scale only makes the other level's lanes overflow earlier: more to recompute,
      // never wrong.
      if (other) scale = scale ? std::max(*scale, *other) : other;
    }
    const bool fits = top(plan) <= lane_.max_exponent;
    const bool exact = exact_products(plan, 0);
    const auto covered = [](const LevelPlan& level) {
      return !level.watch_overflow || level.to_infinity;
    };
    plan.infinities_in_lanes =
        fits && exact && !all_lane && covered(plan.first) && covered(plan.second);
    if (directed) {
      if (!plan.infinities_in_lanes) return "sums may leave the lane's range";
      scale.reset();
      plan.first.watch_overflow = plan.second.watch_overflow = false;
    }
    plan.scale_exponent = scale.value_or(0);
    const bool scaled_exact = exact_products(plan, std::min(0, plan.scale_exponent));
    if (!scale && !all_lane && !fits) return "sums may leave the lane's range";
    // One rounding of product and sum together needs no exact product.
    const bool fused_is_exact = all_lane && !scale && lanes_fuse_multiply_add();
    if (!fused_is_exact && !scaled_exact) return "products may underflow in the lane";
    plan.lane = lane_.significand == 24 ? GemmPlan::Lane::Float32 : GemmPlan::Lane::Float64;
    // The instrumented kernel forms products on their own: an infinite one shows only where
    // overflow is watched.
    const bool finite_products = scale || products_.bound_exponent <= lane_.max_exponent;
    plan.counts_in_lanes = !directed && products_.precision <= lane_.significand - 2 &&
                           scaled_exact && finite_products;
    plan.counts_in_steps =
        is_directed(plan.first) && products_.precision <= lane_.significand - 2 &&
        products_.quantum_exponent >= lane_.quantum_exponent &&
        products_.bound_exponent <= lane_.max_exponent && narrower_than_lane(first()) &&
        (!chunked() || narrower_than_lane(second()));
    plan.infinite_results = plan.infinities_in_lanes && first().format.has_infinity() &&
                            (!chunked() || second().format.has_infinity());
    plan.zero_products = zero_products_of(input_, plan, levels_, products_, lane_);
    return {};
  }

  /// No error of a sum can hide in a difference of the lane.
  [[nodiscard]] bool narrower_than_lane(const Conversion& to) const {
    return to.format.precision() <= lane_.significand - 2;
  }

  /// True if the lane's products, scaled, lose no bits below its smallest subnormal. The proof of a
  /// Directed level has looked after that.
  [[nodiscard]] bool exact_products(const GemmPlan& plan, int scale) const {
    if (is_directed(plan.first)) return true;
    return products_.precision <= lane_.significand &&
           products_.quantum_exponent + scale >= lane_.quantum_exponent;
  }

  const PlanInput& input_;
  const LaneTraits& lane_;
  Addends products_;
  LanePlan levels_;
};

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
  if (input.order.dot || input.order.exact) {
    plan.groups = plan_groups(input);
    plan.reasons.push_back(plan.groups.reason);
    if (plan.groups.kernel != GroupPlan::Kernel::None) plan.lane = GemmPlan::Lane::Groups;
    return plan;
  }
  if (input.mac.product) return reference("the product is rounded");
  if (input.starts_from_c0) return reference("the accumulator starts from C0");
  if (!input.a.finite || !input.b.finite) return reference("operands hold infinities or NaN");
  plan.integers = plan_integers(input);
  for (const LaneTraits& lane : {kFloat32, kFloat64}) {
    LaneProof proof(input, lane);
    const std::string failure = proof.run(plan);
    if (failure.empty()) {
      proof.explain_into(plan);
      return plan;
    }
    plan.reasons.push_back(fmt::format("not in {} lanes: {}", lane.name, failure));
  }
  plan.first = {};
  plan.second = {};
  if (plan.integers.lanes != IntegerPlan::Lanes::None) {
    plan.lane = GemmPlan::Lane::Integer;
    return plan;
  }
  plan.scale_exponent = 0;
  plan.infinities_in_lanes = plan.infinite_results = false;
  return reference("no lane is proven");
}

}  // namespace narrowmac
