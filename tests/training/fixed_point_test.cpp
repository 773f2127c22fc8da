#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "models/numerics/convert.h"
#include "sim/training/batches.h"
#include "sim/training/loss.h"
#include "sim/training/weight_residual.h"
#include "tests/training/plain_accelerator.h"
#include "tests/training/small_problem.h"

namespace narrowmac {
namespace {

constexpr FeatureShape kImage{1, 12, 12};
constexpr std::int64_t kBatch = 8, kClasses = 3;

TensorFormat fixed(const char* text, RoundingMode mode = RoundingMode::NearestAway) {
  TensorFormat format;
  format.conversion.format = NumberFormat::parse(text);
  format.conversion.rounding.mode = mode;
  if (mode == RoundingMode::Stochastic) format.conversion.rounding.random_bits = 12;
  format.conversion.overflow = Overflow::Saturate;
  return format;
}

LayerFormats layer_formats(const char* activation, const char* weight, const char* gradient,
                           const char* weight_gradient, const char* residual) {
  LayerFormats formats;
  formats.activation = fixed(activation);
  formats.weight = fixed(weight);
  formats.gradient = fixed(gradient);
  formats.weight_gradient = fixed(weight_gradient);
  if (residual != nullptr) formats.weight_residual = fixed(residual);
  return formats;
}

/// small_cnn() whose activations end early enough to matter.
NetworkDescription clipped_cnn() {
  NetworkDescription network = small_cnn(kClasses);
  for (LayerDescription& layer : network.layers) {
    if (layer.kind == LayerDescription::Kind::ReLU) layer.clip = 0.75;
  }
  return network;
}

/// Every layer with formats of its own, most with a residual.
TrainingSettings fixed_settings() {
  TrainingSettings settings;
  settings.batch = kBatch;
  settings.epochs = 4;
  settings.shuffle = false;
  settings.learning_rate = 0.07;
  settings.weight_decay = 1e-3;
  settings.loss_scale.initial = 4;
  settings.weight_clip = 0.4;
  Formats& formats = settings.formats;
  static_cast<LayerFormats&>(formats) =
      layer_formats("ufx9.8", "fx10.9", "fx12.12", "fx12.8", "fx12.20");
  formats.layers["conv1"] = layer_formats("ufx8.8", "fx8.7", "fx11.10", "fx9.7", "fx10.16");
  formats.layers["conv2"] = layer_formats("ufx6.5", "fx11.10", "fx9.9", "fx13.10", "fx14.23");
  formats.layers["conv2"].gradient.conversion.rounding.mode = RoundingMode::NearestEven;
  formats.layers["fc2"] = layer_formats("ufx7.6", "fx12.11", "fx10.9", "fx10.7", nullptr);
  return settings;
}

/// A tensor as integer codes of 2^-fraction each.
struct Codes {
  std::vector<std::int64_t> values;
  int fraction = 0;
  [[nodiscard]] double value(std::size_t i) const {
    return std::ldexp(static_cast<double>(values[i]), -fraction);
  }
};

std::int64_t code_of(double x, const TensorFormat& format) {
  const NumberFormat& number = format.conversion.format;
  const bool is_signed = number.family == NumberFormat::Family::Signed;
  const double units = std::ldexp(x, number.fraction_bits);
  const double rounded = format.conversion.rounding.mode == RoundingMode::NearestEven
                             ? std::nearbyint(units)
                             : std::round(units);  // halves away from zero
  const double end = std::ldexp(1.0, number.width - (is_signed ? 1 : 0));
  return static_cast<std::int64_t>(std::clamp(rounded, is_signed ? -end : 0.0, end - 1));
}

Codes codes_of(const std::vector<float>& x, const TensorFormat& format) {
  Codes codes;
  codes.fraction = format.conversion.format.fraction_bits;
  for (const float value : x) codes.values.push_back(code_of(static_cast<double>(value), format));
  return codes;
}

/// Training as it is defined, without GEMMs, views or pipelines: tensors in NCHW; a linear layer is
/// a convolution whose kernel is the whole map. Products and sums are integers, everything between
/// the GEMMs is float32.
class Model {
 public:
  Model(const NetworkDescription& network, const TrainingSettings& settings,
        const std::vector<NamedTensor>& initial)
      : shapes_(infer_shapes(network, kImage, kClasses)), settings_(settings) {
    for (const NamedTensor& tensor : initial) tensors[tensor.name] = tensor.values;
  }

