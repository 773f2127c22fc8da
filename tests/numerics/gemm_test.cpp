// The kernels against the exact reference: bits and statistics of every plan, on every vector
// target.
#include "models/numerics/gemm.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/plan.h"
#include "models/numerics/reference.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"
#include "tests/numerics/vector_targets.h"

namespace narrowmac {
namespace {

using random_design::Generator;
using random_design::Values;

GemmPlan plan_of(const GemmProblem& problem) {
  return make_plan({problem.mac, problem.order, problem.shape(),
                    scan_operand(problem.a, problem.mac.a), scan_operand(problem.b, problem.mac.b),
                    problem.c0.has_value()});
}

std::string plan_name(const GemmPlan& plan) {
  if (plan.lane == GemmPlan::Lane::Reference) return "reference";
  std::string name = plan.lane == GemmPlan::Lane::Float32 ? "float32, " : "float64, ";
  name += to_string(plan.first.rounding);
  if (plan.first.clamp) name += ", clamped";
  if (plan.first.watch_overflow) name += ", overflow watched";
  return name;
}

struct Result {
  std::vector<double> values;
  GemmStatistics statistics;
};

Result by_reference(const GemmProblem& problem) {
  const GemmShape shape = problem.shape();
  Result result;
  result.values.resize(static_cast<std::size_t>(shape.m * shape.n));
  reference_gemm(problem, OutputView::of(result.values.data(), shape.n), &result.statistics);
  return result;
}

Result by_kernel(const GemmProblem& problem) {
  const GemmShape shape = problem.shape();
  Result result;
  result.values.resize(static_cast<std::size_t>(shape.m * shape.n));
  result.statistics = *gemm(problem, OutputView::of(result.values.data(), shape.n), Observation{});
  return result;
}

void expect_close(std::optional<double> found, std::optional<double> expected, const char* what) {
  ASSERT_EQ(found.has_value(), expected.has_value()) << what;
  // The lanes sum in double, the reference exactly; relative to fp32's own tiny errors that shows.
  if (found) {
    EXPECT_NEAR(*found, *expected, 1e-6 * std::abs(*expected) + 1e-18) << what;
  }
}

void expect_same(const Result& found, const Result& expected, const std::string& where) {
  SCOPED_TRACE(where);
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    ASSERT_TRUE(same_bits(found.values[i], expected.values[i]))
        << "output " << i << ": " << found.values[i] << " instead of " << expected.values[i];
  }
  const GemmStatistics& f = found.statistics;
  const GemmStatistics& e = expected.statistics;
  ASSERT_EQ(f.steps, e.steps);
  ASSERT_EQ(f.full_swamped, e.full_swamped);
  ASSERT_EQ(f.partial_swamped, e.partial_swamped);
  ASSERT_EQ(f.overflowed, e.overflowed);
  ASSERT_EQ(f.underflowed, e.underflowed);
  ASSERT_EQ(f.products, e.products);
  ASSERT_EQ(f.nonzero_products, e.nonzero_products);
  ASSERT_EQ(f.outputs(), e.outputs());
  expect_close(f.vrr(), e.vrr(), "VRR");
  expect_close(f.nmse(), e.nmse(), "NMSE");
}

std::string describe(const GemmProblem& problem) {
  const GemmShape shape = problem.shape();
  return narrowmac::describe(problem.mac) + ", " + std::to_string(shape.m) + " x " +
         std::to_string(shape.n) + " x " + std::to_string(shape.k) + ", " +
         plan_name(plan_of(problem));
}

/// Counts what was compared, by plan, and prints it at the end.
class Tally {
 public:
  void add(const GemmProblem& problem, std::int64_t times) {
    accumulations_[plan_name(plan_of(problem))] += problem.shape().macs() * times;
  }
  [[nodiscard]] std::size_t plans() const { return accumulations_.size(); }
  void print() const {
    std::int64_t total = 0;
    for (const auto& [plan, count] : accumulations_) {
      std::printf("  %-44s %10lld accumulations\n", plan.c_str(), static_cast<long long>(count));
      total += count;
    }
    std::printf("  %-44s %10lld\n", "all", static_cast<long long>(total));
  }

