#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "models/numerics/convert.h"
#include "tests/training/plain_accelerator.h"
#include "tests/training/small_problem.h"

namespace narrowmac {
namespace {

constexpr FeatureShape kImage{1, 6, 6};

TensorFormat tensor_format(const char* text, Scaling scaling = Scaling::None) {
  TensorFormat format;
  format.conversion.format = NumberFormat::parse(text);
  if (format.conversion.format.is_fixed()) format.conversion.overflow = Overflow::Saturate;
  format.scaling = scaling;
  return format;
}

int steps_until_divergence(const TrainingSettings& settings) {
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  Trainer trainer(small_mlp(3), settings, data, accelerator);
  for (int step = 1; step <= 200; ++step) {
    const StepReport report = trainer.step();
    if (!trainer.state().diverged) {
      EXPECT_TRUE(std::isfinite(report.loss));
      continue;
    }
    trainer.evaluate(data);  // of a diverged network too: a result, not an error
    return step;
  }
  return 0;
}

TEST(Divergence, ALossThatIsNotFiniteIsAResult) {
  TrainingSettings settings;
  settings.batch = 8;
  EXPECT_EQ(steps_until_divergence(settings), 0);
  settings.learning_rate = 1e30;
  EXPECT_GT(steps_until_divergence(settings), 0);
}

TEST(Divergence, IsAResultTooWhereTheFormatsHaveNoInfinity) {
  TrainingSettings settings;
  settings.batch = 8;
  settings.learning_rate = 1e38;
  const TensorFormat fixed = tensor_format("fx8.0", Scaling::MaxAbs);
  settings.formats.activation = settings.formats.weight = settings.formats.gradient = fixed;
  EXPECT_GT(steps_until_divergence(settings), 0);
  settings.formats = {};
  settings.formats.activation = tensor_format("fx8.4");
  EXPECT_GT(steps_until_divergence(settings), 0);
}

TEST(Divergence, ADivergedStepLeavesTheWeightsAlone) {
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  settings.batch = 8;
  Trainer trainer(small_mlp(3), settings, data, accelerator);
  std::vector<NamedTensor> tensors = trainer.tensors();
  tensors[0].values[0] = std::numeric_limits<float>::quiet_NaN();
  trainer.restore(tensors, trainer.state());
  trainer.step();
  EXPECT_TRUE(trainer.state().diverged);
  EXPECT_EQ(bits_of(trainer.tensors()), bits_of(tensors));
}

TEST(LossScale, DynamicHalvesAndSkipsTheStepWhenAGradientOverflows) {
  // e5m2 ends at 57344: a gradient scaled by 2^30 overflows until the scale has come down.
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  settings.batch = 8;
  settings.formats.gradient = tensor_format("e5m2");
  settings.loss_scale = {true, 0x1p30, 1000};
  Trainer trainer(small_mlp(3), settings, data, accelerator);
  const std::vector<std::uint32_t> before = bits_of(trainer.tensors());
  int skipped = 0;
  while (trainer.step().skipped) {
    ++skipped;
    ASSERT_LT(skipped, 40);
    EXPECT_EQ(bits_of(trainer.tensors()), before);
    EXPECT_EQ(trainer.state().loss_scale, std::ldexp(1.0, 30 - skipped));
  }
  EXPECT_GT(skipped, 5);
  EXPECT_EQ(trainer.state().good_steps, 1);
  EXPECT_NE(bits_of(trainer.tensors()), before);
}

TEST(LossScale, DynamicDoublesAfterEnoughGoodSteps) {
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  settings.batch = 8;
  settings.loss_scale = {true, 8.0, 3};
  Trainer trainer(small_mlp(3), settings, data, accelerator);
  for (int i = 0; i < 3; ++i) trainer.step();
  EXPECT_EQ(trainer.state().loss_scale, 16.0);
  EXPECT_EQ(trainer.state().good_steps, 0);
}

TEST(WeightUpdate, KeepsTheMasterWeightsInTheirFormatAndBiasesInFp32) {
  const Dataset data = striped_images(kImage, 3, 16);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  settings.batch = 8;
  settings.formats.weight_update = tensor_format("e5m2");
  settings.formats.weight_update.conversion.rounding = {RoundingMode::Stochastic, 12};
  Trainer trainer(small_mlp(3), settings, data, accelerator);
  for (int i = 0; i < 4; ++i) trainer.step();
  const NumberFormat e5m2 = NumberFormat::parse("e5m2");
  bool every_bias_is_e5m2 = true;
  for (const NamedTensor& tensor : trainer.tensors()) {
    for (const float value : tensor.values) {
      if (tensor.name == "fc1.weight" || tensor.name == "fc2.weight") {
        EXPECT_TRUE(is_value(static_cast<double>(value), e5m2)) << tensor.name << " " << value;
      }
      if (tensor.name == "fc1.bias") {
        every_bias_is_e5m2 = every_bias_is_e5m2 && is_value(static_cast<double>(value), e5m2);
      }
    }
  }
  EXPECT_FALSE(every_bias_is_e5m2);
}

}  // namespace
}  // namespace narrowmac