  void step(const std::vector<float>& images, const std::vector<std::uint8_t>& labels) {
    values_["input"] = images;
    for (const LayerShape& shape : shapes_) forward(shape);
    std::vector<float>& dlogits = gradients_[shapes_.back().layer.name];
    dlogits.resize(labels.size() * kClasses);
    softmax_cross_entropy(values_[shapes_.back().layer.name].data(), labels.data(), kBatch,
                          kClasses, settings_.loss_scale.initial, dlogits.data());
    for (auto shape = shapes_.rbegin(); shape != shapes_.rend(); ++shape) backward(*shape);
    for (const LayerShape& shape : shapes_) {
      if (!shape.has_gemm()) continue;
      update_weight(shape.layer.name);
      sgd(shape.layer.name + ".bias");
    }
  }

  std::map<std::string, std::vector<float>> tensors;             ///< as a checkpoint has them
  std::map<std::string, Codes> activations, weights, gradients;  ///< operands of the last step

 private:
  using Kind = LayerDescription::Kind;

  struct Window {
    FeatureShape in, out;
    std::int64_t kernel = 1, stride = 1, padding = 0;
  };
  static Window window_of(const LayerShape& shape) {
    FeatureShape in = shape.inputs.front();
    if (shape.layer.kind == Kind::Linear) in = {in.size(), 1, 1};
    return {in, shape.output, shape.layer.kernel, shape.layer.stride, shape.layer.padding};
  }
  /// body(output, input, tap): every product of a convolution, or every input of a pool (where an
  /// output channel has its own input channel only).
  template <typename Body>
  static void for_products(const Window& w, bool own_channel, const Body& body) {
    for (std::int64_t n = 0; n < kBatch; ++n) {
      for (std::int64_t o = 0; o < w.out.channels; ++o) {
        for (std::int64_t y = 0; y < w.out.height; ++y) {
          for (std::int64_t x = 0; x < w.out.width; ++x) {
            for (std::int64_t c = 0; c < w.in.channels; ++c) {
              if (own_channel && c != o) continue;
              for (std::int64_t i = 0; i < w.kernel; ++i) {
                for (std::int64_t j = 0; j < w.kernel; ++j) {
                  const std::int64_t v = y * w.stride + i - w.padding;
                  const std::int64_t u = x * w.stride + j - w.padding;
                  if (v < 0 || v >= w.in.height || u < 0 || u >= w.in.width) continue;
                  body(at(((n * w.out.channels + o) * w.out.height + y) * w.out.width + x),
                       at(((n * w.in.channels + c) * w.in.height + v) * w.in.width + u),
                       at(((o * w.in.channels + c) * w.kernel + i) * w.kernel + j));
                }
              }
            }
          }
        }
      }
    }
  }
  static std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

  static std::vector<float> floats(const std::vector<std::int64_t>& sums, int fraction) {
    std::vector<float> result;
    for (const std::int64_t sum : sums) {
      result.push_back(static_cast<float>(std::ldexp(static_cast<double>(sum), -fraction)));
    }
    return result;
  }

  void forward(const LayerShape& shape) {
    const std::string& name = shape.layer.name;
    const std::vector<float>& x = values_[shape.layer.inputs.front()];
    std::vector<float>& y = values_[name];
    switch (shape.layer.kind) {
      case Kind::ReLU:
        y.clear();
        for (const float value : x) {
          y.push_back(std::min(std::max(value, 0.0F), static_cast<float>(*shape.layer.clip)));
        }
        return;
      case Kind::MaxPool:
        y.assign(at(kBatch * shape.output.size()), -1.0F);
        for_products(window_of(shape), true, [&](std::size_t to, std::size_t from, std::size_t) {
          y[to] = std::max(y[to], x[from]);
        });
        return;
      case Kind::Flatten:
        y = x;
        return;
      default:
        break;
    }
    const LayerFormats& formats = settings_.formats.of(name);
    const Codes& a = activations[name] = codes_of(x, formats.activation);
    const Codes& w = weights[name] = codes_of(tensors[name + ".weight"], formats.weight);
    std::vector<std::int64_t> sums(at(kBatch * shape.output.size()));
    for_products(window_of(shape), false, [&](std::size_t to, std::size_t from, std::size_t tap) {
      sums[to] += a.values[from] * w.values[tap];
    });
    y = floats(sums, a.fraction + w.fraction);
    const std::size_t pixels = at(shape.output.height * shape.output.width);
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] += tensors[name + ".bias"][i / pixels % at(shape.output.channels)];
    }
  }

