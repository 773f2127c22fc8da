#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <tuple>

#include "models/quantizers/gradient_error.h"
#include "sim/training/layer.h"
#include "sim/training/quantised_operands.h"
#include "tests/training/plain_accelerator.h"
#include "tests/training/small_problem.h"

namespace narrowmac {
namespace {

using Values = std::vector<float>;
using Kind = LayerDescription::Kind;

constexpr std::uint64_t kSeed = 7;
constexpr std::int64_t kNumber = 3;  // of the layer
constexpr std::int64_t kStep = 5;

MacDesign wide_mac() {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("uint8");
  mac.accumulator.format = NumberFormat::parse("fx53.0");
  mac.accumulator.overflow = Overflow::Saturate;
  return mac;
}

TrainingSettings settings_with(const Quantization& quantization, bool on_array) {
  TrainingSettings settings;
  settings.seed = kSeed;
  settings.quantization = quantization;
  if (!on_array) return settings;
  settings.macs.set(Pass::Forward, wide_mac());
  if (!quantization.gradient) return settings;
  settings.macs.set(Pass::Backward, wide_mac());
  settings.macs.set(Pass::Gradient, wide_mac());
  return settings;
}

/// Normal values; with `non_negative` as after a ReLU. Every third sample is ten times the others.
Values random_values(std::int64_t rows, std::int64_t columns, std::uint64_t stream,
                     bool non_negative) {
  Values values;
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    const double value = host_normal(kSeed, stream, static_cast<std::uint64_t>(i)) *
                         (i / columns % 3 == 0 ? 10.0 : 1.0);
    values.push_back(static_cast<float>(non_negative ? std::max(value, 0.0) : value));
  }
  return values;
}

struct QuantisedValues {
  std::vector<double> values;
  GradientPlan plan;
};

QuantisedValues quantised(const Values& values, std::int64_t rows, GradientScheme scheme, int bits,
                          CodeRounding rounding, std::uint64_t number) {
  const auto size = static_cast<std::int64_t>(values.size());
  const SampleMatrix<float> matrix{values, rows, size / rows};
  std::vector<Extrema> extrema;
  for (std::int64_t row = 0; row < rows; ++row) {
    extrema.push_back(find_extrema(values.data() + row * matrix.columns,
                                   static_cast<std::size_t>(matrix.columns)));
  }
  QuantisedValues result{std::vector<double>(values.size()),
                         plan_training_gradient(matrix, extrema, scheme, bits)};
  Values codes(values.size());
  encode(result.plan, matrix, {rounding, kSeed, number, 0}, codes);
  decode(result.plan, codes, std::span<double>(result.values));
  return result;
}

/// One layer between its input and its output, both with a gradient.
struct LayerAtWork {
  LayerAtWork(const LayerDescription& description, const FeatureShape& image,
              const TrainingSettings& settings_in, std::int64_t images, bool non_negative)
      : settings(settings_in),
        shape{description, {image}, output_shape(description, image)},
        host{settings, accelerator, {}, {}, {}, false, {}, {}},
        layer(make_gemm_layer(shape, kNumber, host)) {
    run.images = images;
    run.position.step = kStep;
    x = random_values(images, image.size(), 1, non_negative);
    dy = random_values(images, shape.output.size(), 2, false);
    dx.resize(x.size());
    y.resize(dy.size());
    input.shape = image;
    input.value = x.data();
    input.number = kNumber - 1;
    output.shape = shape.output;
    output.value = y.data();
    output.gradient = dy.data();
    for (Parameter* parameter : layer->parameters()) {
      for (std::int64_t i = 0; i < parameter->value.size(); ++i) {
        parameter->value[i] =
            static_cast<float>(host_normal(kSeed, 3, static_cast<std::uint64_t>(i)) * 0.3);
      }
    }
  }
  static FeatureShape output_shape(const LayerDescription& layer, const FeatureShape& image) {
    if (layer.kind == Kind::Linear) return {layer.channels, 1, 1};
    const auto size = [&](std::int64_t in) {
      return (in + 2 * layer.padding - layer.kernel) / layer.stride + 1;
    };
    return {layer.channels, size(image.height), size(image.width)};
  }
  Parameter& weight() { return *layer->parameters().front(); }
  void forward() {
    Activation* inputs[] = {&input};
    input.extrema.resize(static_cast<std::size_t>(run.images));
    find_image_extrema(host.images, input.value, input.shape.size(), input.extrema);
    layer->forward(inputs, output, run);
    host.finish_images(run);
  }
  void backward() {
    Activation* inputs[] = {&input};
    float* gradients[] = {dx.data()};
    layer->backward(inputs, output, gradients, run);
    host.finish_images(run);
  }

