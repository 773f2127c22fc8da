#include "models/array/pe/pe_grid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "models/array/timing.h"
#include "models/design/error.h"
#include "models/numerics/reference.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"
#include "tests/numerics/vector_targets.h"

namespace narrowmac {
namespace {

using random_design::chance;
using random_design::Generator;
using random_design::integer;

constexpr Dataflow kDataflows[] = {Dataflow::OutputStationary, Dataflow::WeightStationary,
                                   Dataflow::InputStationary};
using MakeGrid = std::unique_ptr<PeGrid> (*)(const GemmProblem&, const ArrayDesign&);

ArrayDesign random_array(Generator& generator) {
  const int sides[] = {1, 2, 3, 5, 8, 17};
  ArrayDesign array;
  array.rows = sides[integer(generator, 0, 5)];
  array.columns = sides[integer(generator, 0, 5)];
  array.dataflow = kDataflows[integer(generator, 0, 2)];
  array.psum = chance(generator, 50) ? Psum::Buffer : Psum::Chained;
  array.policy = static_cast<Policy>(integer(generator, 0, 2));
  if (chance(generator, 50)) {
    array.multiplier_latency = integer(generator, 0, 3);
    array.adder_latency = integer(generator, 1, 5);
    array.interleave = integer(generator, 1, 5);
  }
  return array;
}

/// 1, R - 1, R, R + 1 and primes.
GemmShape random_shape(Generator& generator, const ArrayDesign& array) {
  const auto side = [&]() -> std::int64_t {
    const int sides[] = {1, array.rows - 1, array.rows, array.rows + 1, array.columns + 1, 13, 29};
    return std::max(1, sides[integer(generator, 0, 6)]);
  };
  return {side(), side(), side()};
}

/// Makes the array able to do the design, in its own order.
void fit(const ArrayDesign& array, MacDesign& mac, GemmShape& shape) {
  if (array.dataflow == Dataflow::OutputStationary || array.psum == Psum::Chained) return;
  if (mac.chunk) {
    mac.chunk->length = array.rows;
  } else {
    shape.k = std::min<std::int64_t>(shape.k, array.rows);
  }
}

/// The bits, or nothing if the design refuses the operands.
std::optional<std::vector<double>> reference_bits(const GemmProblem& problem) {
  const GemmShape shape = problem.shape();
  std::vector<double> out(static_cast<std::size_t>(shape.m * shape.n));
  try {
    reference_gemm(problem, OutputView::of(out.data(), shape.n));
  } catch (const Error&) {
    return std::nullopt;
  }
  return out;
}

/// Clocks the grid to its end, at most to `limit`.
std::vector<double> clocked_bits(PeGrid& grid, const GemmShape& shape, std::int64_t limit) {
  while (!grid.done() && grid.clocks() < limit) grid.clock();
  std::vector<double> out(static_cast<std::size_t>(shape.m * shape.n));
  grid.write(OutputView::of(out.data(), shape.n));
  return out;
}

void expect_same(const std::vector<double>& actual, const std::vector<double>& expected,
                 const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_TRUE(same_bits(actual[i], expected[i]))
        << what << ": output " << i << " is " << actual[i] << ", not " << expected[i];
  }
}

/// Bits are the reference's, cycles the closed form's.
void check(MakeGrid make, const random_design::Gemm& gemm, const ArrayDesign& array) {
  const GemmProblem& problem = gemm.problem;
  const std::string what = describe(problem.mac) + " on " + describe(array);
  const std::int64_t cycles = timing(problem.shape(), array, problem.mac).cycles.total();
  const auto expected = reference_bits(problem);
  const auto grid = make(problem, array);
  if (!expected) {
    EXPECT_THROW(clocked_bits(*grid, problem.shape(), cycles + 10), Error) << what;
    return;
  }
  expect_same(clocked_bits(*grid, problem.shape(), cycles + 10), *expected, what);
  ASSERT_EQ(grid->clocks(), cycles) << what;
  ASSERT_TRUE(grid->done());
}

void check_random(MakeGrid make, MacDesign (*design)(Generator&), int trials, bool with_c0) {
  Generator generator(11);
  for (int trial = 0; trial < trials; ++trial) {
    ArrayDesign array = random_array(generator);
    MacDesign mac = design(generator);
    if (mac.dot || mac.exact) array.dataflow = Dataflow::OutputStationary;
    GemmShape shape = random_shape(generator, array);
    fit(array, mac, shape);
    const auto values = random_design::kValues[integer(generator, 0, 5)];
    random_design::Gemm gemm =
        random_design::any_gemm(generator, mac, shape, values, with_c0 && chance(generator, 30));
    gemm.problem.order = accumulation_order(mac, array);
    check(make, gemm, array);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(PeGrid, ExactStepsGiveTheReferencesBitsInTheClosedFormsCyclesForAnyDesign) {
  check_random(&make_exact_grid, &random_design::any_design, 600, true);
}

TEST(PeGrid, TheFastestGridGivesTheReferencesBitsInTheClosedFormsCyclesForAnyDesign) {
  check_random(&make_pe_grid, &random_design::any_design, 600, true);
}

TEST(PeGrid, TheFastestGridGivesTheReferencesBitsForCommonDesigns) {
  check_random(&make_pe_grid, &random_design::common_design, 600, false);
}

TEST(PeGrid, TruncateAlignedGivesTheReferencesBitsInEveryGrid) {
  check_random(&make_exact_grid, &random_design::any_truncate_aligned, 80, true);
  check_random(&make_pe_grid, &random_design::any_truncate_aligned, 200, true);
}

TEST(PeGrid, DotsAndExactSumsGiveTheReferencesBitsInTheClosedFormsCycles) {
  check_random(&make_pe_grid, &random_design::any_dot, 200, true);
  check_random(&make_pe_grid, &random_design::any_exact, 150, true);
}

/// Stochastic on one level at least; mostly what lanes can do.
MacDesign stochastic_design(Generator& generator) {
  const char* accumulators[] = {"e6m9", "e6m3", "e5m4", "e8m15", "fx24.6"};
  const auto rounding = [&] {
    return Rounding{RoundingMode::Stochastic, integer(generator, 1, 24)};
  };
  MacDesign mac;
  mac.a = NumberFormat::parse("e5m2");
  mac.b = NumberFormat::parse("e4m3");
  mac.accumulator.format = NumberFormat::parse(accumulators[integer(generator, 0, 4)]);
  mac.accumulator.overflow = Overflow::Saturate;
  const bool only_second = chance(generator, 30);
  if (only_second || chance(generator, 50)) {
    mac.chunk = Chunk{integer(generator, 1, 9), mac.accumulator};
    if (only_second || chance(generator, 70)) mac.chunk->accumulator.rounding = rounding();
  }
  if (!only_second) mac.accumulator.rounding = rounding();
  return mac;
}

TEST(PeGrid, LanesDrawTheReferencesRandomBitsInEveryPe) {
  for_each_vector_target([](const char* target) {
    SCOPED_TRACE(target);
    check_random(&make_pe_grid, &stochastic_design, 400, false);
  });
}

TEST(PeGrid, AnOrderOfAccumulationThatIsNotTheArraysIsRefused) {
  Generator generator(5);
  ArrayDesign array;
  array.dataflow = Dataflow::WeightStationary;
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse("e6m9");
  mac.chunk = Chunk{array.rows, mac.accumulator};
  random_design::Gemm gemm =
      random_design::any_gemm(generator, mac, {3, 4, 5}, random_design::Values::Moderate, false);
  gemm.problem.order.chunk.reset();
  EXPECT_THROW(make_pe_grid(gemm.problem, array), Error);
}

}  // namespace
}  // namespace narrowmac
