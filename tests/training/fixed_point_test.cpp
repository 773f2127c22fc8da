#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "models/numerics/convert.h"
#include "sim/training/batches.h"
#include "sim/training/weight_residual.h"
#include "tests/training/integer_network.h"
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
  IntegerNetwork model(clipped_cnn(), kImage, kClasses, settings, trainer.tensors());
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