  TrainingSettings settings;
  PlainAccelerator accelerator;
  LayerShape shape;
  Host host;
  std::unique_ptr<Layer> layer;
  Run run;
  Values x, y, dx, dy;
  Activation input, output;
};

/// The three products of a layer by definition, in double.
struct Products {
  std::vector<double> y, dx, dw;
};
Products products(const LayerWindow& window, std::int64_t images, const std::vector<double>& x,
                  const std::vector<double>& w, const std::vector<double>& dy_for_weights,
                  const std::vector<double>& dy_for_input, const float* bias) {
  Products result;
  result.y.resize(dy_for_input.size());
  result.dx.resize(x.size());
  result.dw.resize(w.size());
  for (std::size_t i = 0; bias != nullptr && i < result.y.size(); ++i) {
    result.y[i] = static_cast<double>(bias[i % static_cast<std::size_t>(window.out_channels)]);
  }
  for (std::int64_t n = 0; n < images * window.out_pixels() * window.taps(); ++n) {
    const std::int64_t tap = n % window.taps();
    const std::int64_t out = n / window.taps();
    const std::int64_t image = out / window.out_pixels();
    const std::int64_t oy = out % window.out_pixels() / window.out_width;
    const std::int64_t ox = out % window.out_width;
    const std::int64_t iy = oy * window.stride + tap / window.kernel - window.padding;
    const std::int64_t ix = ox * window.stride + tap % window.kernel - window.padding;
    if (iy < 0 || ix < 0 || iy >= window.height || ix >= window.width) continue;
    const std::int64_t in = image * window.pixels() + iy * window.width + ix;
    for (std::int64_t c = 0; c < window.channels; ++c) {
      for (std::int64_t o = 0; o < window.out_channels; ++o) {
        const auto xi = static_cast<std::size_t>(in * window.channels + c);
        const auto wi =
            static_cast<std::size_t>((tap * window.channels + c) * window.out_channels + o);
        const auto yi = static_cast<std::size_t>(out * window.out_channels + o);
        result.y[yi] += x[xi] * w[wi];
        result.dw[wi] += x[xi] * dy_for_weights[yi];
        result.dx[xi] += dy_for_input[yi] * w[wi];
      }
    }
  }
  return result;
}

void expect_close(const float* found, const std::vector<double>& expected, const char* what) {
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    difference = std::max(difference, std::abs(expected[i] - static_cast<double>(found[i])));
  }
  EXPECT_GT(largest, 0) << what;
  EXPECT_LE(difference, 1e-5 * largest) << what;
}

LayerDescription layer_of(Kind kind, std::int64_t kernel, std::int64_t stride,
                          std::int64_t padding) {
  LayerDescription layer;
  layer.name = "layer";
  layer.kind = kind;
  layer.channels = 6;
  layer.kernel = kernel;
  layer.stride = stride;
  layer.padding = padding;
  return layer;
}

void expect_products_of_quantised_values(const LayerDescription& description,
                                         const FeatureShape& image,
                                         const Quantization& quantization, std::int64_t images,
                                         bool on_array, bool non_negative) {
  SCOPED_TRACE(std::string(quantization.gradient ? to_string(*quantization.gradient) : "none") +
               (on_array ? " on the array, " : " in fp32, ") + std::to_string(images) +
               " images, stride " + std::to_string(description.stride));
  LayerAtWork work(description, image, settings_with(quantization, on_array), images, non_negative);
  work.forward();
  work.backward();

  constexpr auto kNearest = CodeRounding::NearestEven;
  const auto number = [&](RandomUse use) { return run_number(work.run.position, kNumber, use); };
  const AlignedBuffer& weights = work.weight().value;
  const auto x =
      quantised(work.x, 1, GradientScheme::PerSample, quantization.activation_bits, kNearest, 0);
  const auto w = quantised({weights.data(), weights.data() + weights.size()}, 1,
                           GradientScheme::PerTensor, quantization.weight_bits, kNearest, 0);
  std::vector<double> for_weights(work.dy.begin(), work.dy.end()), for_input = for_weights;
  if (quantization.gradient) {
    for_weights =
        quantised(work.dy, images, GradientScheme::PerTensor, quantization.weight_gradient_bits,
                  quantization.rounding, number(RandomUse::WeightGradientTensor))
            .values;
    for_input = quantised(work.dy, images, *quantization.gradient, quantization.gradient_bits,
                          quantization.rounding, number(RandomUse::GradientTensor))
                    .values;
  }
  const float* bias = description.bias ? work.layer->parameters()[1]->value.data() : nullptr;
  const Products expected =
      products(layer_window(work.shape), images, x.values, w.values, for_weights, for_input, bias);
  expect_close(work.y.data(), expected.y, "Y");
  expect_close(work.weight().gradient.data(), expected.dw, "dW");
  expect_close(work.dx.data(), expected.dx, "dX");
}