 private:
  std::map<std::string, std::int64_t> accumulations_;
};

GemmShape any_shape(Generator& generator) {
  const auto side = [&](int limit) {
    return random_design::chance(generator, 20) ? 1 : random_design::integer(generator, 1, limit);
  };
  constexpr std::int64_t kLengths[] = {0, 1, 2, 31, 63, 64, 65, 127, 200};
  return {side(27), side(70), kLengths[random_design::integer(generator, 0, 8)]};
}

void compare(Generator& generator, const MacDesign& mac, Tally& tally) {
  const Values values = random_design::kValues[random_design::integer(generator, 0, 5)];
  const auto gemm_case = random_design::any_gemm(generator, mac, any_shape(generator), values,
                                                 random_design::chance(generator, 5));
  Result expected;
  try {
    expected = by_reference(gemm_case.problem);
  } catch (const Error&) {
    // NaN or infinity on its way into fixed point: the kernel must refuse it, too.
    EXPECT_THROW(by_kernel(gemm_case.problem), Error) << describe(gemm_case.problem);
    return;
  }
  expect_same(by_kernel(gemm_case.problem), expected, describe(gemm_case.problem));
  tally.add(gemm_case.problem, 1);
}

TEST(Gemm, EveryPlanGivesTheBitsAndCountsOfTheReferenceOnCommonDesigns) {
  Generator generator(20261);
  Tally tally;
  for (int i = 0; i < 1200 && !HasFatalFailure(); ++i) {
    compare(generator, random_design::common_design(generator), tally);
  }
  tally.print();
  EXPECT_GE(tally.plans(), 6U);
}

TEST(Gemm, EveryPlanGivesTheBitsAndCountsOfTheReferenceOnAnyDesign) {
  Generator generator(20262);
  Tally tally;
  for (int i = 0; i < 1500 && !HasFatalFailure(); ++i) {
    MacDesign mac = random_design::any_design(generator);
    // Nearest even is what the lanes compute; half of the designs are turned to it.
    if (random_design::chance(generator, 50)) {
      mac.product.reset();
      mac.accumulator.rounding = {};
      if (mac.chunk) mac.chunk->accumulator.rounding = {};
    }
    compare(generator, mac, tally);
  }
  tally.print();
  EXPECT_GE(tally.plans(), 12U);
}

TEST(Gemm, EveryVectorTargetGivesTheSameBits) {
  Generator generator(20263);
  for (int i = 0; i < 150 && !HasFatalFailure(); ++i) {
    const MacDesign mac = random_design::common_design(generator);
    const Values values = random_design::kValues[random_design::integer(generator, 1, 5)];
    const auto gemm_case =
        random_design::any_gemm(generator, mac, any_shape(generator), values, false);
    const Result expected = by_reference(gemm_case.problem);
    for_each_vector_target([&](const char* target) {
      expect_same(by_kernel(gemm_case.problem), expected,
                  std::string(target) + ": " + describe(gemm_case.problem));
    });
  }
}

MacDesign mac_of(const char* operands, const char* accumulator,
                 Overflow overflow = Overflow::Infinity) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse(operands);
  mac.accumulator.format = NumberFormat::parse(accumulator);
  mac.accumulator.overflow = overflow;
  return mac;
}

/// A dense problem of floats; the vectors must outlive it.
GemmProblem dense_problem(const MacDesign& mac, const std::vector<float>& a,
                          const std::vector<float>& b, std::int64_t m, std::int64_t n,
                          std::int64_t k) {
  GemmProblem problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac);
  problem.a = OperandView::dense(a.data(), m, k, k);
  problem.b = OperandView::dense(b.data(), k, n, n);
  return problem;
}

TEST(Gemm, RepairsAnAccumulatorNarrowerThanTheProductWhereTheProductDominates) {
  // acc = 2^-30, P = 1.25 * 1.25: float32 rounds the sum to 1.5625, a tie, and to 1.5; the exact
  // step gives 1.625.
  const MacDesign mac = mac_of("e5m2", "e6m3");
  const std::vector<float> a = {std::ldexp(1.0F, -15), 1.25F};
  const std::vector<float> b = {std::ldexp(1.0F, -15), 1.25F};
  const GemmProblem problem = dense_problem(mac, a, b, 1, 1, 2);
  EXPECT_EQ(plan_of(problem).first.rounding, LaneRounding::Repaired);
  EXPECT_EQ(by_kernel(problem).values[0], 1.625);
  EXPECT_EQ(by_reference(problem).values[0], 1.625);
}

