// Gradient GEMMs from the non-zero values of one operand against the exact reference: bits, on
// every vector target.
#include "models/numerics/gradient_gemm.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "models/numerics/convert.h"
#include "models/numerics/reference.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"
#include "tests/numerics/vector_targets.h"

namespace narrowmac {
namespace {

using random_design::chance;
using random_design::Generator;
using random_design::integer;
using random_design::Values;

GemmPlan plan_of(const GemmProblem& problem) {
  return make_plan({problem.mac, problem.order, problem.shape(),
                    scan_operand(problem.a, problem.mac.a), scan_operand(problem.b, problem.mac.b),
                    problem.c0.has_value()});
}

/// A gradient GEMM with its operands. Not copyable: the problem looks into the vectors.
struct Gradient {
  std::vector<float> x, dy;
  GemmProblem problem;
  std::string text;
  Gradient() = default;
  Gradient(const Gradient&) = delete;
  Gradient& operator=(const Gradient&) = delete;
  Gradient(Gradient&&) = default;
  Gradient& operator=(Gradient&&) = default;
};

void fill(Generator& generator, std::vector<float>& values, const MacDesign& mac,
          const NumberFormat& format, Values kind) {
  constexpr int kZeroPercent[] = {0, 20, 50, 90, 100};
  const int zeros = kZeroPercent[integer(generator, 0, 4)];
  for (float& value : values) {
    value = static_cast<float>(random_design::any_operand_value(generator, mac, format, kind));
    if (chance(generator, zeros)) value = chance(generator, 50) ? -0.0F : 0.0F;
  }
}

/// Any kernel, stride and padding, also such that taps or pixels meet nothing.
ConvolutionPatches any_patches(Generator& generator) {
  ConvolutionPatches patches;
  patches.images = integer(generator, 1, 3);
  patches.height = integer(generator, 1, 9);
  patches.width = integer(generator, 1, 9);
  patches.channels = chance(generator, 30) ? integer(generator, 1, 3) : integer(generator, 4, 37);
  patches.kernel_height = integer(generator, 1, 4);
  patches.kernel_width = integer(generator, 1, 4);
  patches.step = integer(generator, 1, 3);
  const auto padding = [&](std::int64_t kernel) {
    return chance(generator, 30) ? 0 : integer(generator, 0, static_cast<int>(kernel));
  };
  const auto positions = [&](std::int64_t size, std::int64_t kernel, std::int64_t pad) {
    return std::max<std::int64_t>(1, (size + 2 * pad - kernel) / patches.step + 1);
  };
  const std::int64_t pad_y = padding(patches.kernel_height);
  const std::int64_t pad_x = padding(patches.kernel_width);
  patches.offset_y = -pad_y;
  patches.offset_x = -pad_x;
  patches.out_height = positions(patches.height, patches.kernel_height, pad_y);
  patches.out_width = positions(patches.width, patches.kernel_width, pad_x);
  return patches;
}

Gradient any_gradient(Generator& generator, const MacDesign& mac) {
  Gradient gradient;
  const Values kind = random_design::kValues[integer(generator, 1, 5)];
  const int n = chance(generator, 30) ? integer(generator, 1, 4) : integer(generator, 5, 40);
  GemmProblem& problem = gradient.problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac);
  std::int64_t k = 0;
  if (chance(generator, 25)) {
    k = integer(generator, 1, 90);
    const std::int64_t features = integer(generator, 1, 60);
    const std::int64_t row = features + integer(generator, 0, 2);
    gradient.x.resize(static_cast<std::size_t>(k * row));
    problem.a = OperandView::dense(gradient.x.data(), k, features, row).transposed();
    gradient.text = "dense";
  } else {
    const ConvolutionPatches c = any_patches(generator);
    k = c.rows();
    gradient.x.resize(static_cast<std::size_t>(c.images * c.height * c.width * c.channels));
    problem.a = OperandView::patches(gradient.x.data(), c).transposed();
    gradient.text = std::to_string(c.images) + " x " + std::to_string(c.height) + " x " +
                    std::to_string(c.width) + " x " + std::to_string(c.channels) + ", kernel " +
                    std::to_string(c.kernel_height) + " x " + std::to_string(c.kernel_width) +
                    ", step " + std::to_string(c.step) + ", offset " + std::to_string(c.offset_y) +
                    " " + std::to_string(c.offset_x);
  }
  const std::int64_t dy_row = n + integer(generator, 0, 1);
  gradient.dy.resize(static_cast<std::size_t>(k * dy_row));
  fill(generator, gradient.x, mac, mac.a, kind);
  fill(generator, gradient.dy, mac, mac.b, kind);
  problem.b = OperandView::dense(gradient.dy.data(), k, n, dy_row);
  gradient.text +=
      ", N = " + std::to_string(n) + ", K = " + std::to_string(k) + ", " + describe(problem.mac);
  return gradient;
}

/// A design whose sums float32 lanes hold, with or without chunks.
MacDesign any_lane_design(Generator& generator) {
  MacDesign mac = random_design::common_design(generator);
  if (chance(generator, 30)) {
    mac.a = mac.b = NumberFormat::parse(chance(generator, 50) ? "int8" : "e4m3");
    mac.accumulator.format = NumberFormat::parse(chance(generator, 50) ? "fx16.0" : "fx16.-4");
    mac.accumulator.overflow = Overflow::Saturate;
    mac.accumulator.subnormals = true;
    if (mac.chunk) mac.chunk->accumulator = mac.accumulator;
  } else if (chance(generator, 30)) {
    // Few exponents: overflow is forced, and watched or clamped.
    mac.accumulator.format = NumberFormat::parse(chance(generator, 50) ? "e4m5" : "e4m3");
    if (mac.chunk) mac.chunk->accumulator = mac.accumulator;
  }
  return mac;
}

std::vector<double> by_reference(const GemmProblem& problem) {
  const GemmShape shape = problem.shape();
  std::vector<double> values(static_cast<std::size_t>(shape.m * shape.n));
  reference_gemm(problem, OutputView::of(values.data(), shape.n));
  return values;
}

/// Runs a kernel into float64 and, with room between the rows, float32 outputs, and compares; false
/// if it gave up.
bool same_results(const Gradient& gradient, const GemmPlan& plan, GradientKernel kernel,
                  const std::vector<double>& expected, const std::string& where) {
  const GemmShape shape = gradient.problem.shape();
  std::vector<double> wide(expected.size(), 7.0);
  if (!run_gradient_kernel(gradient.problem, plan, kernel, OutputView::of(wide.data(), shape.n))) {
    return false;
  }
  const std::int64_t stride = shape.n + 3;
  std::vector<float> narrow(static_cast<std::size_t>(shape.m * stride), 7.0F);
  run_gradient_kernel(gradient.problem, plan, kernel, OutputView::of(narrow.data(), stride));
  for (std::int64_t row = 0; row < shape.m; ++row) {
    for (std::int64_t column = 0; column < stride; ++column) {
      const double small =
          static_cast<double>(narrow[static_cast<std::size_t>(row * stride + column)]);
      if (column >= shape.n) {
        EXPECT_EQ(small, 7.0) << where;
        continue;
      }
      const double right = expected[static_cast<std::size_t>(row * shape.n + column)];
      const double found = wide[static_cast<std::size_t>(row * shape.n + column)];
      EXPECT_TRUE(same_bits(small, static_cast<double>(static_cast<float>(right))));
      EXPECT_TRUE(same_bits(found, right)) << where << ", output " << row << ", " << column << ": "
                                           << found << " instead of " << right;
      if (testing::Test::HasFailure()) return true;
    }
  }
  return true;
}

struct Tally {
  std::int64_t runs[3] = {};
  std::int64_t accumulations = 0, watched = 0, clamped = 0, gradual = 0, chunked = 0;