  void backward(const LayerShape& shape) {
    const std::string& name = shape.layer.name;
    const std::string& input = shape.layer.inputs.front();
    const std::vector<float>&x = values_[input], &y = values_[name], &dy = gradients_[name];
    std::vector<float>& dx = gradients_[input];
    dx.assign(x.size(), 0.0F);
    switch (shape.layer.kind) {
      case Kind::ReLU:
        for (std::size_t i = 0; i < x.size(); ++i) {
          if (x[i] > 0 && x[i] < static_cast<float>(*shape.layer.clip)) dx[i] = dy[i];
        }
        return;
      case Kind::MaxPool: {
        std::vector<bool> given(y.size());
        for_products(window_of(shape), true, [&](std::size_t to, std::size_t from, std::size_t) {
          if (given[to] || x[from] != y[to]) return;
          dx[from] = dy[to];
          given[to] = true;
        });
        return;
      }
      case Kind::Flatten:
        dx = dy;
        return;
      default:
        break;
    }
    const LayerFormats& formats = settings_.formats.of(name);
    const Codes& a = activations[name];
    const Codes& w = weights[name];
    const Codes& g = gradients[name] = codes_of(dy, formats.gradient);
    std::vector<std::int64_t> dw(w.values.size()), to_input(x.size());
    for_products(window_of(shape), false, [&](std::size_t to, std::size_t from, std::size_t tap) {
      dw[tap] += a.values[from] * g.values[to];
      to_input[from] += w.values[tap] * g.values[to];
    });
    dx = floats(to_input, w.fraction + g.fraction);
    const Codes rounded = codes_of(floats(dw, a.fraction + g.fraction), formats.weight_gradient);
    gradients_[name + ".weight"] = floats(rounded.values, rounded.fraction);
    bias_gradient(shape, dy);
  }

  /// Images first, then their sum.
  void bias_gradient(const LayerShape& shape, const std::vector<float>& dy) {
    std::vector<float>& gradient = gradients_[shape.layer.name + ".bias"];
    gradient.clear();
    const std::int64_t pixels = shape.output.height * shape.output.width;
    for (std::int64_t c = 0; c < shape.output.channels; ++c) {
      double sum = 0;
      for (std::int64_t n = 0; n < kBatch; ++n) {
        double of_image = 0;
        for (std::int64_t p = 0; p < pixels; ++p) {
          of_image += static_cast<double>(dy[at((n * shape.output.channels + c) * pixels + p)]);
        }
        sum += of_image;
      }
      gradient.push_back(static_cast<float>(sum));
    }
  }

  /// The velocity v of every element.
  const std::vector<float>& velocity(const std::string& name) {
    std::vector<float>& v = tensors[name + ".momentum"];
    const auto decay = static_cast<float>(settings_.weight_decay);
    const auto momentum = static_cast<float>(settings_.momentum);
    const auto scale = static_cast<float>(settings_.loss_scale.initial);
    for (std::size_t i = 0; i < v.size(); ++i) {
      v[i] = momentum * v[i] + (gradients_[name][i] / scale + decay * tensors[name][i]);
    }
    return v;
  }

  void sgd(const std::string& name) {
    const std::vector<float>& v = velocity(name);
    const auto rate = static_cast<float>(settings_.learning_rate);
    for (std::size_t i = 0; i < v.size(); ++i) tensors[name][i] -= rate * v[i];
  }