TEST(Gemm, RefusesTheRuleThatOnlyCountsBits) {
  // p = 16, q = 6: acc = 2^-16 (1 + 2^-15), P = 1 is wrong in float32 although p + q + 2 <= 24.
  const MacDesign mac = mac_of("e8m2", "e8m15");
  const std::vector<float> a = {std::ldexp(1.0F, -16), std::ldexp(1.0F, -31), 1.0F};
  const std::vector<float> b = {1.0F, 1.0F, 1.0F};
  const GemmProblem problem = dense_problem(mac, a, b, 1, 1, 3);
  EXPECT_EQ(plan_of(problem).lane, GemmPlan::Lane::Float64);
  EXPECT_TRUE(same_bits(by_kernel(problem).values[0], by_reference(problem).values[0]));
}

TEST(Gemm, LongSumsAgreeAtEveryChunkBoundary) {
  Generator generator(5);
  for (const char* accumulator : {"e6m9", "e6m3", "e5m2", "fp32"}) {
    for (const std::int64_t k : {4095, 4096, 4097}) {
      MacDesign mac = mac_of("e5m2", accumulator);
      for (const std::int64_t length : {0, 1, 63, 64, 5000}) {
        mac.chunk.reset();
        if (length > 0) mac.chunk = Chunk{length, mac.accumulator};
        const auto gemm_case =
            random_design::any_gemm(generator, mac, {3, 18, k}, Values::Moderate, false);
        expect_same(by_kernel(gemm_case.problem), by_reference(gemm_case.problem),
                    describe(gemm_case.problem));
      }
    }
  }
}

TEST(Gemm, SaturatingFixedPointNeedsNoReference) {
  Generator generator(6);
  for (const char* accumulator : {"fx24.0", "fx16.0", "fx16.-4", "fx16.-8", "fx32.0"}) {
    const MacDesign mac = mac_of("int8", accumulator, Overflow::Saturate);
    const auto gemm_case =
        random_design::any_gemm(generator, mac, {13, 33, 900}, Values::Finite, false);
    EXPECT_NE(plan_of(gemm_case.problem).lane, GemmPlan::Lane::Reference) << accumulator;
    expect_same(by_kernel(gemm_case.problem), by_reference(gemm_case.problem),
                describe(gemm_case.problem));
  }
}

TEST(Gemm, ASaturatedSumIsNoMultipleOfTheProductsUnit) {
  // Products are integers, but the largest e2m2 is 3.5: the second level must round it.
  MacDesign mac = mac_of("int8", "e2m2", Overflow::Saturate);
  mac.chunk = Chunk{4, {NumberFormat::parse("fx8.0"), {}, Overflow::Saturate, true}};
  const std::vector<float> five = {5.0F};
  const std::vector<float> one = {1.0F};
  const GemmProblem rounded = dense_problem(mac, five, one, 1, 1, 1);
  EXPECT_EQ(by_reference(rounded).values[0], 4.0);
  expect_same(by_kernel(rounded), by_reference(rounded), describe(rounded));
  // 7 becomes 3.9375; adding -4 leaves -0.0625, which is below the smallest normal number, 1.
  mac = mac_of("int8", "e2m5", Overflow::Saturate);
  mac.accumulator.subnormals = false;
  const std::vector<float> a = {7.0F, -4.0F};
  const std::vector<float> b = {1.0F, 1.0F};
  const GemmProblem flushed = dense_problem(mac, a, b, 1, 1, 2);
  EXPECT_TRUE(same_bits(by_reference(flushed).values[0], -0.0));
  expect_same(by_kernel(flushed), by_reference(flushed), describe(flushed));
}

/// A random convolution's three patch matrices.
struct Convolution {
  ConvolutionPatches forward, backward;
  std::vector<float> x, dy;
};

