#include "models/numerics/group_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/numerics/level_plan.h"
#include "models/numerics/plan.h"

namespace narrowmac {
namespace {

/// Exponents between which everything lies that a dot unit adds.
struct DotRange {
  int product_quantum = 0;  ///< products are multiples of 2^this
  int product_bound = 0;    ///< and below 2^this
  int lowest_exponent = 0;  ///< Emax of a group with a product that is not zero, at least
  int highest_exponent = 0;
};

DotRange range_of(const PlanInput& input) {
  DotRange range;
  const MacDesign& mac = input.mac;
  range.product_quantum = input.a.quantum_exponent + input.b.quantum_exponent;
  range.product_bound = input.a.max_exponent + input.b.max_exponent + 2;
  range.lowest_exponent = range.product_quantum + mac.a.fraction_bits + mac.b.fraction_bits;
  // Rounding away from zero can make sums grow without addends; every other sum stays within that
  // of the products, doubled by the last rounding.
  const RoundingMode mode = mac.accumulator.rounding.mode;
  const bool grows = input.order.dot->alignment != Alignment::TowardZero ||
                     mode == RoundingMode::Down || mode == RoundingMode::Stochastic;
  const int largest = mac.accumulator.format.max_exponent();
  const int sums = range.product_bound + log2_ceil(input.shape.k) + 1;
  const int most = input.starts_from_c0 || grows ? largest : std::min(sums, largest);
  range.highest_exponent = std::max(range.product_bound, most);
  return range;
}

/// Empty if every group's products are exact in a lane, and aligned exactly in `sum_bits` bits.
std::string dot_failure(const PlanInput& input, const DotRange& range, const LaneTraits& lane,
                        int sum_bits) {
  const Dot& dot = *input.order.dot;
  const int product_bits = input.mac.a.precision() + input.mac.b.precision();
  if (product_bits > lane.significand) return fmt::format("products have {} bits", product_bits);
  const int bits = dot.fraction_bits + 2 + log2_ceil(dot.terms) +
                   (dot.alignment == Alignment::NearestEven ? 1 : 0);
  if (bits > sum_bits) return fmt::format("aligned sums have {} bits", bits);
  if (range.product_quantum < lane.quantum_exponent || range.product_bound > lane.max_exponent) {
    return "products may leave the lane's range";
  }
  const int lowest_scale = dot.fraction_bits - range.highest_exponent;
  const int highest_scale = dot.fraction_bits - range.lowest_exponent;
  if (highest_scale > lane.max_exponent || lowest_scale < 1 - lane.max_exponent) {
    return "the alignment's scale may leave the lane's range";
  }
  // A product that vanishes while it is scaled would not be rounded down.
  if (dot.alignment == Alignment::Down &&
      range.product_quantum + lowest_scale < lane.quantum_exponent) {
    return "scaled products may vanish in the lane";
  }
  return {};
}

bool zeros_are_positive(const PlanInput& input, int quantum) {
  const Conversion& to = input.mac.accumulator;
  if (input.starts_from_c0 || to.rounding.mode == RoundingMode::Down) return false;
  // The largest value, to which a clamp leads, need not be a multiple of the products' quantum.
  const int values = std::min(quantum, to.format.max_exponent() - to.format.fraction_bits);
  return underflow_of(to, values) == Underflow::Impossible;
}

GroupPlan plan_dot(const PlanInput& input) {
  GroupPlan plan;
  const Dot& dot = *input.order.dot;
  if (!input.mac.accumulator.format.is_float()) {
    plan.reason = "exact reference: a dot into a fixed-point accumulator";
    return plan;
  }
  const DotRange range = range_of(input);
  const std::string narrow = input.mac.a.fits_float32() && input.mac.b.fits_float32()
                                 ? dot_failure(input, range, kFloat32, 31)
                                 : "operands are no float32 values";
  const std::string wide = dot_failure(input, range, kFloat64, 50);
  if (narrow.empty() && wide.empty()) {
    plan.kernel = GroupPlan::Kernel::DotFloat32;
    plan.reason = fmt::format("dot of {}: products in float32 lanes ({}), aligned as int32",
                              dot.terms, lane_target_name());
  } else if (wide.empty()) {
    plan.kernel = GroupPlan::Kernel::DotFloat64;
    plan.reason =
        fmt::format("dot of {}: products aligned in float64 lanes ({}); not in float32: {}",
                    dot.terms, lane_target_name(), narrow);
  } else {
    plan.reason = fmt::format("exact reference: not in float64 lanes: {}", wide);
    return plan;
  }
  plan.reason += "; each group's sum is rounded in float64";
  plan.zeros_recomputed = !zeros_are_positive(input, range.product_quantum);
  if (plan.zeros_recomputed) plan.reason += "; results of zero are recomputed for their sign";
  const int group_bits = range.product_bound + log2_ceil(dot.terms) - range.product_quantum;
  plan.group_sums_in_pairs = group_bits > kFloat64.significand;
  // In a pair the low part adds up the rounding errors of `terms` sums.
  plan.counts =
      !input.starts_from_c0 && group_bits + log2_ceil(dot.terms) <= 2 * kFloat64.significand;
  if (plan.counts && plan.group_sums_in_pairs) {
    plan.reason += "; statistics add a group's products as pairs of doubles";
  }
  return plan;
}

/// Slices into which A and B must be cut so that sums of products of slices have at most 53 bits.
constexpr int kMaxSlices = 4;

GroupPlan plan_exact(const PlanInput& input) {
  GroupPlan plan;
  if (input.mac.product) {
    plan.reason = "exact reference: the product is rounded";
    return plan;
  }
  if (input.starts_from_c0) {
    plan.reason = "exact reference: C0 is one more term";
    return plan;
  }
  const auto width = [](const OperandRange& range) {
    return range.zero ? 1 : range.max_exponent + 1 - range.quantum_exponent;
  };
  const int a_width = width(input.a);
  const int b_width = width(input.b);
  const int quantum = input.a.quantum_exponent + input.b.quantum_exponent;
  const bool in_range = quantum >= kFloat64.quantum_exponent;
  int best = kMaxSlices * kMaxSlices + 1;
  for (int a = 1; a <= kMaxSlices; ++a) {
    for (int b = 1; b <= kMaxSlices; ++b) {
      const int bits = (a_width + a - 1) / a + (b_width + b - 1) / b + log2_ceil(input.shape.k);
      if (bits > kFloat64.significand || a * b >= best || !in_range) continue;
      best = a * b;
      plan.a_slices = a;
      plan.b_slices = b;
    }
  }
  if (best > kMaxSlices * kMaxSlices) {
    plan.reason =
        fmt::format("exact reference: sums of products of {} and {} bits", a_width, b_width);
    return plan;
  }
  plan.kernel = GroupPlan::Kernel::Exact;
  plan.counts = true;
  plan.zeros_recomputed = input.mac.accumulator.rounding.mode == RoundingMode::Down;
  plan.reason = fmt::format("float64 lanes ({}): no sum has more than 53 bits", lane_target_name());
  if (best > 1) {
    plan.reason += fmt::format(" with A in {} and B in {} slice{}", plan.a_slices, plan.b_slices,
                               plan.b_slices == 1 ? "" : "s");
  }
  plan.reason += "; rounded once, by the reference";
  return plan;
}

}  // namespace

GroupPlan plan_groups(const PlanInput& input) {
  if (!input.a.finite || !input.b.finite) {
    return {.reason = "exact reference: operands hold infinities or NaN"};
  }
  return input.order.dot ? plan_dot(input) : plan_exact(input);
}

}  // namespace narrowmac