  void update_weight(const std::string& layer) {
    const std::string name = layer + ".weight";
    const LayerFormats& formats = settings_.formats.of(layer);
    const auto clip = static_cast<float>(*settings_.weight_clip);
    std::vector<float>& w = tensors[name];
    if (!formats.weight_residual) {
      sgd(name);
      for (float& value : w) value = std::clamp(value, -clip, clip);
      return;
    }
    const std::vector<float>& v = velocity(name);
    std::vector<float>& residual = tensors[name + ".residual"];
    const double rate = static_cast<float>(settings_.learning_rate);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double a1 = static_cast<double>(residual[i]) - rate * static_cast<double>(v[i]);
      const double w1 = std::clamp(static_cast<double>(w[i]) + a1, -static_cast<double>(clip),
                                   static_cast<double>(clip));
      const auto value = [](std::int64_t code, const TensorFormat& format) {
        return std::ldexp(static_cast<double>(code), -format.conversion.format.fraction_bits);
      };
      const double stored = value(code_of(w1, formats.weight), formats.weight);
      w[i] = static_cast<float>(stored);
      residual[i] = static_cast<float>(
          value(code_of(w1 - stored, *formats.weight_residual), *formats.weight_residual));
    }
  }

  std::vector<LayerShape> shapes_;
  TrainingSettings settings_;
  std::map<std::string, std::vector<float>> values_, gradients_;
};

/// The images of a step as NCHW: one channel.
std::vector<float> images_of(const Dataset& data, std::int64_t first) {
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < kBatch; ++i) indices.push_back(first + i);
  std::vector<float> images(static_cast<std::size_t>(kBatch * kImage.size()));
  load_batch(data, indices, {}, images.data());
  return images;
}

/// Operands, whatever the order in which a GEMM sees them.
std::vector<double> sorted_values(const OperandView& view) {
  std::vector<double> values;
  for (std::int64_t row = 0; row < view.rows(); ++row) {
    for (std::int64_t column = 0; column < view.columns(); ++column) {
      values.push_back(view.at(row, column));
    }
  }
  std::sort(values.begin(), values.end());
  return values;
}

std::vector<double> sorted_values(const Codes& codes) {
  std::vector<double> values;
  for (std::size_t i = 0; i < codes.values.size(); ++i) values.push_back(codes.value(i));
  std::sort(values.begin(), values.end());
  return values;
}

TEST(FixedPointTraining, EqualsAModelOfIntegerCodesBitForBitStepByStep) {
  const Dataset data = striped_images(kImage, kClasses, 6 * kBatch);
  const TrainingSettings settings = fixed_settings();
  PlainAccelerator accelerator;
  std::map<std::string, std::vector<double>> weights, gradients;
  accelerator.inspect = [&](const GemmRequest& request) {
    if (request.pass == Pass::Forward) weights[request.layer] = sorted_values(request.b);
    if (request.pass == Pass::Gradient) gradients[request.layer] = sorted_values(request.b);
  };
  Trainer trainer(clipped_cnn(), settings, data, accelerator);
  Model model(clipped_cnn(), settings, trainer.tensors());
  for (std::int64_t step = 0; step < 6; ++step) {
    trainer.step();
    const std::int64_t first = step * kBatch;
    model.step(images_of(data, first),
               {data.labels.begin() + first, data.labels.begin() + first + kBatch});
    for (const NamedTensor& tensor : trainer.tensors()) {
      EXPECT_EQ(bits_of({tensor}), bits_of({{tensor.name, {}, model.tensors.at(tensor.name)}}))
          << tensor.name << " after step " << step + 1;
    }
    for (const char* layer : {"conv1", "conv2", "fc1", "fc2"}) {
      EXPECT_EQ(weights[layer], sorted_values(model.weights[layer])) << layer;
      EXPECT_EQ(gradients[layer], sorted_values(model.gradients[layer])) << layer;
    }
  }
  EXPECT_EQ(model.tensors.count("fc2.weight.residual"), 0U);
  const std::vector<float>& residual = model.tensors.at("conv2.weight.residual");
  EXPECT_GT(std::count_if(residual.begin(), residual.end(), [](float r) { return r != 0; }), 100);
}

