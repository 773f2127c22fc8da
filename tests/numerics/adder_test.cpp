#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "models/numerics/gemm.h"
#include "models/numerics/reference.h"
#include "tests/numerics/adder_oracle.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"

namespace narrowmac {
namespace {

namespace random = random_design;
using random::Values;

GemmStatistics gemm_with_statistics(const GemmProblem& problem, const OutputView& out) {
  return gemm(problem, out, Observation{}).value_or(GemmStatistics{});
}

/// Compares outputs and counts with the oracle.
void expect_gemm(const random::Gemm& gemm) {
  const GemmShape shape = gemm.problem.shape();
  const std::string name = describe(gemm.problem.mac);
  GemmProblem rounded = gemm.problem;
  std::vector<double> starts;
  if (rounded.c0) {
    for (std::int64_t i = 0; i < shape.m * shape.n; ++i) {
      try {
        starts.push_back(initial_value(gemm.problem, i / shape.n, i % shape.n));
      } catch (const Error&) {
        return;
      }
    }
    rounded.c0 = OperandView::dense(starts.data(), shape.m, shape.n, shape.n);
  }
  std::vector<double> expected;
  GemmStatistics counts;
  for (std::int64_t i = 0; i < shape.m * shape.n; ++i) {
    const auto value = adder_oracle::output(rounded, i / shape.n, i % shape.n, &counts);
    if (!value) {
      std::vector<double> out(static_cast<std::size_t>(shape.m * shape.n));
      EXPECT_THROW(reference_gemm(gemm.problem, OutputView::of(out.data(), shape.n)), Error)
          << name;
      return;
    }
    expected.push_back(*value);
  }
  std::vector<double> out(expected.size(), -77);
  GemmStatistics statistics;
  reference_gemm(gemm.problem, OutputView::of(out.data(), shape.n), &statistics);
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_TRUE(same_bits(out[i], expected[i]))
        << name << " output " << i << ": " << out[i] << ", expected " << expected[i];
  }
  EXPECT_EQ(statistics.steps, counts.steps) << name;
  EXPECT_EQ(statistics.full_swamped, counts.full_swamped) << name;
  EXPECT_EQ(statistics.partial_swamped, counts.partial_swamped) << name;
  EXPECT_EQ(statistics.overflowed, counts.overflowed) << name;
  EXPECT_EQ(statistics.underflowed, counts.underflowed) << name;
}

void expect_designs(MacDesign (*design)(random::Generator&), std::uint64_t seed, int designs) {
  random::Generator generator(seed);
  for (int i = 0; i < designs && !testing::Test::HasFailure(); ++i) {
    const MacDesign mac = design(generator);
    const GemmShape shape{random::integer(generator, 1, 2), random::integer(generator, 1, 2),
                          random::integer(generator, 0, 45)};
    const Values values = random::kValues[random::integer(generator, 0, 5)];
    SCOPED_TRACE(i);
    expect_gemm(random::any_gemm(generator, mac, shape, values, random::chance(generator, 30)));
  }
}

TEST(TruncateAligned, ReferenceAgreesWithRationalNumbers) {
  expect_designs(random::any_truncate_aligned, 1, 1200);
}
TEST(DotOrder, ReferenceAgreesWithRationalNumbers) { expect_designs(random::any_dot, 2, 1500); }
TEST(ExactOrder, ReferenceAgreesWithRationalNumbers) { expect_designs(random::any_exact, 3, 1500); }

/// What every plan claims: the bits of the reference and its counts.
void expect_plan_is_reference(const random::Gemm& gemm, std::int64_t& in_lanes) {
  const GemmShape shape = gemm.problem.shape();
  const std::string plan = explain_plan(gemm.problem);
  std::vector<double> out(static_cast<std::size_t>(shape.m * shape.n), -77);
  std::vector<double> expected(out.size(), -78);
  GemmStatistics counts;
  const OutputView view = OutputView::of(out.data(), shape.n);
  const OutputView expected_view = OutputView::of(expected.data(), shape.n);
  try {
    reference_gemm(gemm.problem, expected_view, &counts);
  } catch (const Error&) {
    EXPECT_THROW(gemm_with_statistics(gemm.problem, view), Error) << plan;
    return;
  }
  const GemmStatistics statistics = gemm_with_statistics(gemm.problem, view);
  for (std::size_t i = 0; i < out.size() && !testing::Test::HasFailure(); ++i) {
    EXPECT_TRUE(same_bits(out[i], expected[i]))
        << plan << " output " << i << ": " << out[i] << ", expected " << expected[i];
  }
  EXPECT_EQ(statistics.steps, counts.steps) << plan;
  EXPECT_EQ(statistics.full_swamped, counts.full_swamped) << plan;
  EXPECT_EQ(statistics.partial_swamped, counts.partial_swamped) << plan;
  EXPECT_EQ(statistics.overflowed, counts.overflowed) << plan;
  EXPECT_EQ(statistics.underflowed, counts.underflowed) << plan;
  EXPECT_EQ(statistics.products, counts.products) << plan;
  EXPECT_EQ(statistics.nonzero_products, counts.nonzero_products) << plan;
  EXPECT_EQ(statistics.outputs(), counts.outputs()) << plan;
  in_lanes += plan.find("exact reference") == std::string::npos ? 1 : 0;
}

/// Shapes around tiles and pieces; at least `least` percent of the plans must run in lanes.
void expect_plans(MacDesign (*design)(random::Generator&), std::uint64_t seed, int designs,
                  int least) {
  random::Generator generator(seed);
  std::int64_t in_lanes = 0;
  for (int i = 0; i < designs && !testing::Test::HasFailure(); ++i) {
    const MacDesign mac = design(generator);
    const bool long_sums = random::chance(generator, 5);
    const GemmShape shape{
        random::integer(generator, 1, 9), random::integer(generator, 1, 37),
        long_sums ? random::integer(generator, 500, 1100) : random::integer(generator, 1, 90)};
    const Values values = random::kValues[random::integer(generator, 1, 5)];
    SCOPED_TRACE(i);
    expect_plan_is_reference(
        random::any_gemm(generator, mac, shape, values, random::chance(generator, 5)), in_lanes);
  }
  EXPECT_GE(in_lanes * 100, std::int64_t{least} * designs);
}

TEST(TruncateAligned, LanesAgreeWithTheReference) {
  expect_plans(random::any_truncate_aligned, 11, 500, 50);
}
TEST(DotOrder, LanesAgreeWithTheReference) { expect_plans(random::any_dot, 12, 500, 60); }
TEST(DotOrder, CountsGroupsWiderThanADoubleAsTheReferenceDoes) {
  random::Generator generator(14);
  std::int64_t in_pairs = 0, in_lanes = 0;
  constexpr int kDesigns = 60;
  for (int i = 0; i < kDesigns && !testing::Test::HasFailure(); ++i) {
    MacDesign mac;
    mac.a = mac.b = NumberFormat::parse("fp16");
    mac.accumulator.format = NumberFormat::parse("fp32");
    mac.accumulator.rounding.mode = RoundingMode::TowardZero;
    mac.dot =
        Dot{std::int64_t{4} << i % 3, 23 + i % 3, DotAccumulator::Aligned, Alignment::TowardZero};
    const GemmShape shape{3, 17, random::integer(generator, 1, 200)};
    const auto gemm = random::any_gemm(generator, mac, shape,
                                       i % 2 == 0 ? Values::Corners : Values::Finite, false);
    in_pairs += explain_plan(gemm.problem).find("pairs of doubles") != std::string::npos ? 1 : 0;
    expect_plan_is_reference(gemm, in_lanes);
  }
  EXPECT_GE(in_pairs, kDesigns / 2);
}
TEST(ExactOrder, LanesAgreeWithTheReference) { expect_plans(random::any_exact, 13, 400, 50); }

MacDesign small_design(const char* accumulator) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse(accumulator);
  return mac;
}

