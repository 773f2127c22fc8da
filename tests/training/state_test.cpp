#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <set>

#include "models/design/error.h"
#include "tests/training/plain_accelerator.h"
#include "tests/training/small_problem.h"

namespace narrowmac {
namespace {

constexpr FeatureShape kImage{1, 12, 12};

TensorFormat stochastic(const char* format, Scaling scaling) {
  TensorFormat tensor;
  tensor.conversion.format = NumberFormat::parse(format);
  tensor.conversion.rounding = {RoundingMode::Stochastic, 16};
  tensor.conversion.overflow =
      tensor.conversion.format.is_float() ? Overflow::Infinity : Overflow::Saturate;
  tensor.scaling = scaling;
  return tensor;
}

/// Every source of randomness and every piece of state that a run can have.
TrainingSettings everything() {
  TrainingSettings settings;
  settings.batch = 8;
  settings.epochs = 3;
  settings.weight_decay = 1e-4;
  settings.schedule.kind = Schedule::Kind::Cosine;
  settings.loss_scale = {true, 1024.0, 5};
  settings.formats.activation = stochastic("fx8.0", Scaling::MaxAbs);
  settings.formats.weight = stochastic("fx8.0", Scaling::MaxAbs);
  settings.formats.gradient = stochastic("e5m2", Scaling::None);
  settings.formats.weight_update = stochastic("e6m9", Scaling::None);
  return settings;
}

std::vector<double> run(Trainer& trainer, int steps) {
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) losses.push_back(trainer.step().loss);
  return losses;
}

std::string restore_error(Trainer& trainer, const std::vector<NamedTensor>& tensors) {
  try {
    trainer.restore(tensors, trainer.state());
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(TrainerState, ARestoredRunGoesOnWithTheSameBits) {
  const Dataset data = striped_images(kImage, 3, 44);
  PlainAccelerator accelerator;
  Trainer whole(small_resnet(3), everything(), data, accelerator);
  run(whole, 7);
  const std::vector<NamedTensor> checkpoint = whole.tensors();
  const TrainerState state = whole.state();
  const std::vector<double> expected = run(whole, 9);

  Trainer resumed(small_resnet(3), everything(), data, accelerator);
  resumed.restore(checkpoint, state);
  EXPECT_EQ(run(resumed, 9), expected);
  EXPECT_EQ(bits_of(resumed.tensors()), bits_of(whole.tensors()));
  EXPECT_EQ(resumed.state().loss_scale, whole.state().loss_scale);
  EXPECT_EQ(resumed.state().good_steps, whole.state().good_steps);
}

TEST(TrainerState, EvaluatingInBetweenChangesNothing) {
  const Dataset data = striped_images(kImage, 3, 44);
  PlainAccelerator accelerator;
  Trainer plain(small_resnet(3), everything(), data, accelerator);
  Trainer evaluated(small_resnet(3), everything(), data, accelerator);
  for (int i = 0; i < 6; ++i) {
    plain.step();
    evaluated.evaluate(data);
    evaluated.step();
  }
  EXPECT_EQ(bits_of(plain.tensors()), bits_of(evaluated.tensors()));
}

TEST(TrainerState, TheNumberOfThreadsChangesNoBit) {
  // Large enough for several blocks in every reduction.
  const FeatureShape image{3, 32, 32};
  const Dataset data = striped_images(image, 3, 16);
  std::vector<std::uint32_t> bits[2];
  Evaluation evaluations[2];
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    PlainAccelerator accelerator;
    Trainer trainer(small_resnet(3), everything(), data, accelerator);
    run(trainer, 3);
    bits[threads - 1] = bits_of(trainer.tensors());
    evaluations[threads - 1] = trainer.evaluate(data);
  }
  EXPECT_EQ(bits[0], bits[1]);
  EXPECT_EQ(evaluations[0].loss, evaluations[1].loss);
}

TEST(TrainerState, ACheckpointOfAnotherNetworkIsRefusedByTensorName) {
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  Trainer trainer(small_cnn(3), everything(), data, accelerator);
  std::vector<NamedTensor> tensors = trainer.tensors();

  std::vector<NamedTensor> missing(tensors.begin() + 1, tensors.end());
  EXPECT_NE(restore_error(trainer, missing).find("conv1.weight"), std::string::npos);

  std::vector<NamedTensor> unknown = tensors;
  unknown.push_back({"conv9.weight", {1}, {0.0F}});
  EXPECT_NE(restore_error(trainer, unknown).find("conv9.weight"), std::string::npos);

  std::vector<NamedTensor> reshaped = tensors;
  std::swap(reshaped[2].shape[0], reshaped[2].shape[1]);
  EXPECT_NE(restore_error(trainer, reshaped).find(reshaped[2].name), std::string::npos);
  EXPECT_EQ(restore_error(trainer, tensors), "");
}

TEST(TrainerState, TensorsCarryPyTorchsNamesAndShapes) {
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  Trainer trainer(small_cnn(3), {}, data, accelerator);
  const std::vector<NamedTensor> tensors = trainer.tensors();
  EXPECT_EQ(tensors[0].name, "conv1.weight");
  EXPECT_EQ(tensors[0].shape, (std::vector<std::int64_t>{4, 1, 3, 3}));
  EXPECT_EQ(tensors[2].name, "conv2.weight");
  EXPECT_EQ(tensors[2].shape, (std::vector<std::int64_t>{6, 4, 3, 3}));
  EXPECT_EQ(tensors[4].name, "fc1.weight");
  EXPECT_EQ(tensors[4].shape, (std::vector<std::int64_t>{8, 54}));
  EXPECT_EQ(tensors[8].name, "conv1.weight.momentum");
}

TEST(TrainerState, TheSeedDecidesTheInitialWeights) {
  const Dataset data = striped_images(kImage, 3, 8);
  PlainAccelerator accelerator;
  TrainingSettings settings;
  Trainer one(small_cnn(3), settings, data, accelerator);
  Trainer again(small_cnn(3), settings, data, accelerator);
  settings.seed = 2;
  Trainer other(small_cnn(3), settings, data, accelerator);
  EXPECT_EQ(bits_of(one.tensors()), bits_of(again.tensors()));
  EXPECT_NE(bits_of(one.tensors()), bits_of(other.tensors()));
}

TEST(TrainerState, HeInitialisationHasTheVarianceOfItsFanIn) {
  const Dataset data = striped_images({1, 28, 28}, 10, 8);
  PlainAccelerator accelerator;
  Trainer trainer(NetworkBuilder()
                      .plain("flatten", LayerDescription::Kind::Flatten)
                      .linear("fc1", 256)
                      .linear("fc2", 10)
                      .build(),
                  {}, data, accelerator);
  const std::vector<NamedTensor> tensors = trainer.tensors();
  double sum = 0, squares = 0;
  for (const float value : tensors[0].values) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  const double count = 256.0 * 784.0;
  EXPECT_NEAR(sum / count, 0.0, 5e-4);
  EXPECT_NEAR(squares / count, 2.0 / 784.0, 0.01 * 2.0 / 784.0);
  EXPECT_EQ(tensors[1].values, std::vector<float>(256, 0.0F));
}

}  // namespace
}  // namespace narrowmac