  void add(const Gradient& gradient, const GemmPlan& plan, GradientKernel kernel) {
    ++runs[static_cast<int>(kernel)];
    accumulations += gradient.problem.shape().macs();
    watched += plan.first.watch_overflow ? 1 : 0;
    clamped += plan.first.clamp ? 1 : 0;
    gradual += plan.zero_products == ZeroProducts::ChangeSignsOfZero ? 1 : 0;
    chunked += gradient.problem.order.chunk ? 1 : 0;
  }
};

constexpr GradientKernel kKernels[] = {GradientKernel::ScalarsA, GradientKernel::ScalarsB};

TEST(GradientGemm, ScalarsOfEitherOperandGiveTheBitsOfTheReference) {
  Generator generator(20271);
  Tally tally;
  for (int i = 0; i < 1000 && !HasFailure(); ++i) {
    const Gradient gradient = any_gradient(generator, any_lane_design(generator));
    const GemmPlan plan = plan_of(gradient.problem);
    const std::vector<double> expected = by_reference(gradient.problem);
    for (const GradientKernel kernel : kKernels) {
      if (!gradient_kernel_applies(gradient.problem, plan, kernel)) continue;
      if (same_results(gradient, plan, kernel, expected, gradient.text)) {
        tally.add(gradient, plan, kernel);
      }
    }
  }
  std::printf("  %lld from X, %lld from dY, %lld accumulations\n",
              static_cast<long long>(tally.runs[1]), static_cast<long long>(tally.runs[2]),
              static_cast<long long>(tally.accumulations));
  EXPECT_GT(tally.runs[1], 300);
  EXPECT_GT(tally.runs[2], 400);
  EXPECT_GT(tally.watched, 50);
  EXPECT_GT(tally.clamped, 50);
  EXPECT_GT(tally.gradual, 50);
  EXPECT_GT(tally.chunked, 100);
}

TEST(GradientGemm, EveryVectorTargetGivesTheSameBits) {
  Generator generator(20272);
  for (int i = 0; i < 150 && !HasFailure(); ++i) {
    const Gradient gradient = any_gradient(generator, any_lane_design(generator));
    const std::vector<double> expected = by_reference(gradient.problem);
    for_each_vector_target([&](const char* target) {
      const GemmPlan plan = plan_of(gradient.problem);
      for (const GradientKernel kernel : kKernels) {
        if (!gradient_kernel_applies(gradient.problem, plan, kernel)) continue;
        same_results(gradient, plan, kernel, expected, target + (": " + gradient.text));
      }
    });
  }
}

TEST(GradientGemm, BitsDoNotDependOnTheNumberOfThreads) {
  Generator generator(20273);
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, 5);
  for (int i = 0; i < 60 && !HasFailure(); ++i) {
    const Gradient gradient = any_gradient(generator, any_lane_design(generator));
    const GemmPlan plan = plan_of(gradient.problem);
    const std::vector<double> expected = by_reference(gradient.problem);
    for (const int threads : {1, 2, 5}) {
      tbb::task_arena(threads).execute([&] {
        for (const GradientKernel kernel : kKernels) {
          if (!gradient_kernel_applies(gradient.problem, plan, kernel)) continue;
          same_results(gradient, plan, kernel, expected, gradient.text);
        }
      });
    }
  }
}

