// One step of the kernels, exhaustively: every accumulator value, every product.
#include "models/numerics/kernel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "models/numerics/convert.h"
#include "models/numerics/plan.h"
#include "models/numerics/reference.h"
#include "tests/numerics/same_bits.h"
#include "tests/numerics/vector_targets.h"

namespace narrowmac {
namespace {

std::vector<double> finite_values(const NumberFormat& format) {
  std::vector<double> values;
  for (std::uint64_t code = 0; code < (std::uint64_t{1} << format.width); ++code) {
    const double value = decode(code, format);
    if (std::isfinite(value)) values.push_back(value);
  }
  return values;
}

OperandRange full_range(const NumberFormat& format) {
  OperandRange range;
  range.zero = false;
  range.max_exponent =
      static_cast<int>(std::floor(std::log2(std::max(format.max_value(), -format.lowest_value()))));
  range.quantum_exponent = format.min_quantum_exponent();
  return range;
}

/// The accumulator values that sums of products can reach: multiples of the products' quantum, none
/// that a design without subnormals would have flushed, and no negative zero, which no sum from +0
/// gives without underflow.
std::vector<double> reachable_values(const MacDesign& mac, const GemmPlan& plan) {
  const bool underflows = plan.first.rounding == LaneRounding::Gradual ||
                          plan.first.rounding == LaneRounding::Flush ||
                          plan.first.rounding == LaneRounding::RepairedFlush;
  const double quantum =
      std::ldexp(1.0, mac.a.min_quantum_exponent() + mac.b.min_quantum_exponent());
  std::vector<double> values;
  for (const double value : finite_values(mac.accumulator.format)) {
    if (std::fmod(value, quantum) != 0.0) continue;
    const bool flushed = mac.accumulator.format.is_float() && !mac.accumulator.subnormals &&
                         std::abs(value) < mac.accumulator.format.smallest_normal();
    if (value != 0 && flushed) continue;
    if (value == 0 && std::signbit(value) && !underflows) continue;
    values.push_back(value);
  }
  return values;
}

/// Every (accumulator, a, b) through the planned kernel of one lane type; returns the number of
/// steps compared.
template <typename T>
std::int64_t compare_all_steps(const MacDesign& mac, const GemmPlan& plan) {
  const LaneStep<T> step = lane_step<T>(mac.accumulator, plan.first, plan.scale_exponent);
  const std::vector<double> accumulators = reachable_values(mac, plan);
  const std::vector<double> as = finite_values(mac.a);
  const std::vector<double> bs = finite_values(mac.b);
  const TileKernel<T> kernel =
      select_tile<T>(static_cast<std::int64_t>(bs.size()), plan.first.rounding);
  const double scale = std::ldexp(1.0, plan.scale_exponent);
  std::vector<T> sums(static_cast<std::size_t>(kernel.rows * kernel.columns));
  std::vector<T> b_row(static_cast<std::size_t>(kernel.columns));
  std::int64_t compared = 0;
  const Segment segment{0, 0, 1, false};
  for (const double acc : accumulators) {
    for (const double a : as) {
      const T a_lane = static_cast<T>(a);
      for (std::size_t first = 0; first < bs.size(); first += b_row.size()) {
        for (std::size_t i = 0; i < b_row.size(); ++i) {
          b_row[i] = static_cast<T>(first + i < bs.size() ? bs[first + i] * scale : 0.0);
        }
        std::fill(sums.begin(), sums.end(), static_cast<T>(acc * scale));
        TileWork<T> work;
        for (int r = 0; r < kernel.rows; ++r) work.a_rows[r] = &a_lane;
        work.b = b_row.data();
        work.segments = &segment;
        work.segment_count = 1;
        work.sums = sums.data();
        kernel.run(step, step, work);
        for (std::size_t i = 0; i < b_row.size() && first + i < bs.size(); ++i) {
          if (plan.first.watch_overflow && !std::isfinite(sums[i]))
            continue;  // recomputed by the caller
          const double expected = mac_step(mac, acc, a, bs[first + i]).value;
          const double found = static_cast<double>(sums[i]) / scale;
          ++compared;
          if (!same_bits(found, expected)) {
            ADD_FAILURE() << describe(mac) << ": " << acc << " + " << a << " * " << bs[first + i]
                          << " = " << found << " instead of " << expected;
            return compared;
          }
        }
      }
    }
  }
  return compared;
}

std::int64_t compare_all_steps(const MacDesign& mac) {
  const AccumulationOrder order = accumulation_order(mac);
  const GemmPlan plan =
      make_plan({mac, order, {1, 64, 1000}, full_range(mac.a), full_range(mac.b), false});
  switch (plan.lane) {
    case GemmPlan::Lane::Float32:
      return compare_all_steps<float>(mac, plan);
    case GemmPlan::Lane::Float64:
      return compare_all_steps<double>(mac, plan);
    default:
      return 0;
  }
}

TEST(Kernel, EveryStepOfSmallAccumulatorsIsExact) {
  std::int64_t compared = 0;
  std::int64_t planned = 0;
  for (const char* accumulator : {"e2m1", "e2m5", "e3m2", "e3m4", "e4m3", "e4m3fn", "e5m2", "e6m1",
                                  "e4m1", "fx8.0", "fx8.3", "fx6.-2", "fx5.2", "fx8.-4"}) {
    for (const char* operands : {"e2m1", "e3m2", "e2m3", "fx4.1", "int4"}) {
      for (const bool subnormals : {true, false}) {
        MacDesign mac;
        mac.a = mac.b = NumberFormat::parse(operands);
        mac.accumulator.format = NumberFormat::parse(accumulator);
        mac.accumulator.subnormals = subnormals;
        for (const Overflow overflow : {Overflow::Infinity, Overflow::Saturate}) {
          if (mac.accumulator.format.is_fixed() && (overflow == Overflow::Infinity || !subnormals))
            continue;
          mac.accumulator.overflow = overflow;
          const std::int64_t steps = compare_all_steps(mac);
          compared += steps;
          planned += steps > 0 ? 1 : 0;
        }
      }
    }
  }
  std::printf("  %lld designs, %lld steps compared\n", static_cast<long long>(planned),
              static_cast<long long>(compared));
  EXPECT_GT(planned, 150);
}

TEST(Kernel, EveryTargetRepairsNarrowAccumulatorsAlike) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e4m2");
  mac.accumulator.format = NumberFormat::parse("e6m1");
  for_each_vector_target([&](const char* target) {
    SCOPED_TRACE(target);
    compare_all_steps(mac);
  });
}

}  // namespace
}  // namespace narrowmac