struct SchemeCase {
  std::optional<GradientScheme> scheme;
  bool on_array;
};

class QuantisedLayer : public testing::TestWithParam<std::tuple<SchemeCase, int>> {
 protected:
  void expect(const LayerDescription& layer, const FeatureShape& image) {
    const auto& [scheme, images] = GetParam();
    Quantization quantization;
    quantization.gradient = scheme.scheme;
    quantization.gradient_bits = 4;
    for (const bool non_negative : {true, false}) {
      expect_products_of_quantised_values(layer, image, quantization, images, scheme.on_array,
                                          non_negative);
    }
  }
};

TEST_P(QuantisedLayer, LinearGivesTheProductsOfItsQuantisedTensors) {
  expect(layer_of(Kind::Linear, 1, 1, 0), {40, 1, 1});
}

TEST_P(QuantisedLayer, ConvolutionGivesTheProductsWherePaddingIsTheValueZero) {
  expect(layer_of(Kind::Convolution, 3, 1, 1), {5, 6, 7});
  expect(layer_of(Kind::Convolution, 3, 2, 1), {5, 7, 6});
  expect(layer_of(Kind::Convolution, 5, 3, 2), {3, 8, 9});
}

TEST_P(QuantisedLayer, ConvolutionWithoutPaddingGivesTheProducts) {
  expect(layer_of(Kind::Convolution, 3, 1, 0), {4, 5, 5});
  expect(layer_of(Kind::Convolution, 1, 2, 0), {4, 6, 5});
}

INSTANTIATE_TEST_SUITE_P(
    SchemesAndImages, QuantisedLayer,
    testing::Combine(testing::Values(SchemeCase{GradientScheme::PerTensor, true},
                                     SchemeCase{GradientScheme::PerSample, true},
                                     SchemeCase{GradientScheme::BlockHouseholder, true},
                                     SchemeCase{std::nullopt, true},
                                     SchemeCase{GradientScheme::PerTensor, false},
                                     SchemeCase{GradientScheme::PerSample, false},
                                     SchemeCase{GradientScheme::BlockHouseholder, false},
                                     SchemeCase{std::nullopt, false}),
                     testing::Values(1, 2, 3, 7)));

/// Sample i's gradient is as large as 10^(i / 4).
struct UnevenSamples : LayerAtWork {
  explicit UnevenSamples(std::optional<GradientScheme> scheme)
      : LayerAtWork(layer_of(Kind::Convolution, 3, 1, 1), {3, 5, 4},
                    settings_with({8, 8, scheme, 4, 8, CodeRounding::Stochastic}, true), 12, true) {
    const std::int64_t size = shape.output.size();
    for (std::size_t i = 0; i < dy.size(); ++i) {
      const auto image = static_cast<double>(static_cast<std::int64_t>(i) / size);
      dy[i] = static_cast<float>(host_normal(kSeed, 5, i) * std::pow(10.0, image / 4));
    }
  }
};

struct Spread {
  std::vector<double> mean, standard_error;
  double variance = 0;  ///< E ||dX - mean||^2
};

/// Of the input's gradient over trials with random numbers of their own.
Spread spread_of_input_gradients(LayerAtWork& work, int trials) {
  Spread spread;
  spread.mean.resize(work.dx.size());
  spread.standard_error.resize(work.dx.size());
  std::vector<double> squares(work.dx.size());
  work.forward();
  for (int trial = 0; trial < trials; ++trial) {
    work.run.position.step = trial;
    work.backward();
    for (std::size_t i = 0; i < squares.size(); ++i) {
      const auto value = static_cast<double>(work.dx[i]);
      spread.mean[i] += value / trials;
      squares[i] += value * value / trials;
    }
  }
  for (std::size_t i = 0; i < squares.size(); ++i) {
    const double variance = std::max(0.0, squares[i] - spread.mean[i] * spread.mean[i]);
    spread.variance += variance;
    spread.standard_error[i] = std::sqrt(variance / trials);
  }
  return spread;
}