/// fixed_settings() with every rounding stochastic, and a loss scale that finds its level.
TrainingSettings stochastic_settings() {
  TrainingSettings settings = fixed_settings();
  settings.shuffle = true;
  settings.loss_scale = {true, 64.0, 3};
  const auto make = [](LayerFormats& formats) {
    for (TensorFormat* format :
         {&formats.activation, &formats.weight, &formats.gradient, &formats.weight_gradient}) {
      format->conversion.rounding = {RoundingMode::Stochastic, 12};
    }
    if (formats.weight_residual) {
      formats.weight_residual->conversion.rounding = {RoundingMode::Stochastic, 14};
    }
  };
  make(settings.formats);
  for (auto& [name, formats] : settings.formats.layers) make(formats);
  return settings;
}

TEST(FixedPointTraining, ARestoredRunGoesOnWithTheSameBits) {
  const Dataset data = striped_images(kImage, kClasses, 44);
  PlainAccelerator accelerator;
  Trainer whole(clipped_cnn(), stochastic_settings(), data, accelerator);
  for (int i = 0; i < 7; ++i) whole.step();
  const std::vector<NamedTensor> checkpoint = whole.tensors();
  const TrainerState state = whole.state();
  Trainer resumed(clipped_cnn(), stochastic_settings(), data, accelerator);
  resumed.restore(checkpoint, state);
  for (int i = 0; i < 7; ++i) {
    const double expected = whole.step().loss;
    whole.evaluate(data);
    EXPECT_EQ(resumed.step().loss, expected);
  }
  EXPECT_EQ(bits_of(resumed.tensors()), bits_of(whole.tensors()));
  EXPECT_NE(bits_of(whole.tensors()), bits_of(checkpoint));
  EXPECT_EQ(resumed.state().loss_scale, whole.state().loss_scale);
  EXPECT_NE(whole.state().loss_scale, 64.0);
}

TEST(FixedPointTraining, TheNumberOfThreadsChangesNoBit) {
  const FeatureShape image{3, 32, 32};  // fc1's weights are more than one task
  const Dataset data = striped_images(image, kClasses, 16);
  NetworkDescription network = clipped_cnn();
  for (LayerDescription& layer : network.layers) {
    if (layer.name == "fc1") layer.channels = 64;
  }
  std::vector<std::uint32_t> bits[2];
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    PlainAccelerator accelerator;
    Trainer trainer(network, stochastic_settings(), data, accelerator);
    for (int i = 0; i < 3; ++i) trainer.step();
    bits[threads - 1] = bits_of(trainer.tensors());
  }
  EXPECT_EQ(bits[0], bits[1]);
}

TEST(FixedPointTraining, WeightsStartInTheirFormatWithoutAResidualAndStayWithinTheClip) {
  const Dataset data = striped_images(kImage, kClasses, 3 * kBatch);
  const TrainingSettings settings = fixed_settings();
  PlainAccelerator accelerator;
  Trainer trainer(clipped_cnn(), settings, data, accelerator);
  const float clip = 0.4F;
  const auto check = [&] {
    int at_the_end = 0;
    for (const NamedTensor& tensor : trainer.tensors()) {
      const std::size_t dot = tensor.name.find('.');
      if (tensor.name.substr(dot) != ".weight") continue;
      const LayerFormats& formats = settings.formats.of(tensor.name.substr(0, dot));
      const NumberFormat& format = formats.weight.conversion.format;
      // Rounding comes last.
      const double unit = formats.weight_residual ? format.smallest_value() : 0;
      for (const float value : tensor.values) {
        EXPECT_LE(std::abs(value), static_cast<double>(clip) + unit / 2) << tensor.name;
        at_the_end += std::abs(value) >= static_cast<double>(clip) - unit / 2 ? 1 : 0;
        if (!formats.weight_residual) continue;
        EXPECT_TRUE(is_value(static_cast<double>(value), format)) << tensor.name << " " << value;
      }
    }
    EXPECT_GT(at_the_end, 20);
  };
  for (const NamedTensor& tensor : trainer.tensors()) {
    if (tensor.name.ends_with(".residual")) {
      EXPECT_EQ(tensor.values, std::vector<float>(tensor.values.size(), 0.0F));
    }
  }
  check();
  for (int i = 0; i < 3; ++i) trainer.step();
  check();
}