Convolution any_convolution(Generator& generator, const NumberFormat& format) {
  const auto integer = [&](int low, int high) {
    return random_design::integer(generator, low, high);
  };
  const std::int64_t kernel = integer(1, 3);
  const std::int64_t stride = integer(1, 2);
  const std::int64_t padding = integer(0, static_cast<int>(kernel) - 1);
  ConvolutionPatches f;
  f.images = integer(1, 3);
  f.height = kernel + integer(0, 6);
  f.width = kernel + integer(0, 6);
  f.channels = integer(1, 5);
  f.kernel_height = f.kernel_width = kernel;
  f.out_height = (f.height + 2 * padding - kernel) / stride + 1;
  f.out_width = (f.width + 2 * padding - kernel) / stride + 1;
  f.step = stride;
  f.offset_y = f.offset_x = -padding;
  ConvolutionPatches b;
  b.images = f.images;
  b.height = f.out_height;
  b.width = f.out_width;
  b.channels = integer(1, 6);
  b.out_height = f.height;
  b.out_width = f.width;
  b.kernel_height = b.kernel_width = kernel;
  b.offset_y = b.offset_x = padding;
  b.direction = -1;
  b.divisor = stride;
  Convolution convolution{f, b, {}, {}};
  const auto fill = [&](std::vector<float>& values, const ConvolutionPatches& c) {
    values.resize(static_cast<std::size_t>(c.images * c.height * c.width * c.channels));
    for (float& value : values) {
      value = static_cast<float>(random_design::any_value(generator, format, Values::Moderate));
    }
  };
  fill(convolution.x, f);
  fill(convolution.dy, b);
  return convolution;
}

/// Designs of every kind of lanes: to nearest, stochastic, integers one by one and in pairs.
MacDesign convolution_design(int index) {
  MacDesign mac = mac_of("e5m2", "e6m5");
  switch (index % 5) {
    case 1:
      mac.accumulator.rounding = {RoundingMode::Stochastic, 7};
      break;
    case 2:
      mac.accumulator.rounding = {RoundingMode::Stochastic, 3};
      mac.chunk = Chunk{5, {NumberFormat::parse("e6m8"), {RoundingMode::Stochastic, 12}}};
      break;
    case 3:
      mac = mac_of("int8", "fx16.0", Overflow::Saturate);
      if (index % 2 == 0) mac.chunk = Chunk{7, mac.accumulator};
      break;
    case 4:
      mac = mac_of("int8", index % 2 == 0 ? "fx32.0" : "fx15.0", Overflow::Wrap);
      break;
    default:
      break;
  }
  return mac;
}

TEST(Gemm, ReadsConvolutionPatchesOfEveryPassWithoutCopyingTheirMatrix) {
  Generator generator(7);
  for (int i = 0; i < 300 && !HasFatalFailure(); ++i) {
    const MacDesign mac = convolution_design(i);
    const Convolution c = any_convolution(generator, mac.a);
    const OperandView views[] = {OperandView::patches(c.x.data(), c.forward),
                                 OperandView::patches(c.dy.data(), c.backward),
                                 OperandView::patches(c.x.data(), c.forward).transposed()};
    for (const OperandView& view : views) {
      const std::int64_t n = random_design::integer(generator, 1, 20);
      std::vector<float> b(static_cast<std::size_t>(view.columns() * n));
      for (float& value : b) {
        value = static_cast<float>(random_design::any_value(generator, mac.b, Values::Moderate));
      }
      GemmProblem problem;
      problem.mac = mac;
      problem.order = accumulation_order(mac);
      problem.a = view;
      problem.b = OperandView::dense(b.data(), view.columns(), n, n);
      problem.seed = static_cast<std::uint64_t>(i);
      expect_same(by_kernel(problem), by_reference(problem), describe(problem));
    }
  }
}

