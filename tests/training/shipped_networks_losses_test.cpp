#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "sim/accelerators/fp32.h"
#include "sim/training/trainer.h"
#include "tests/training/double_network.h"

// The networks as shipped, at full size, through OpenBLAS: what losses_test shows of small ones.

namespace narrowmac {
namespace {

/// Ten classes of 28 x 28 images: a bright patch whose place depends on the class, in noise.
Dataset patchy_images(std::int64_t count) {
  Dataset set;
  set.name = "patches";
  set.shape = {1, 28, 28};
  std::mt19937 generator(29);
  for (std::int64_t image = 0; image < count; ++image) {
    const auto label = static_cast<std::uint8_t>(generator() % 10);
    set.labels.push_back(label);
    for (int y = 0; y < 28; ++y) {
      for (int x = 0; x < 28; ++x) {
        const bool bright = x / 6 == label % 5 && y / 14 == label / 5;
        set.pixels.push_back(static_cast<std::uint8_t>(generator() % 160 + (bright ? 80 : 0)));
      }
    }
  }
  return set;
}

void expect_losses_agree(const std::string& name, std::int64_t batch, std::int64_t steps) {
  const NetworkDescription network =
      read_network(std::string(NARROWMAC_SOURCE_FOLDER) + "/configs/networks/" + name + ".toml");
  // Every image is seen once: a memorised batch's loss is too small for a relative comparison.
  const Dataset data = patchy_images(batch * steps);
  TrainingSettings settings;
  settings.batch = batch;
  settings.learning_rate = 0.01;
  settings.shuffle = false;
  Fp32Accelerator accelerator;
  Trainer trainer(network, settings, data, accelerator);
  DoubleNetwork reference(network, data.shape, data.classes);
  reference.load(trainer.tensors());
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::int64_t first = step * batch;
    const std::vector<std::uint8_t> labels(data.labels.begin() + first,
                                           data.labels.begin() + first + batch);
    const double expected = reference.loss(nchw_images(data, first, batch), labels);
    ASSERT_NEAR(trainer.step().loss, expected, 1e-4 * expected) << name << ", step " << step + 1;
    reference.backward(labels);
    reference.sgd(settings.learning_rate, settings.momentum, settings.weight_decay);
  }
}

TEST(ShippedNetworks, MlpThroughOpenBlasHasTheLossesOfADoubleImplementation) {
  expect_losses_agree("mlp", 16, 50);
}

TEST(ShippedNetworks, CnnThroughOpenBlasHasTheLossesOfADoubleImplementation) {
  expect_losses_agree("cnn", 4, 50);
}

TEST(ShippedNetworks, Resnet8ThroughOpenBlasHasTheLossesOfADoubleImplementation) {
  expect_losses_agree("resnet8", 2, 6);
}

}  // namespace
}  // namespace narrowmac