TEST(FixedPointTraining, ACheckpointMustHaveResidualsAndWeightsOfTheFormat) {
  const Dataset data = striped_images(kImage, kClasses, kBatch);
  PlainAccelerator accelerator;
  Trainer trainer(clipped_cnn(), fixed_settings(), data, accelerator);
  const auto error_of = [&](const std::vector<NamedTensor>& tensors) -> std::string {
    try {
      trainer.restore(tensors, trainer.state());
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  std::vector<NamedTensor> tensors = trainer.tensors();
  EXPECT_EQ(error_of(tensors), "");
  std::vector<NamedTensor> without = tensors;
  std::erase_if(without, [](const auto& tensor) { return tensor.name == "fc1.weight.residual"; });
  EXPECT_NE(error_of(without).find("\"fc1.weight.residual\" is missing"), std::string::npos);
  for (NamedTensor& tensor : tensors) {
    if (tensor.name == "conv1.weight") tensor.values[3] = 0.3F;
  }
  EXPECT_NE(error_of(tensors).find("\"conv1.weight\": found 0.3; accepted: values of fx8.7"),
            std::string::npos);
}

TEST(FixedPointTraining, FormatsThatContradictEachOtherAreRefused) {
  const Dataset data = striped_images(kImage, kClasses, kBatch);
  PlainAccelerator accelerator;
  const auto error_of = [&](const std::function<void(TrainingSettings&)>& change) -> std::string {
    TrainingSettings settings = fixed_settings();
    change(settings);
    try {
      Trainer trainer(clipped_cnn(), settings, data, accelerator);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const auto says = [](const std::string& error, const char* part) {
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  says(error_of([](auto& s) { s.formats.layers["pool1"] = {}; }), "found \"pool1\"; accepted");
  says(error_of([](auto& s) { s.formats.weight_update = fixed("fx12.11"); }), "weight_update");
  says(error_of([](auto& s) { s.formats.layers["conv1"].weight = {}; }), "conv1's weight");
  says(error_of(
           [](auto& s) { s.formats.layers["conv1"].weight_residual->scaling = Scaling::MaxAbs; }),
       "conv1's residual");
  says(error_of([](auto& s) { s.weight_clip = -1; }), "training.weight_clip: found -1");
  says(error_of([](auto& s) { s.quantization.emplace(); }), "quantization");
}

TEST(WeightGradients, ThatLeaveTheirFormatHalveADynamicLossScale) {
  const Dataset data = striped_images(kImage, kClasses, 4 * kBatch);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  settings.batch = kBatch;
  settings.loss_scale = {true, 4096.0, 100};
  settings.formats.weight_gradient = fixed("fx8.2");  // up to 32
  Trainer trainer(small_cnn(kClasses), settings, data, accelerator);
  EXPECT_TRUE(trainer.step().skipped);
  EXPECT_EQ(trainer.state().loss_scale, 2048.0);
  settings.formats.weight_gradient.scaling = Scaling::MaxAbs;  // none leaves it
  Trainer scaled(small_cnn(kClasses), settings, data, accelerator);
  EXPECT_FALSE(scaled.step().skipped);
}

TEST(WeightGradients, OfAFormatWithAScaleAreThatMultipleOfItsCodes) {
  const Dataset data = striped_images(kImage, kClasses, kBatch);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  settings.batch = kBatch;
  Trainer exact(small_cnn(kClasses), settings, data, accelerator);
  settings.formats.weight_gradient = fixed("fx4.0");
  settings.formats.weight_gradient.scaling = Scaling::MaxAbs;
  Trainer rounded(small_cnn(kClasses), settings, data, accelerator);
  exact.step();
  rounded.step();
  const std::vector<NamedTensor> found = rounded.tensors(), expected = exact.tensors();
  for (std::size_t t = 0; t < found.size(); ++t) {  // the first velocity is the gradient
    if (!found[t].name.ends_with(".weight.momentum")) continue;
    float largest = 0;
    for (const float g : expected[t].values) largest = std::max(largest, std::abs(g));
    const float unit = std::exp2(std::ceil(std::log2(largest / 7)));
    for (std::size_t i = 0; i < found[t].values.size(); ++i) {
      EXPECT_EQ(found[t].values[i], unit * std::round(expected[t].values[i] / unit));
    }
  }
}

TEST(WeightClip, AnInfiniteWeightIsADivergenceAndNotClipped) {
  const Dataset data = striped_images(kImage, kClasses, kBatch);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  settings.batch = kBatch;
  settings.learning_rate = 1e38;
  settings.normalisation.scale = 1e6;
  settings.weight_clip = 0.5;
  Trainer trainer(small_cnn(kClasses), settings, data, accelerator);
  EXPECT_TRUE(std::isfinite(trainer.step().loss));
  EXPECT_TRUE(trainer.state().diverged);
}

TEST(ResidualUpdate, RoundsAsConvertDoesInEveryModeUpToTheEnds) {
  constexpr RoundingMode kModes[] = {RoundingMode::NearestEven, RoundingMode::NearestAway,
                                     RoundingMode::TowardZero, RoundingMode::Down};
  for (const char* name : {"fx6.4", "ufx5.3", "fx3.-2", "fx20.19"}) {
    for (const RoundingMode mode : kModes) {
      for (const Overflow overflow : {Overflow::Saturate, Overflow::Wrap}) {
        ResidualStep step;
        step.sgd = {1, 0, 0, 1};  // W1 = W + A - gradient
        step.weight = fixed(name, mode).conversion;
        step.weight.overflow = overflow;
        const Conversion residual = step.residual = fixed("fx9.10", mode).conversion;
        const double unit = step.weight.format.smallest_value();
        std::vector<float> gradients;
        for (int i = -600; i <= 600; ++i) {  // eighths of a unit, beyond both ends
          gradients.push_back(static_cast<float>(i * unit / 8));
          gradients.push_back(std::nextafter(static_cast<float>(i * unit / 2), 1.0F));
          gradients.push_back(std::nextafter(static_cast<float>(i * unit / 2), -1.0F));
        }
        const std::size_t size = gradients.size();
        const auto start = static_cast<float>(unit);
        std::vector<float> velocity(size), weights(size, start), residuals(size, 0.25F);
        ASSERT_TRUE(residual_update(step, gradients.data(), static_cast<std::int64_t>(size),
                                    velocity.data(), weights.data(), residuals.data()));
        for (std::size_t i = 0; i < size; ++i) {
          const double target =
              static_cast<double>(start) + (0.25 - static_cast<double>(gradients[i]));
          const double weight = convert(target, step.weight);
          EXPECT_EQ(static_cast<double>(weights[i]), weight) << name << " " << target;
          EXPECT_EQ(static_cast<double>(residuals[i]), convert(target - weight, residual));
        }
      }
    }
  }
}

TEST(ResidualUpdate, SmallStepsAddUpBelowTheLastBit) {
  ResidualStep step;
  step.sgd = {1, 0, 0, 1};
  step.weight = fixed("fx8.7").conversion;
  step.residual = fixed("fx8.15").conversion;
  const float gradient = -0x1p-12F;  // a 32nd of the weight's unit
  float velocity = 0, weight = 0.5F, residual = 0;
  for (int i = 0; i < 32; ++i) {
    ASSERT_TRUE(residual_update(step, &gradient, 1, &velocity, &weight, &residual));
    EXPECT_EQ(weight + residual, 0.5F + static_cast<float>(i + 1) * 0x1p-12F);
    EXPECT_EQ(weight, i + 1 < 16 ? 0.5F : 0.5F + 0x1p-7F) << i;
  }
}

TEST(ResidualUpdate, AWeightThatWouldNotBeFiniteStaysAndIsReported) {
  ResidualStep step;
  step.sgd = {1, 0, 0, 1};
  step.weight = fixed("fx8.7").conversion;
  step.residual = fixed("fx8.15").conversion;
  step.clip = 0.25;
  const std::vector<float> gradients = {1, std::numeric_limits<float>::infinity(), -1};
  std::vector<float> velocity(3), weights(3, 0.125F), residuals(3);
  EXPECT_FALSE(residual_update(step, gradients.data(), 3, velocity.data(), weights.data(),
                               residuals.data()));
  EXPECT_EQ(weights, (std::vector<float>{-0.25F, 0.125F, 0.25F}));
}

}  // namespace
}  // namespace narrowmac