TEST(QuantisedGradients, TheInputsGradientIsThatOfQatOnAverage) {
  UnevenSamples qat(std::nullopt);
  qat.forward();
  qat.backward();
  for (const GradientScheme scheme :
       {GradientScheme::PerTensor, GradientScheme::PerSample, GradientScheme::BlockHouseholder}) {
    UnevenSamples work(scheme);
    const Spread spread = spread_of_input_gradients(work, 300);
    double largest = 0;
    for (std::size_t i = 0; i < spread.mean.size(); ++i) {
      const double error = std::abs(spread.mean[i] - static_cast<double>(qat.dx[i]));
      const double rounding = 1e-4 * std::abs(static_cast<double>(qat.dx[i]));
      largest = std::max(largest, (error - rounding) / (spread.standard_error[i] + 1e-12));
    }
    EXPECT_LT(largest, 5) << to_string(scheme);
  }
}

TEST(QuantisedGradients, WithUnevenSamplesBhqAddsLessVarianceThanPsqAndPsqLessThanPtq) {
  std::array<double, 3> variance{};
  for (const GradientScheme scheme :
       {GradientScheme::PerTensor, GradientScheme::PerSample, GradientScheme::BlockHouseholder}) {
    UnevenSamples work(scheme);
    variance[static_cast<std::size_t>(scheme)] = spread_of_input_gradients(work, 40).variance;
  }
  EXPECT_LT(variance[1], 0.5 * variance[0]);
  EXPECT_LT(variance[2], 0.8 * variance[1]);
}

TEST(QuantisedGradients, AnObservedStepHasVarianceBelowItsBoundAndNoBias) {
  UnevenSamples work(GradientScheme::PerSample);
  work.run.observe = true;
  work.forward();
  work.backward();
  ASSERT_EQ(work.host.observations.size(), 3U);  // FWD, GRAD, BWD
  EXPECT_FALSE(work.host.observations[0].gradient);
  for (const GemmObservation& observation : work.host.observations) {
    if (observation.pass == Pass::Forward) continue;
    ASSERT_TRUE(observation.gradient);
    const GradientNoise& noise = *observation.gradient;
    EXPECT_GT(noise.variance, 0.3 * noise.bound);
    EXPECT_LT(noise.variance, noise.bound);
    EXPECT_LT(std::abs(noise.bias), 5);
    EXPECT_EQ(noise.comparison.has_value(), observation.pass == Pass::Backward);
  }
  const GradientNoise& noise = *work.host.observations[2].gradient;
  const auto& compared = *noise.comparison;
  EXPECT_EQ(compared.variance[1], noise.variance);
  EXPECT_GT(compared.variance[0], compared.variance[1]);
  EXPECT_LT(compared.variance[2], compared.variance[1]);
  EXPECT_GT(compared.row_range_ratio, 100);
}

TEST(QuantisedGradients, WithEvenSamplesBhqIsPsq) {
  Quantization quantization;
  quantization.gradient = GradientScheme::BlockHouseholder;
  quantization.gradient_bits = 4;
  LayerAtWork work(layer_of(Kind::Linear, 1, 1, 0), {20, 1, 1}, settings_with(quantization, true),
                   4, true);
  for (std::size_t i = 0; i < work.dy.size(); ++i) {
    work.dy[i] = static_cast<float>(i % 6) + 0.1F * static_cast<float>((i / 6) % 2);
  }
  work.run.observe = true;
  work.forward();
  work.backward();
  EXPECT_EQ(work.host.work.front().second[1].transform_macs, 0);
  const auto& compared = *work.host.observations[2].gradient->comparison;
  EXPECT_EQ(compared.variance[2], compared.variance[1]);
}

TEST(QuantisedGradients, NearestRoundingGivesTheSameCodesInEveryStep) {
  Quantization quantization;
  quantization.gradient = GradientScheme::BlockHouseholder;
  quantization.rounding = CodeRounding::NearestEven;
  LayerAtWork work(layer_of(Kind::Linear, 1, 1, 0), {20, 1, 1}, settings_with(quantization, true),
                   5, true);
  EXPECT_EQ(spread_of_input_gradients(work, 2).variance, 0);
}

