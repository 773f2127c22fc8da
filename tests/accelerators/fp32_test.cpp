#include "sim/accelerators/fp32.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "models/design/error.h"

namespace narrowmac {
namespace {

std::vector<float> random_values(std::int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<float> multiply(const OperandView& a, const OperandView& b) {
  std::vector<float> c(static_cast<std::size_t>(a.rows() * b.columns()), -99.0F);
  Fp32Accelerator accelerator;
  GemmRequest request;
  request.a = a;
  request.b = b;
  request.out = OutputView::of(c.data(), b.columns());
  const GemmResult result = accelerator.execute(request);
  EXPECT_EQ(result.cycles.total(), 0);
  EXPECT_FALSE(result.statistics.has_value());
  return c;
}

/// Sums in double, element by element; the tolerance is that of a float32 sum of K terms.
void expect_product(const OperandView& a, const OperandView& b) {
  const std::vector<float> c = multiply(a, b);
  for (std::int64_t m = 0; m < a.rows(); ++m) {
    for (std::int64_t n = 0; n < b.columns(); ++n) {
      double sum = 0;
      double magnitude = 0;
      for (std::int64_t k = 0; k < a.columns(); ++k) {
        const double product = a.at(m, k) * b.at(k, n);
        sum += product;
        magnitude += std::abs(product);
      }
      const float actual = c[static_cast<std::size_t>(m * b.columns() + n)];
      ASSERT_NEAR(actual, sum, 1e-6 * magnitude + 1e-30) << "output " << m << ", " << n;
    }
  }
}

ConvolutionPatches forward(std::int64_t images, std::int64_t size, std::int64_t channels,
                           std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  ConvolutionPatches patches;
  patches.images = images;
  patches.height = size;
  patches.width = size + 1;
  patches.channels = channels;
  patches.out_height = (patches.height + 2 * padding - kernel) / stride + 1;
  patches.out_width = (patches.width + 2 * padding - kernel) / stride + 1;
  patches.kernel_height = kernel;
  patches.kernel_width = kernel;
  patches.step = stride;
  patches.offset_y = -padding;
  patches.offset_x = -padding;
  return patches;
}

/// The patches of dY that BWD reads for the convolution `conv` with `filters` outputs.
ConvolutionPatches backward(const ConvolutionPatches& conv, std::int64_t filters) {
  ConvolutionPatches patches = conv;
  patches.height = conv.out_height;
  patches.width = conv.out_width;
  patches.channels = filters;
  patches.out_height = conv.height;
  patches.out_width = conv.width;
  patches.step = 1;
  patches.offset_y = -conv.offset_y;
  patches.offset_x = -conv.offset_x;
  patches.direction = -1;
  patches.divisor = conv.step;
  return patches;
}

std::int64_t elements(const ConvolutionPatches& p) {
  return p.images * p.height * p.width * p.channels;
}

/// Kernels 1, 3, 5; strides 1, 2, 3; no, some and much padding.
template <typename Check>
void for_every_convolution(const Check& check) {
  for (const std::int64_t channels : {1, 3, 16}) {
    for (const std::int64_t kernel : {1, 3, 5}) {
      for (const std::int64_t stride : {1, 2, 3}) {
        for (const std::int64_t padding : {0, 1, 4}) {
          check(forward(3, 7, channels, kernel, stride, padding));
        }
      }
    }
  }
}

TEST(Fp32, DenseOperandsOfAnyStride) {
  const std::vector<float> x = random_values(200 * 90, 1);
  const std::vector<float> w = random_values(90 * 50, 2);
  const OperandView a = OperandView::dense(x.data(), 200, 90, 90);
  const OperandView b = OperandView::dense(w.data(), 90, 50, 50);
  expect_product(a, b);
  expect_product(b.transposed(), a.transposed());
  expect_product(a.transposed(), a);
  expect_product(a, a.transposed());
  expect_product(OperandView::dense(x.data(), 60, 40, 180, 2),
                 OperandView::dense(w.data(), 40, 20, 100, 3));
  expect_product(OperandView::dense(x.data(), 1, 90, 90), OperandView::dense(w.data(), 90, 1, 50));
}

TEST(Fp32, DoubleOperandsAndOutputs) {
  const std::vector<double> x = {1, 2, 3, 4, 5, 6};
  std::vector<double> c(4);
  Fp32Accelerator accelerator;
  GemmRequest request;
  request.a = OperandView::dense(x.data(), 2, 3, 3);
  request.b = request.a.transposed();
  request.out = OutputView::of(c.data(), 2);
  accelerator.execute(request);
  EXPECT_EQ(c, (std::vector<double>{14, 32, 32, 77}));
}

TEST(Fp32, OutputsKeepTheirRowStride) {
  const std::vector<float> x = {1, 2, 3, 4};
  std::vector<float> c(6, -1.0F);
  Fp32Accelerator accelerator;
  GemmRequest request;
  request.a = OperandView::dense(x.data(), 2, 2, 2);
  request.b = request.a;
  request.out = OutputView::of(c.data(), 3);
  accelerator.execute(request);
  EXPECT_EQ(c, (std::vector<float>{7, 10, -1, 15, 22, -1}));
}

TEST(Fp32, ForwardConvolution) {
  for_every_convolution([](const ConvolutionPatches& patches) {
    const std::vector<float> tensor = random_values(elements(patches), 3);
    const std::vector<float> weights = random_values(patches.columns() * 5, 4);
    expect_product(OperandView::patches(tensor.data(), patches),
                   OperandView::dense(weights.data(), patches.columns(), 5, 5));
  });
}

TEST(Fp32, BackwardConvolutionWithInsertedZeros) {
  for_every_convolution([](const ConvolutionPatches& conv) {
    const ConvolutionPatches patches = backward(conv, 6);
    const std::vector<float> tensor = random_values(elements(patches), 5);
    const std::vector<float> weights = random_values(patches.columns() * 4, 6);
    expect_product(OperandView::patches(tensor.data(), patches),
                   OperandView::dense(weights.data(), patches.columns(), 4, 4));
  });
}

TEST(Fp32, GradientOfAConvolution) {
  for_every_convolution([](const ConvolutionPatches& patches) {
    const std::vector<float> tensor = random_values(elements(patches), 7);
    const std::vector<float> errors = random_values(patches.rows() * 4, 8);
    expect_product(OperandView::patches(tensor.data(), patches).transposed(),
                   OperandView::dense(errors.data(), patches.rows(), 4, 4));
  });
}

TEST(Fp32, PatchesAsTheRightOperand) {
  const ConvolutionPatches patches = forward(2, 6, 3, 3, 2, 1);
  const std::vector<float> tensor = random_values(elements(patches), 9);
  const OperandView view = OperandView::patches(tensor.data(), patches);
  const std::vector<float> left = random_values(7 * patches.rows(), 10);
  expect_product(OperandView::dense(left.data(), 7, patches.rows(), patches.rows()), view);
  expect_product(view, view.transposed());
}

TEST(Fp32, LongGradientSumsSpanSeveralPieces) {
  const ConvolutionPatches patches = forward(40, 20, 2, 3, 1, 1);  // K = 40 * 20 * 21 = 16800
  const std::vector<float> tensor = random_values(elements(patches), 11);
  const std::vector<float> errors = random_values(patches.rows() * 3, 12);
  const OperandView dense = OperandView::dense(errors.data(), patches.rows(), 3, 3);
  expect_product(OperandView::patches(tensor.data(), patches).transposed(), dense);
  expect_product(dense.transposed(), dense);
}

TEST(Fp32, WithoutProductsEveryOutputIsZero) {
  const std::vector<float> x = {1};
  const std::vector<float> c =
      multiply(OperandView::dense(x.data(), 2, 0, 0), OperandView::dense(x.data(), 0, 3, 3));
  EXPECT_EQ(c, std::vector<float>(6, 0.0F));
}

TEST(Fp32, ShapesThatDoNotFitAreRefused) {
  const std::vector<float> x = {1, 2, 3, 4};
  EXPECT_THROW(
      multiply(OperandView::dense(x.data(), 2, 2, 2), OperandView::dense(x.data(), 1, 4, 4)),
      Error);
}

TEST(Fp32, BitsDoNotDependOnTheNumberOfThreads) {
  const ConvolutionPatches patches = forward(32, 28, 8, 3, 1, 1);
  const std::vector<float> tensor = random_values(elements(patches), 13);
  const std::vector<float> weights = random_values(patches.columns() * 16, 14);
  const std::vector<float> errors = random_values(patches.rows() * 16, 15);
  const OperandView x = OperandView::patches(tensor.data(), patches);
  const OperandView w = OperandView::dense(weights.data(), patches.columns(), 16, 16);
  const OperandView dy = OperandView::dense(errors.data(), patches.rows(), 16, 16);
  std::vector<std::vector<float>> results;
  for (const std::size_t threads : {1U, 2U}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    results.push_back(multiply(x, w));
    results.push_back(multiply(x.transposed(), dy));
    results.push_back(multiply(dy, w.transposed()));
  }
  const auto same_bits = [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  };
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(
        std::equal(results[i].begin(), results[i].end(), results[i + 3].begin(), same_bits));
  }
}

}  // namespace
}  // namespace narrowmac
