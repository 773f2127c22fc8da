#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "models/numerics/reference.h"
#include "tests/numerics/oracle.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"

namespace narrowmac {
namespace {

namespace random = random_design;

/// Compares every output and every count with the oracle; returns the number of outputs.
std::int64_t expect_gemm(const random::Gemm& gemm) {
  const GemmShape shape = gemm.problem.shape();
  const std::string name = describe(gemm.problem.mac);
  std::vector<double> out(static_cast<std::size_t>(shape.m * shape.n), -77);
  std::vector<double> expected(out.size());
  GemmStatistics expected_statistics;
  bool fails = false;
  for (std::int64_t m = 0; m < shape.m && !fails; ++m) {
    GemmStatistics row;
    for (std::int64_t n = 0; n < shape.n && !fails; ++n) {
      const auto value = oracle::output(gemm.problem, m, n, &row);
      fails = !value;
      expected[static_cast<std::size_t>(m * shape.n + n)] = value.value_or(0);
    }
    expected_statistics += row;
  }
  GemmStatistics statistics;
  const OutputView view = OutputView::of(out.data(), shape.n);
  if (fails) {
    EXPECT_THROW(reference_gemm(gemm.problem, view, &statistics), Error) << name;
    return 0;
  }
  reference_gemm(gemm.problem, view, &statistics);
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_TRUE(same_bits(out[i], expected[i]))
        << name << " output " << i << ": " << out[i] << ", expected " << expected[i];
  }
  EXPECT_EQ(statistics.steps, expected_statistics.steps) << name;
  EXPECT_EQ(statistics.full_swamped, expected_statistics.full_swamped) << name;
  EXPECT_EQ(statistics.partial_swamped, expected_statistics.partial_swamped) << name;
  EXPECT_EQ(statistics.overflowed, expected_statistics.overflowed) << name;
  EXPECT_EQ(statistics.underflowed, expected_statistics.underflowed) << name;
  EXPECT_EQ(statistics.products, expected_statistics.products) << name;
  EXPECT_EQ(statistics.nonzero_products, expected_statistics.nonzero_products) << name;
  EXPECT_EQ(statistics.narrow, expected_statistics.narrow) << name;
  const double scale = 1e-12 * expected_statistics.exact.squared_deviations;
  EXPECT_NEAR(statistics.exact.squared_deviations, expected_statistics.exact.squared_deviations,
              scale);
  return static_cast<std::int64_t>(out.size());
}

TEST(ReferenceGemm, AgreesWithTheOracleOverTheWholeSpaceOfDesigns) {
  random::Generator generator(42);
  std::int64_t outputs = 0;
  for (int i = 0; i < 1500 && !HasFailure(); ++i) {
    const MacDesign mac = random::any_design(generator);
    const GemmShape shape{random::integer(generator, 1, 3), random::integer(generator, 1, 3),
                          random::integer(generator, 0, 40)};
    const auto values = random::kValues[random::integer(generator, 0, 5)];
    outputs +=
        expect_gemm(random::any_gemm(generator, mac, shape, values, random::chance(generator, 30)));
  }
  std::printf("%lld outputs\n", static_cast<long long>(outputs));
}

TEST(ReferenceGemm, AgreesWithTheOracleAtLengthsAroundAChunk) {
  random::Generator generator(43);
  for (const std::int64_t k : {0, 1, 63, 64, 65, 4096}) {
    for (const GemmShape& shape : {GemmShape{1, 5, k}, GemmShape{5, 1, k}, GemmShape{1, 1, k}}) {
      for (const bool chunked : {false, true}) {
        MacDesign mac = random::common_design(generator);
        mac.chunk.reset();
        if (chunked) mac.chunk = Chunk{64, mac.accumulator};
        for (const bool with_c0 : {false, true}) {
          expect_gemm(random::any_gemm(generator, mac, shape, random::Values::Moderate, with_c0));
        }
      }
    }
  }
}

TEST(ReferenceGemm, OneOutputIsTheSameAlone) {
  random::Generator generator(44);
  MacDesign mac = random::common_design(generator);
  mac.accumulator.rounding = {RoundingMode::Stochastic, 8};
  const auto gemm = random::any_gemm(generator, mac, {3, 4, 50}, random::Values::Moderate, false);
  std::vector<double> out(12);
  reference_gemm(gemm.problem, OutputView::of(out.data(), 4));
  for (int i = 0; i < 12; ++i) {
    EXPECT_TRUE(
        same_bits(reference_output(gemm.problem, i / 4, i % 4), out[static_cast<std::size_t>(i)]));
  }
}

TEST(ReferenceGemm, LengthZeroGivesPlusZeroOrTheRoundedC0) {
  random::Gemm gemm;
  gemm.problem.mac.a = gemm.problem.mac.b = NumberFormat::parse("e5m2");
  gemm.problem.mac.accumulator.format = NumberFormat::parse("e6m3");
  gemm.problem.a = OperandView::dense(gemm.a.data(), 1, 0, 0);
  gemm.problem.b = OperandView::dense(gemm.b.data(), 0, 2, 2);
  std::vector<double> out = {7, 7};
  reference_gemm(gemm.problem, OutputView::of(out.data(), 2));
  EXPECT_TRUE(same_bits(out[0], 0.0));
  EXPECT_TRUE(same_bits(out[1], 0.0));
  gemm.c0 = {-0.0, 1.3};
  gemm.problem.c0 = OperandView::dense(gemm.c0.data(), 1, 2, 2);
  reference_gemm(gemm.problem, OutputView::of(out.data(), 2));
  EXPECT_TRUE(same_bits(out[0], -0.0));
  EXPECT_EQ(out[1], 1.25);
}

TEST(ReferenceGemm, ChunksSaveWhatSequentialSumsLose) {
  // 64 ones into e6m3 stop at 16; eight chunks of eight do not: 8, 16, 24, 32, ...
  std::vector<double> ones(64, 1.0);
  GemmProblem problem;
  problem.mac.a = problem.mac.b = NumberFormat::parse("e5m2");
  problem.mac.accumulator.format = NumberFormat::parse("e6m3");
  problem.a = OperandView::dense(ones.data(), 1, 64, 64);
  problem.b = OperandView::dense(ones.data(), 64, 1, 1);
  GemmStatistics statistics;
  EXPECT_EQ(reference_output(problem, 0, 0, &statistics), 16);
  EXPECT_EQ(statistics.steps, 64);
  EXPECT_EQ(statistics.full_swamped, 48);
  problem.order.chunk = Chunk{8, problem.mac.accumulator};
  EXPECT_EQ(reference_output(problem, 0, 0), 64);
}

TEST(ReferenceGemm, AnInfinityThatReachesFixedPointIsNamedByItsPlace) {
  std::vector<double> a = {1, 1, 1, 1, std::numeric_limits<double>::infinity(), 1};
  std::vector<double> b = {1, 1, 1};
  GemmProblem problem;
  problem.mac.a = problem.mac.b = NumberFormat::parse("e5m2");
  problem.mac.accumulator = {NumberFormat::parse("fx16.4"), {}, Overflow::Saturate, true};
  problem.a = OperandView::dense(a.data(), 2, 3, 3);
  problem.b = OperandView::dense(b.data(), 3, 1, 1);
  std::vector<double> out(2);
  try {
    reference_gemm(problem, OutputView::of(out.data(), 1));
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("m = 1, n = 0, at k = 1"), std::string::npos)
        << error.what();
  }
}