double one_step(const MacDesign& mac, double acc, double a, double b) {
  return mac_step(mac, acc, a, b).value;
}

TEST(TruncateAligned, BitsLostBeforeACancellationStayLost) {
  MacDesign mac = small_design("e6m3");
  mac.accumulator.rounding.mode = RoundingMode::TruncateAligned;
  // 16 - 1.25: with q = 2 the product vanishes; with one guard bit, q = 1, it is 1.
  EXPECT_EQ(one_step(mac, 16, -1.25, 1), 16);
  mac.accumulator.rounding.guard_bits = 1;
  EXPECT_EQ(one_step(mac, 16, -1.25, 1), 15);
  mac.accumulator.rounding.guard_bits = 3;
  EXPECT_EQ(one_step(mac, 16, -1.25, 1), 14);  // 14.75, truncated
}

TEST(TruncateAligned, CarryOutLosesItsLastBit) {
  MacDesign mac = small_design("e6m3");
  mac.accumulator.rounding.mode = RoundingMode::TruncateAligned;
  EXPECT_EQ(one_step(mac, 15, 1.5, 8), 26);  // 15 + 12 = 27: quantum 2
}

TEST(DotOrder, ProductsAreAlignedByUnnormalisedExponents) {
  MacDesign mac = small_design("fp32");
  mac.dot = Dot{2, 1, DotAccumulator::Aligned, Alignment::TowardZero};
  // 1.5 * 1.5 = 2.25 has the exponent 0 + 0, so halves are kept.
  const double a[] = {1.5, 0.75};
  const double b[] = {1.5, 1};
  EXPECT_EQ(dot_step(mac, *mac.dot, 0, a, b).step.value, 2.5);
  // A subnormal operand has the exponent -14: 2^-16 * 1 is 2^-14 * 0.25, below the last bit.
  const double small[] = {0x1p-16, 0x1p-14};
  const double ones[] = {1, 1};
  EXPECT_EQ(dot_step(mac, *mac.dot, 0, small, ones).step.value, 0x1p-14);
}

