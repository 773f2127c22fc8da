// Kernels that leave out zero products against the exact reference: rows of matrices, pixels of
// convolutions, on every vector target.
#include "models/numerics/sparse_gemm.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "models/numerics/lane_gemm.h"
#include "models/numerics/plan.h"
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

struct Compared {
  std::int64_t problems = 0, accumulations = 0;
};

/// Runs a problem on a path on every vector target, where the plan allows that; every output must
/// have the reference's bits.
void compare(const GemmProblem& problem, GemmPath path, bool to_float, Compared& compared) {
  const GemmShape shape = problem.shape();
  const auto size = static_cast<std::size_t>(shape.m * shape.n);
  std::vector<double> expected;
  for_each_vector_target([&](const char* target) {
    GemmPlan plan = plan_of(problem);
    if (plan.lane == GemmPlan::Lane::Reference) return;
    if (plan.zero_products == ZeroProducts::Matter) return;
    plan.path = path;
    if (expected.empty()) {
      expected.resize(size);
      reference_gemm(problem, OutputView::of(expected.data(), shape.n));
    }
    std::vector<double> found(size, 77.0);
    std::vector<float> narrow(size, 77.0F);
    const OutputView out =
        to_float ? OutputView::of(narrow.data(), shape.n) : OutputView::of(found.data(), shape.n);
    if (plan.lane == GemmPlan::Lane::Float32) {
      lane_gemm<float>(problem, plan, out);
    } else {
      lane_gemm<double>(problem, plan, out);
    }
    for (std::size_t i = 0; i < size; ++i) {
      const double value = to_float ? static_cast<double>(narrow[i]) : found[i];
      const double wanted =
          to_float ? static_cast<double>(static_cast<float>(expected[i])) : expected[i];
      ASSERT_TRUE(same_bits(value, wanted))
          << target << ", " << shape.m << " x " << shape.n << " x " << shape.k << ", "
          << describe(problem.mac) << ": output " << i << " is " << value << " instead of "
          << wanted;
    }
    ++compared.problems;
    compared.accumulations += shape.macs();
  });
}

/// Turns a share of values into zeros of either sign; whole rows, too.
template <typename T>
void sprinkle_zeros(Generator& generator, std::vector<T>& values, std::size_t row) {
  const int percent = integer(generator, 0, 5) * 20;
  for (T& value : values) {
    if (chance(generator, percent)) value = chance(generator, 50) ? T{0} : T{-0.0};
  }
  for (std::size_t first = 0; first + row <= values.size(); first += row) {
    if (!chance(generator, 15)) continue;
    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(first), row, T{0});
  }
}

MacDesign any_mac(Generator& generator) {
  return chance(generator, 60) ? random_design::common_design(generator)
                               : random_design::any_design(generator);
}

void compare_matrix(Generator& generator, Compared& compared) {
  MacDesign mac = any_mac(generator);
  constexpr std::int64_t kLengths[] = {1, 7, 16, 17, 64, 127, 128, 129, 200, 300};
  const int n = chance(generator, 3) ? integer(generator, 513, 600) : integer(generator, 1, 70);
  const GemmShape shape{integer(generator, 1, 40), n, kLengths[integer(generator, 0, 9)]};
  auto gemm = random_design::any_gemm(generator, mac, shape,
                                      random_design::kValues[integer(generator, 1, 5)], false);
  sprinkle_zeros(generator, gemm.a, static_cast<std::size_t>(shape.k));
  std::vector<float> narrow;
  std::vector<double> columns;
  if (mac.a.fits_float32() && chance(generator, 50)) {
    narrow.assign(gemm.a.begin(), gemm.a.end());
    gemm.problem.a = OperandView::dense(narrow.data(), shape.m, shape.k, shape.k);
  } else if (chance(generator, 50)) {
    columns.resize(gemm.a.size());
    for (std::int64_t m = 0; m < shape.m; ++m) {
      for (std::int64_t k = 0; k < shape.k; ++k) {
        columns[static_cast<std::size_t>(k * shape.m + m)] =
            gemm.a[static_cast<std::size_t>(m * shape.k + k)];
      }
    }
    gemm.problem.a = OperandView::dense(columns.data(), shape.k, shape.m, shape.m).transposed();
  }
  compare(gemm.problem, GemmPath::Rows, chance(generator, 50), compared);
}

/// A convolution with its operands. Not copyable: the problem looks into the vectors.
struct Convolution {
  std::vector<float> tensor, weights;
  GemmProblem problem;
};

ConvolutionPatches any_patches(Generator& generator) {
  ConvolutionPatches c;
  c.images = integer(generator, 1, 3);
  c.height = integer(generator, 1, 9);
  c.width = integer(generator, 1, 9);
  c.channels = integer(generator, 1, 40);
  c.kernel_height = integer(generator, 1, 4);
  c.kernel_width = integer(generator, 1, 4);
  const int stride = integer(generator, 1, 3);
  const int padding = integer(generator, 0, 2);
  if (chance(generator, 50)) {
    c.step = stride;
    c.offset_y = c.offset_x = -padding;
    c.out_height =
        std::max<std::int64_t>(1, (c.height + 2 * padding - c.kernel_height) / stride + 1);
    c.out_width = std::max<std::int64_t>(1, (c.width + 2 * padding - c.kernel_width) / stride + 1);
  } else {
    c.direction = -1;
    c.divisor = stride;
    c.offset_y = c.offset_x = padding;
    c.out_height = std::max<std::int64_t>(1, (c.height - 1) * stride + integer(generator, -2, 4));
    c.out_width = std::max<std::int64_t>(1, (c.width - 1) * stride + integer(generator, -2, 4));
  }
  return c;
}