TEST(ReferenceGemm, AnInfiniteC0CannotEnterFixedPointWhateverItsOverflow) {
  std::vector<double> one = {1.0};
  std::vector<double> c0 = {std::numeric_limits<double>::infinity()};
  GemmProblem problem;
  problem.mac.a = problem.mac.b = NumberFormat::parse("int8");
  problem.a = OperandView::dense(one.data(), 1, 1, 1);
  problem.b = OperandView::dense(one.data(), 1, 1, 1);
  problem.c0 = OperandView::dense(c0.data(), 1, 1, 1);
  for (const Overflow overflow : {Overflow::Saturate, Overflow::Wrap}) {
    problem.mac.accumulator = {NumberFormat::parse("fx16.0"), {}, overflow, true};
    try {
      reference_output(problem, 0, 0);
      FAIL() << "expected an Error";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("C0 at m = 0, n = 0: infinity"), std::string::npos)
          << error.what();
    }
  }
}

TEST(ReferenceGemm, RefusesShapesThatDoNotFit) {
  std::vector<double> data(12, 1.0);
  GemmProblem problem;
  problem.mac.a = problem.mac.b = problem.mac.accumulator.format = NumberFormat::parse("e5m2");
  problem.a = OperandView::dense(data.data(), 3, 4, 4);
  problem.b = OperandView::dense(data.data(), 3, 4, 4);
  std::vector<double> out(12);
  EXPECT_THROW(reference_gemm(problem, OutputView::of(out.data(), 4)), Error);
  problem.b = OperandView::dense(data.data(), 4, 3, 3);
  problem.order.max_length = 3;
  EXPECT_THROW(reference_gemm(problem, OutputView::of(out.data(), 3)), Error);
  problem.order.max_length = 4;
  problem.c0 = OperandView::dense(data.data(), 3, 4, 4);
  EXPECT_THROW(reference_gemm(problem, OutputView::of(out.data(), 3)), Error);
}

TEST(ReferenceGemm, BitsAndStatisticsDoNotDependOnThreads) {
  random::Generator generator(45);
  MacDesign mac = random::common_design(generator);
  const auto gemm = random::any_gemm(generator, mac, {37, 11, 70}, random::Values::Moderate, false);
  std::vector<double> one(37 * 11);
  std::vector<double> many(37 * 11);
  GemmStatistics statistics_one;
  GemmStatistics statistics_many;
  {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 1);
    reference_gemm(gemm.problem, OutputView::of(one.data(), 11), &statistics_one, {5});
  }
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 4);
  reference_gemm(gemm.problem, OutputView::of(many.data(), 11), &statistics_many, {5});
  EXPECT_EQ(one, many);
  EXPECT_EQ(statistics_one, statistics_many);
  EXPECT_EQ(statistics_one.products, 5 * 11 * 70);
}

TEST(ObservedRows, AreOneOfEachEqualPart) {
  const std::vector<std::int64_t> rows = observed_rows({512}, 100352);
  ASSERT_EQ(rows.size(), 512U);
  for (std::size_t i = 0; i < rows.size(); ++i)
    EXPECT_EQ(rows[i] / 196, static_cast<std::int64_t>(i));
}

TEST(ObservedRows, SeeEveryColumnOfAnImageEvenWhereThePartsAreWholeImageRows) {
  // 100352 rows are 128 images of 28 x 28; 512 parts are 7 image rows each.
  std::vector<int> seen(28, 0);
  for (const std::int64_t row : observed_rows({512}, 100352))
    ++seen[static_cast<std::size_t>(row % 28)];
  for (const int count : seen) EXPECT_GT(count, 4);
}

TEST(ObservedRows, AreAllRowsUnlessFewerAreWanted) {
  EXPECT_EQ(observed_rows({0}, 3), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(observed_rows({9}, 3), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_TRUE(observed_rows({4}, 0).empty());
}

}  // namespace
}  // namespace narrowmac