/// Like a layer of a network: several slabs of images and many bands of rows.
GemmProblem layer_problem(Generator& generator, Gradient& gradient, int x_zeros, int dy_zeros) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse("e6m9");
  mac.chunk = Chunk{64, mac.accumulator};
  ConvolutionPatches c;
  c.images = 5;
  c.height = c.width = c.out_height = c.out_width = 14;
  c.channels = 16;
  c.kernel_height = c.kernel_width = 3;
  c.offset_y = c.offset_x = -1;
  gradient.x.resize(static_cast<std::size_t>(c.images * 14 * 14 * 16));
  gradient.dy.resize(static_cast<std::size_t>(c.rows() * 32));
  const auto random = [&](std::vector<float>& values, int zeros) {
    for (float& value : values) {
      const double moderate = random_design::any_value(generator, mac.a, Values::Moderate);
      value = chance(generator, zeros) ? 0.0F : static_cast<float>(moderate);
    }
  };
  random(gradient.x, x_zeros);
  random(gradient.dy, dy_zeros);
  GemmProblem problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac);
  problem.a = OperandView::patches(gradient.x.data(), c).transposed();
  problem.b = OperandView::dense(gradient.dy.data(), c.rows(), 32, 32);
  return problem;
}

TEST(GradientGemm, LayersWithManyImagesGiveTheBitsOfTheReference) {
  Generator generator(20274);
  Gradient gradient;
  gradient.problem = layer_problem(generator, gradient, 50, 85);
  const GemmPlan plan = plan_of(gradient.problem);
  const std::vector<double> expected = by_reference(gradient.problem);
  for (const GradientKernel kernel : kKernels) {
    ASSERT_TRUE(gradient_kernel_applies(gradient.problem, plan, kernel));
    EXPECT_TRUE(same_results(gradient, plan, kernel, expected, "layer"));
  }
}

TEST(GradientGemm, ManyResultsOfMinusZeroAreLeftToTheTiles) {
  Generator generator(20277);
  Gradient gradient;
  gradient.problem = layer_problem(generator, gradient, 0, 90);
  gradient.problem.mac.chunk.reset();
  gradient.problem.order = accumulation_order(gradient.problem.mac);
  gradient.problem.mac.accumulator.format = NumberFormat::parse("e4m5");
  gradient.problem.mac.accumulator.subnormals = true;
  // Every product is negative and far below the smallest subnormal: sums become -0.
  for (float& x : gradient.x) x = std::abs(x);
  for (float& dy : gradient.dy) dy = dy == 0 ? 0.0F : -0x1p-16F;
  const GemmPlan plan = plan_of(gradient.problem);
  const GemmShape shape = gradient.problem.shape();
  std::vector<double> values(static_cast<std::size_t>(shape.m * shape.n));
  const OutputView out = OutputView::of(values.data(), shape.n);
  ASSERT_TRUE(gradient_kernel_applies(gradient.problem, plan, GradientKernel::ScalarsB));
  EXPECT_FALSE(run_gradient_kernel(gradient.problem, plan, GradientKernel::ScalarsB, out));
  gemm(gradient.problem, out);
  const std::vector<double> expected = by_reference(gradient.problem);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(same_bits(values[i], expected[i])) << i;
  }
}

TEST(GradientGemm, TheSparserOperandGivesTheScalars) {
  Generator generator(20275);
  const auto chosen = [&](int x_zeros, int dy_zeros) {
    Gradient gradient;
    const GemmProblem problem = layer_problem(generator, gradient, x_zeros, dy_zeros);
    return choose_gradient_kernel(problem, plan_of(problem)).kernel;
  };
  EXPECT_EQ(chosen(85, 50), GradientKernel::ScalarsA);
  EXPECT_EQ(chosen(50, 85), GradientKernel::ScalarsB);
}

TEST(GradientGemm, AnExplanationNamesTheScalarsAndTheShares) {
  Generator generator(20276);
  Gradient gradient;
  const GemmProblem problem = layer_problem(generator, gradient, 0, 90);
  const std::string text = explain_plan(problem);
  EXPECT_NE(text.find("the non-zero values of dY times vectors of X (0 % of X and 90 % of dY"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace narrowmac
