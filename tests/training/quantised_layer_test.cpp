#include <gtest/gtest.h>

#include <cmath>
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
  QuantisedValues result{std::vector<double>(values.size()), plan_gradient(matrix, scheme, bits)};
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

}  // namespace
}  // namespace narrowmac
