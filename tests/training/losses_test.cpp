#include <gtest/gtest.h>

#include <cmath>

#include "tests/training/double_network.h"
#include "tests/training/plain_accelerator.h"
#include "tests/training/small_problem.h"

namespace narrowmac {
namespace {

/// 50 unshuffled steps of fp32 training from the same weights, beside the double network.
void expect_fifty_losses_agree(const NetworkDescription& network, const FeatureShape& image) {
  constexpr std::int64_t kBatch = 8, kImages = 60;  // the last batch of each epoch has 4 images
  const Dataset data = striped_images(image, 3, kImages);
  TrainingSettings settings;
  settings.batch = kBatch;
  settings.epochs = 7;
  settings.learning_rate = 0.02;
  settings.weight_decay = 1e-3;
  settings.shuffle = false;
  PlainAccelerator accelerator;
  Trainer trainer(network, settings, data, accelerator);
  DoubleNetwork reference(network, image, 3);
  reference.load(trainer.tensors());

  std::int64_t first = 0;
  for (int step = 0; step < 50; ++step) {
    const std::int64_t count = std::min(kBatch, kImages - first);
    const std::vector<std::uint8_t> labels(data.labels.begin() + first,
                                           data.labels.begin() + first + count);
    const double expected = reference.loss(nchw_images(data, first, count), labels);
    const StepReport report = trainer.step();
    ASSERT_NEAR(report.loss, expected, 1e-4 * expected) << "step " << step;
    reference.backward(labels);
    reference.sgd(0.02, 0.9, 1e-3);
    first = first + count == kImages ? 0 : first + count;
  }
  for (const NamedTensor& tensor : trainer.tensors()) {
    if (tensor.name.find("running") == std::string::npos) continue;
    const auto& expected = reference.tensors.at(tensor.name);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(tensor.values[i], expected[i], 1e-3 * (1 + std::abs(expected[i]))) << tensor.name;
    }
  }
}

TEST(Losses, OfFiftyStepsOfAnMlpEqualADoubleImplementation) {
  expect_fifty_losses_agree(small_mlp(3), {1, 6, 6});
}

TEST(Losses, OfFiftyStepsOfACnnEqualADoubleImplementation) {
  expect_fifty_losses_agree(small_cnn(3), {1, 12, 12});
}

TEST(Losses, OfFiftyStepsOfAResidualNetworkEqualADoubleImplementation) {
  expect_fifty_losses_agree(small_resnet(3), {3, 8, 8});
}

TEST(Losses, FallAndTheNetworkLearnsItsImages) {
  const Dataset data = striped_images({1, 12, 12}, 3, 64);
  TrainingSettings settings;
  settings.batch = 16;
  settings.epochs = 30;
  settings.schedule.kind = Schedule::Kind::Cosine;
  PlainAccelerator accelerator;
  Trainer trainer(small_cnn(3), settings, data, accelerator);
  const double before = trainer.evaluate(data).loss;
  for (std::int64_t step = 0; step < trainer.total_steps(); ++step) trainer.step();
  const Evaluation after = trainer.evaluate(data);
  EXPECT_LT(after.loss, 0.2 * before);
  EXPECT_GT(after.accuracy, 0.95);
  EXPECT_EQ(after.images, 64);
}

}  // namespace
}  // namespace narrowmac