TEST(DotOrder, AccumulatorJoinsTheAlignmentOrNot) {
  MacDesign mac = small_design("fp32");
  mac.dot = Dot{2, 2, DotAccumulator::Aligned, Alignment::TowardZero};
  const double a[] = {1, 0.25};
  const double b[] = {1, 1};
  EXPECT_EQ(dot_step(mac, *mac.dot, 64, a, b).step.value, 64);
  mac.dot->accumulator = DotAccumulator::Separate;
  EXPECT_EQ(dot_step(mac, *mac.dot, 64, a, b).step.value, 65.25);
}

TEST(DotOrder, OnlyAFullGroupOfNegativeZerosIsNegative) {
  MacDesign mac = small_design("fp32");
  mac.dot = Dot{2, 2, DotAccumulator::Aligned, Alignment::TowardZero};
  const double zeros[] = {-0.0, -0.0};
  const double ones[] = {1, 1};
  const std::span<const double> one_zero(zeros, 1);
  EXPECT_TRUE(std::signbit(dot_step(mac, *mac.dot, -0.0, zeros, ones).step.value));
  EXPECT_FALSE(std::signbit(dot_step(mac, *mac.dot, 0.0, zeros, ones).step.value));
  EXPECT_FALSE(std::signbit(dot_step(mac, *mac.dot, -0.0, one_zero, one_zero).step.value));
}

TEST(ExactOrder, NothingIsLostBetweenTheEndsOfTheRange) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("bf16");
  mac.accumulator.format = NumberFormat::parse("fp32");
  mac.exact = true;
  const double a[] = {0x1p127, 0x1p-130, -0x1p127};
  const double b[] = {0x1p127, 0x1p10, 0x1p127};
  EXPECT_EQ(exact_step(mac, 0, a, b).value, 0x1p-120);
}

}  // namespace
}  // namespace narrowmac
