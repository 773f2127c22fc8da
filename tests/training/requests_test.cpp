#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "models/numerics/convert.h"
#include "tests/training/plain_accelerator.h"
#include "tests/training/small_problem.h"

namespace narrowmac {
namespace {

constexpr FeatureShape kImage{1, 12, 12};

MacDesign mac(const char* operand, const char* accumulator) {
  MacDesign design;
  design.a = design.b = NumberFormat::parse(operand);
  design.accumulator.format = NumberFormat::parse(accumulator);
  if (design.accumulator.format.is_fixed()) design.accumulator.overflow = Overflow::Saturate;
  return design;
}

TensorFormat tensor_format(const char* text, Scaling scaling = Scaling::None) {
  TensorFormat format;
  format.conversion.format = NumberFormat::parse(text);
  if (format.conversion.format.is_fixed()) format.conversion.overflow = Overflow::Saturate;
  format.scaling = scaling;
  return format;
}

TrainingSettings with_formats(const TensorFormat& activation, const TensorFormat& weight,
                              const TensorFormat& gradient) {
  TrainingSettings settings;
  settings.batch = 8;
  settings.formats.activation = activation;
  settings.formats.weight = weight;
  settings.formats.gradient = gradient;
  return settings;
}

bool holds_values_of(const OperandView& view, const NumberFormat& format) {
  for (std::int64_t row = 0; row < view.rows(); ++row) {
    for (std::int64_t column = 0; column < view.columns(); ++column) {
      if (!is_value(view.at(row, column), format)) return false;
    }
  }
  return true;
}

TEST(Requests, AStepAsksForThreeGemmsPerLayerButNoBackwardOfTheFirst) {
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  accelerator.record = true;
  TrainingSettings settings;
  settings.batch = 8;
  const NetworkDescription network = small_cnn(3);
  Trainer trainer(network, settings, data, accelerator);
  trainer.step();
  std::map<std::string, LayerShape> shapes;
  for (const LayerShape& shape : infer_shapes(network, kImage, 3)) shapes[shape.layer.name] = shape;
  std::multiset<std::string> asked;
  for (const auto& call : accelerator.calls) {
    asked.insert(call.layer + " " + std::string(to_string(call.pass)));
    EXPECT_EQ(call.shape, gemm_shape(shapes.at(call.layer), call.pass, 8)) << call.layer;
  }
  EXPECT_EQ(asked, (std::multiset<std::string>{"conv1 FWD", "conv1 GRAD", "conv2 FWD", "conv2 BWD",
                                               "conv2 GRAD", "fc1 FWD", "fc1 BWD", "fc1 GRAD",
                                               "fc2 FWD", "fc2 BWD", "fc2 GRAD"}));
}

TEST(Requests, NoGemmNumberIsUsedTwiceInTrainingAndEvaluation) {
  const Dataset data = striped_images(kImage, 3, 300);
  PlainAccelerator accelerator;
  accelerator.record = true;
  TrainingSettings settings;
  settings.batch = 8;
  Trainer trainer(small_mlp(3), settings, data, accelerator);
  for (int i = 0; i < 4; ++i) {
    trainer.evaluate(data);
    trainer.step();
  }
  std::set<std::uint64_t> numbers;
  for (const auto& call : accelerator.calls) {
    EXPECT_TRUE(numbers.insert(call.gemm_number).second) << call.layer;
  }
  EXPECT_EQ(numbers.size(),
            4U * (5 + 3 * 2));  // 5 GEMMs a step; three evaluation batches, two layers
}

TEST(Requests, OperandsAreValuesOfTheirFormats) {
  const Dataset data = striped_images(kImage, 3, 16);
  const TensorFormat activation = tensor_format("e4m3"), weight = tensor_format("e5m2"),
                     gradient = tensor_format("fx6.0", Scaling::MaxAbs);
  PlainAccelerator accelerator;
  int seen = 0;
  accelerator.inspect = [&](const GemmRequest& request) {
    ++seen;
    const NumberFormat& a =
        (request.pass == Pass::Backward ? gradient : activation).conversion.format;
    const NumberFormat& b = (request.pass == Pass::Gradient ? gradient : weight).conversion.format;
    EXPECT_TRUE(holds_values_of(request.a, a)) << request.layer << to_string(request.pass);
    EXPECT_TRUE(holds_values_of(request.b, b)) << request.layer << to_string(request.pass);
  };
  Trainer trainer(small_cnn(3), with_formats(activation, weight, gradient), data, accelerator);
  trainer.step();
  trainer.step();
  EXPECT_EQ(seen, 2 * 11);
}

TEST(Requests, ScalesAreMultipliedBackOutsideTheArray) {
  // 16-bit codes with a scale per tensor lose so little that the losses stay those of fp32.
  const Dataset data = striped_images(kImage, 3, 32);
  const TensorFormat wide = tensor_format("fx20.0", Scaling::MaxAbs);
  PlainAccelerator accelerator;
  TrainingSettings fp32;
  fp32.batch = 8;
  Trainer exact(small_cnn(3), fp32, data, accelerator);
  Trainer rounded(small_cnn(3), with_formats(wide, wide, wide), data, accelerator);
  for (int i = 0; i < 10; ++i) {
    EXPECT_NEAR(rounded.step().loss, exact.step().loss, 1e-3) << "step " << i;
  }
}

TEST(Requests, LayersAndPassesGoWhereTheyAreAssigned) {
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  accelerator.record = true;
  TrainingSettings settings;
  settings.batch = 8;
  settings.macs.set(Pass::Forward, mac("e5m2", "e6m9"));
  settings.macs.set("fc2", Pass::Gradient, mac("e5m2", "e6m9"));
  Trainer trainer(small_cnn(3), settings, data, accelerator);
  trainer.step();
  for (const auto& call : accelerator.calls) {
    const bool expected =
        call.pass == Pass::Forward || (call.layer == "fc2" && call.pass == Pass::Gradient);
    EXPECT_EQ(call.on_array, expected) << call.layer << " " << to_string(call.pass);
  }
}

TEST(Requests, EverySixteenthStepOfTheArrayIsObserved) {
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  settings.batch = 8;
  settings.epochs = 40;
  settings.macs.set(Pass::Forward, mac("fp32", "fp32"));
  settings.macs.set(Pass::Gradient, mac("fp32", "fp32"));
  std::set<std::int64_t> rows_forward, rows_gradient;
  accelerator.inspect = [&](const GemmRequest& request) {
    if (!request.observe) return;
    (request.pass == Pass::Gradient ? rows_gradient : rows_forward)
        .insert(request.observe->max_rows);
  };
  Trainer trainer(small_mlp(3), settings, data, accelerator);
  for (int i = 0; i < 33; ++i) trainer.step();
  std::multiset<std::int64_t> steps;
  for (const GemmObservation& observation : trainer.take_observations()) {
    steps.insert(observation.step);
  }
  EXPECT_EQ(steps, (std::multiset<std::int64_t>{1, 1, 1, 1, 17, 17, 17, 17, 33, 33, 33, 33}));
  EXPECT_EQ(rows_forward, std::set<std::int64_t>{512});
  EXPECT_EQ(rows_gradient, std::set<std::int64_t>{0});
  EXPECT_TRUE(trainer.take_observations().empty());
}

TEST(Requests, WorkCountsTheTrainingStepsOfEachLayerAndPass) {
  const Dataset data = striped_images(kImage, 3, 12);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  settings.batch = 8;
  settings.macs.set(Pass::Forward, mac("fp32", "fp32"));
  Trainer trainer(small_mlp(3), settings, data, accelerator);
  trainer.step();
  trainer.step();  // the epoch's last four images
  trainer.evaluate(data);
  const auto& work = trainer.work();
  ASSERT_EQ(work.size(), 2U);
  EXPECT_EQ(work[0].first, "fc1");
  const LayerWork& forward = work[0].second[static_cast<std::size_t>(Pass::Forward)];
  EXPECT_EQ(forward.gemms, 2);
  EXPECT_EQ(forward.shape, (GemmShape{8, 12, 144}));
  EXPECT_EQ(forward.macs, (8 + 4) * 12 * 144);
  EXPECT_EQ(forward.cycles.total(), forward.macs);
  EXPECT_TRUE(forward.on_array);
  EXPECT_EQ(work[0].second[static_cast<std::size_t>(Pass::Backward)].gemms, 0);
  EXPECT_FALSE(work[1].second[static_cast<std::size_t>(Pass::Backward)].on_array);
}

}  // namespace
}  // namespace narrowmac