/// Chunks that end with taps, chunks that divide the channels, and one that holds everything.
std::int64_t any_fitting_chunk(Generator& generator, const ConvolutionPatches& c) {
  switch (integer(generator, 0, 3)) {
    case 0:
      return c.channels * integer(generator, 1, 4);
    case 1:
      return c.channels % 4 == 0 ? c.channels / 4 : c.channels;
    case 2:
      return c.channels % 3 == 0 ? c.channels / 3 : c.channels;
    default:
      return c.columns() + 3;
  }
}

void compare_convolution(Generator& generator, Compared& compared) {
  MacDesign mac = any_mac(generator);
  if (!mac.a.fits_float32() || !mac.b.fits_float32()) return;
  const ConvolutionPatches c = any_patches(generator);
  if (mac.chunk) mac.chunk->length = any_fitting_chunk(generator, c);
  const std::int64_t n = integer(generator, 1, 40);
  const Values values = random_design::kValues[integer(generator, 1, 5)];
  Convolution convolution;
  std::vector<float>& tensor = convolution.tensor;
  tensor.resize(static_cast<std::size_t>(c.images * c.height * c.width * c.channels));
  for (float& x : tensor) {
    x = static_cast<float>(random_design::any_operand_value(generator, mac, mac.a, values));
  }
  sprinkle_zeros(generator, tensor, static_cast<std::size_t>(c.channels));
  convolution.weights.resize(static_cast<std::size_t>(c.columns() * n));
  for (float& x : convolution.weights) {
    x = static_cast<float>(random_design::any_operand_value(generator, mac, mac.b, values));
  }
  GemmProblem& problem = convolution.problem;
  problem.mac = mac;
  problem.order = accumulation_order(mac);
  problem.a = OperandView::patches(tensor.data(), c);
  problem.b = OperandView::dense(convolution.weights.data(), c.columns(), n, n);
  ASSERT_TRUE(pixels_fit(problem));
  compare(problem, GemmPath::Pixels, chance(generator, 50), compared);
}

void print(const Compared& compared) {
  std::printf("  %lld problems, %lld accumulations\n", static_cast<long long>(compared.problems),
              static_cast<long long>(compared.accumulations));
}

TEST(SparseGemm, RowsOfMatricesHaveTheReferencesBitsOnEveryTarget) {
  Compared compared;
  Generator generator(101);
  for (int i = 0; i < 300; ++i) compare_matrix(generator, compared);
  print(compared);
  EXPECT_GT(compared.problems, 100);
}

TEST(SparseGemm, PixelsOfConvolutionsHaveTheReferencesBitsOnEveryTarget) {
  Compared compared;
  Generator generator(103);
  for (int i = 0; i < 250; ++i) compare_convolution(generator, compared);
  print(compared);
  EXPECT_GT(compared.problems, 100);
}

GemmProblem problem_of(const char* operands, const char* accumulator) {
  GemmProblem problem;
  problem.mac.a = problem.mac.b = NumberFormat::parse(operands);
  problem.mac.accumulator.format = NumberFormat::parse(accumulator);
  problem.order = accumulation_order(problem.mac);
  return problem;
}

TEST(SparseGemm, ThePlanSkipsZerosWhereThatPays) {
  GemmProblem problem = problem_of("e5m2", "e6m9");
  std::vector<float> a(64 * 256, 1.0F);
  const std::vector<float> b(256 * 64, 0.5F);
  problem.b = OperandView::dense(b.data(), 256, 64, 64);
  problem.a = OperandView::dense(a.data(), 64, 256, 256);
  EXPECT_NE(explain_plan(problem).find("register tiles: 0 %"), std::string::npos);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = i % 4 == 0 ? 1.0F : 0.0F;
  EXPECT_NE(explain_plan(problem).find("rows of A as lists of their non-zero elements: 75 %"),
            std::string::npos);
}

TEST(SparseGemm, TheZerosThatAStrideInsertsAreSkipped) {
  GemmProblem problem = problem_of("e5m2", "e6m9");
  ConvolutionPatches c;
  c.images = 2;
  c.height = c.width = 8;
  c.channels = 16;
  c.out_height = c.out_width = 16;
  c.kernel_height = c.kernel_width = 3;
  c.offset_y = c.offset_x = 1;
  c.direction = -1;
  c.divisor = 2;
  const std::vector<float> tensor(2 * 8 * 8 * 16, 1.0F);
  const std::vector<float> weights(9 * 16 * 16, 0.5F);
  problem.a = OperandView::patches(tensor.data(), c);
  problem.b = OperandView::dense(weights.data(), 9 * 16, 16, 16);
  EXPECT_NE(explain_plan(problem).find("pixels as lists of their non-zero channels: 0 %"),
            std::string::npos);
}

TEST(SparseGemm, AGemmWhoseResultsOverflowEverywhereGivesUpSkippingAndKeepsItsBits) {
  GemmProblem problem = problem_of("e5m2", "e4m3");
  std::vector<float> a(64 * 256, 0.0F);
  for (std::size_t i = 0; i < a.size(); i += 4) a[i] = i % 16 == 0 ? -48.0F : 64.0F;
  const std::vector<float> b(256 * 40, 16.0F);
  problem.a = OperandView::dense(a.data(), 64, 256, 256);
  problem.b = OperandView::dense(b.data(), 256, 40, 40);
  Compared compared;
  compare(problem, GemmPath::Rows, true, compared);
  EXPECT_GT(compared.problems, 0);
}

}  // namespace
}  // namespace narrowmac