TEST(Gemm, ReadsTransposedAndStridedOperands) {
  Generator generator(8);
  const MacDesign mac = mac_of("e4m3", "e5m9");
  for (int i = 0; i < 100 && !HasFatalFailure(); ++i) {
    const std::int64_t m = random_design::integer(generator, 1, 30);
    const std::int64_t n = random_design::integer(generator, 1, 40);
    const std::int64_t k = random_design::integer(generator, 1, 90);
    const std::int64_t gap = random_design::integer(generator, 0, 3);
    std::vector<float> a(static_cast<std::size_t>((m + gap) * (k + gap)));
    std::vector<float> b(static_cast<std::size_t>((n + gap) * (k + gap)));
    for (float& v : a)
      v = static_cast<float>(random_design::any_value(generator, mac.a, Values::Finite));
    for (float& v : b)
      v = static_cast<float>(random_design::any_value(generator, mac.b, Values::Finite));
    GemmProblem problem;
    problem.mac = mac;
    problem.order = accumulation_order(mac);
    problem.a = i % 2 == 0 ? OperandView::dense(a.data(), m, k, k + gap)
                           : OperandView::dense(a.data(), k, m, m + gap).transposed();
    problem.b = i % 3 == 0 ? OperandView::dense(b.data(), k, n, n + gap)
                           : OperandView::dense(b.data(), n, k, k + gap).transposed();
    expect_same(by_kernel(problem), by_reference(problem), describe(problem));
  }
}

TEST(Gemm, BitsAndStatisticsDoNotDependOnThreads) {
  Generator generator(9);
  const MacDesign mac = mac_of("e5m2", "e6m3");
  const auto gemm_case =
      random_design::any_gemm(generator, mac, {150, 40, 700}, Values::Moderate, false);
  const Result expected = by_kernel(gemm_case.problem);
  for (const std::size_t threads : {1U, 2U, 3U}) {
    const tbb::global_control control(tbb::global_control::max_allowed_parallelism, threads);
    const Result found = by_kernel(gemm_case.problem);
    EXPECT_EQ(found.values, expected.values);
    EXPECT_EQ(found.statistics, expected.statistics);
  }
}

TEST(Gemm, ObservesEvenlySpreadRows) {
  Generator generator(10);
  const MacDesign mac = mac_of("e5m2", "e6m3");
  const auto gemm_case =
      random_design::any_gemm(generator, mac, {101, 20, 64}, Values::Moderate, false);
  std::vector<double> out(101 * 20);
  const auto kernel = gemm(gemm_case.problem, OutputView::of(out.data(), 20), Observation{10});
  GemmStatistics reference;
  reference_gemm(gemm_case.problem, OutputView::of(out.data(), 20), &reference, Observation{10});
  EXPECT_EQ(kernel->outputs(), 200);
  EXPECT_EQ(kernel->full_swamped, reference.full_swamped);
  EXPECT_EQ(kernel->steps, reference.steps);
}

TEST(Gemm, ObservedRowsKeepTheirRandomWords) {
  Generator generator(11);
  MacDesign mac = mac_of("e5m2", "e6m3");
  mac.accumulator.rounding = {RoundingMode::Stochastic, 8};
  mac.chunk = Chunk{16, mac.accumulator};
  const auto gemm_case =
      random_design::any_gemm(generator, mac, {101, 20, 64}, Values::Moderate, false);
  std::vector<double> out(101 * 20);
  const auto kernel = gemm(gemm_case.problem, OutputView::of(out.data(), 20), Observation{10});
  GemmStatistics reference;
  reference_gemm(gemm_case.problem, OutputView::of(out.data(), 20), &reference, Observation{10});
  EXPECT_EQ(kernel->steps, reference.steps);
  EXPECT_EQ(kernel->full_swamped, reference.full_swamped);
  EXPECT_EQ(kernel->partial_swamped, reference.partial_swamped);
  EXPECT_DOUBLE_EQ(*kernel->nmse(), *reference.nmse());
}

TEST(Gemm, ShapesThatDoNotFitAreRefusedByName) {
  const std::vector<float> values(100, 1.0F);
  GemmProblem problem = dense_problem(mac_of("e5m2", "e6m9"), values, values, 2, 3, 4);
  problem.b = OperandView::dense(values.data(), 5, 3, 3);
  std::vector<float> out(6);
  try {
    gemm(problem, OutputView::of(out.data(), 3));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "A is 2 x 4 and B is 5 x 3: A's columns must equal B's rows");
  }
}

}  // namespace
}  // namespace narrowmac