TEST(QuantisedGradients, OnlyBhqHasATransformWhoseMacsAreCounted) {
  for (const GradientScheme scheme :
       {GradientScheme::PerTensor, GradientScheme::PerSample, GradientScheme::BlockHouseholder}) {
    UnevenSamples work(scheme);
    work.forward();
    work.backward();
    const auto& layer = work.host.work.front().second;
    // Three for each element of the gradient and three for each of the input's gradient.
    const std::int64_t expected = 3 * 12 * (6 * 5 * 4 + 3 * 5 * 4);
    EXPECT_EQ(layer[1].transform_macs, scheme == GradientScheme::BlockHouseholder ? expected : 0);
    EXPECT_EQ(layer[0].transform_macs + layer[2].transform_macs, 0);
  }
}

TEST(QuantisedGradients, WhatIsNotFiniteEndsTheStep) {
  UnevenSamples work(GradientScheme::PerSample);
  work.forward();
  work.dy[100] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(work.backward(), NotFinite);
  work.x[7] = std::numeric_limits<float>::quiet_NaN();
  work.input.operand = {};
  EXPECT_THROW(work.forward(), NotFinite);
}

TEST(QuantisedTraining, OperandsAreUnsignedIntegersOfTheirWidths) {
  const Dataset data = striped_images({1, 12, 12}, 3, 16);
  TrainingSettings settings =
      settings_with({7, 6, GradientScheme::BlockHouseholder, 3, 5, {}}, true);
  settings.batch = 8;
  PlainAccelerator accelerator;
  int seen = 0;
  accelerator.inspect = [&](const GemmRequest& request) {
    ++seen;
    const double a = request.pass == Pass::Backward ? 7 : 127;
    const double b = request.pass == Pass::Gradient ? 31 : 63;
    const auto is_code = [](double code, double largest) {
      return code >= 0 && code <= largest && code == std::floor(code);
    };
    for (std::int64_t k = 0; k < request.a.columns(); ++k) {
      for (std::int64_t row = 0; row < request.a.rows(); ++row) {
        ASSERT_TRUE(is_code(request.a.at(row, k), a)) << request.a.at(row, k);
      }
      for (std::int64_t column = 0; column < request.b.columns(); ++column) {
        ASSERT_TRUE(is_code(request.b.at(k, column), b)) << request.b.at(k, column);
      }
    }
  };
  Trainer trainer(small_cnn(3), settings, data, accelerator);
  trainer.step();
  EXPECT_EQ(seen, 11);
}

TEST(QuantisedTraining, WideCodesTrainLikeFp32WithASmallLastBatch) {
  const Dataset data = striped_images({1, 12, 12}, 3, 34);  // last batch: 2 images
  for (const NetworkDescription& network : {small_cnn(3), small_resnet(3)}) {
    TrainingSettings fp32;
    fp32.batch = 8;
    PlainAccelerator accelerator;
    Trainer exact(network, fp32, data, accelerator);
    TrainingSettings settings =
        settings_with({16, 16, GradientScheme::BlockHouseholder, 16, 16, {}}, true);
    settings.seed = fp32.seed;
    settings.batch = fp32.batch;
    Trainer quantised(network, settings, data, accelerator);
    for (int i = 0; i < 5; ++i) {
      EXPECT_NEAR(quantised.step().loss, exact.step().loss, 2e-3) << network.name << i;
    }
  }
}

TEST(QuantisedTraining, ARestoredTrainerGoesOnWithTheSameBits) {
  const Dataset data = striped_images({1, 12, 12}, 3, 20);
  TrainingSettings settings =
      settings_with({8, 8, GradientScheme::BlockHouseholder, 4, 8, {}}, true);
  settings.batch = 8;
  settings.epochs = 4;
  PlainAccelerator accelerator;
  Trainer whole(small_resnet(3), settings, data, accelerator);
  Trainer first(small_resnet(3), settings, data, accelerator);
  for (int i = 0; i < 6; ++i) whole.step();
  for (int i = 0; i < 3; ++i) first.step();
  Trainer second(small_resnet(3), settings, data, accelerator);
  second.restore(first.tensors(), first.state());
  for (int i = 0; i < 3; ++i) second.step();
  EXPECT_EQ(bits_of(second.tensors()), bits_of(whole.tensors()));
}

}  // namespace
}  // namespace narrowmac
