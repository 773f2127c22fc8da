#include <gtest/gtest.h>

#include <cmath>

#include "tests/training/double_network.h"
#include "tests/training/plain_accelerator.h"
#include "tests/training/small_problem.h"

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

/// After one step without decay, PyTorch's velocity is the gradient.
std::map<std::string, std::vector<float>> gradients_of_first_step(Trainer& trainer) {
  trainer.step();
  std::map<std::string, std::vector<float>> gradients;
  for (const NamedTensor& tensor : trainer.tensors()) {
    const std::size_t suffix = tensor.name.rfind(".momentum");
    if (suffix != std::string::npos) gradients[tensor.name.substr(0, suffix)] = tensor.values;
  }
  return gradients;
}

TrainingSettings plain_settings(std::int64_t batch) {
  TrainingSettings settings;
  settings.batch = batch;
  settings.shuffle = false;
  return settings;
}

/// The trainer's gradients of every parameter equal those of the double network, and these the
/// differences of its own loss.
void expect_gradients_agree(const NetworkDescription& network, const FeatureShape& image,
                            double loss_scale = 1.0) {
  constexpr std::int64_t kBatch = 6, kClasses = 3;
  const Dataset data = striped_images(image, kClasses, kBatch);
  TrainingSettings settings = plain_settings(kBatch);
  settings.loss_scale.initial = loss_scale;
  PlainAccelerator accelerator;
  Trainer trainer(network, settings, data, accelerator);

  DoubleNetwork reference(network, image, kClasses);
  reference.load(trainer.tensors());
  const auto pixels = nchw_images(data, 0, kBatch);
  reference.loss(pixels, data.labels);
  reference.backward(data.labels);

  for (const auto& [name, gradient] : gradients_of_first_step(trainer)) {
    const auto& expected = reference.gradients.at(name);
    ASSERT_EQ(gradient.size(), expected.size()) << name;
    double largest = 0, difference = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::abs(expected[i]));
      difference = std::max(difference, std::abs(expected[i] - static_cast<double>(gradient[i])));
    }
    EXPECT_LE(difference, 2e-5 * largest + 1e-8) << name;

    for (const std::size_t i : {std::size_t{0}, expected.size() / 2, expected.size() - 1}) {
      double& weight = reference.tensors[name][i];
      const double saved = weight;
      constexpr double kStep = 1e-6;
      weight = saved + kStep;
      const double up = reference.loss(pixels, data.labels);
      weight = saved - kStep;
      const double down = reference.loss(pixels, data.labels);
      weight = saved;
      EXPECT_NEAR((up - down) / (2 * kStep), expected[i], 1e-6 + 1e-4 * std::abs(expected[i]))
          << name << "[" << i << "]";
    }
  }
}

TEST(Gradients, OfALinearLayer) {
  expect_gradients_agree(NetworkBuilder().plain("flat", Kind::Flatten).linear("fc", 3).build(),
                         {2, 4, 3});
}

TEST(Gradients, OfALinearLayerWithoutBias) {
  expect_gradients_agree(NetworkBuilder()
                             .plain("flat", Kind::Flatten)
                             .linear("fc1", 5, false)
                             .plain("relu", Kind::ReLU)
                             .linear("fc2", 3)
                             .build(),
                         {2, 4, 3});
}

TEST(Gradients, OfPaddedAndUnpaddedConvolutions) {
  expect_gradients_agree(NetworkBuilder()
                             .convolution("c1", 4, 3, 1, 1)
                             .convolution("c2", 5, 3)
                             .plain("flat", Kind::Flatten)
                             .linear("fc", 3)
                             .build(),
                         {2, 6, 5});
}

TEST(Gradients, OfStridedConvolutions) {
  expect_gradients_agree(NetworkBuilder()
                             .convolution("c1", 4, 3, 2, 1)
                             .convolution("c2", 5, 2, 3, 0)
                             .convolution("c3", 3, 1, 2, 0)
                             .plain("flat", Kind::Flatten)
                             .linear("fc", 3)
                             .build(),
                         {2, 11, 13});
}

TEST(Gradients, OfMaxPoolsThatTileOverlapAndLeaveABorder) {
  expect_gradients_agree(NetworkBuilder()
                             .convolution("c1", 3, 3, 1, 1)
                             .pool("tiling", Kind::MaxPool, 2, 2)
                             .convolution("c2", 3, 3, 1, 1)
                             .pool("overlapping", Kind::MaxPool, 3, 2, 1)
                             .convolution("c3", 3, 3, 1, 1)
                             .pool("bordered", Kind::MaxPool, 2, 2)
                             .plain("flat", Kind::Flatten)
                             .linear("fc", 3)
                             .build(),
                         {1, 18, 20});
}

TEST(Gradients, OfWindowedAndGlobalAveragePools) {
  expect_gradients_agree(NetworkBuilder()
                             .convolution("c1", 3, 3, 1, 1)
                             .pool("windowed", Kind::AveragePool, 3, 2, 1)
                             .convolution("c2", 4, 3, 1, 1)
                             .pool("global", Kind::AveragePool, 0)
                             .linear("fc", 3)
                             .build(),
                         {1, 7, 9});
}

TEST(Gradients, OfReLUsThatEndAtAClipAlsoBeforeAPoolThatTilesThem) {
  NetworkDescription network = small_cnn(3);
  for (LayerDescription& layer : network.layers) {
    if (layer.kind == Kind::ReLU) layer.clip = layer.name == "relu1" ? 0.3 : 0.6;
  }
  expect_gradients_agree(network, {1, 12, 12});
}

TEST(Gradients, OfBatchNormalisation) {
  expect_gradients_agree(NetworkBuilder()
                             .convolution("c1", 4, 3, 1, 1, false)
                             .plain("bn", Kind::BatchNorm)
                             .plain("relu", Kind::ReLU)
                             .plain("flat", Kind::Flatten)
                             .linear("fc", 3)
                             .build(),
                         {2, 5, 5});
}

TEST(Gradients, OfATensorReadTwice) {
  expect_gradients_agree(NetworkBuilder()
                             .convolution("c1", 4, 3, 1, 1)
                             .plain("twice", Kind::ResidualAdd)
                             .reading({"c1", "c1"})
                             .plain("flat", Kind::Flatten)
                             .linear("fc", 3)
                             .build(),
                         {1, 5, 5});
}

TEST(Gradients, OfAnMlp) { expect_gradients_agree(small_mlp(3), {1, 6, 6}); }

TEST(Gradients, OfACnn) { expect_gradients_agree(small_cnn(3), {1, 12, 12}); }

TEST(Gradients, OfAResidualNetworkWithIdentityAndProjection) {
  expect_gradients_agree(small_resnet(3), {3, 8, 8});
}

TEST(Gradients, AreFreeOfTheLossScale) {
  expect_gradients_agree(small_cnn(3), {1, 12, 12}, 1000.0);
  expect_gradients_agree(small_resnet(3), {3, 8, 8}, 1024.0);
}

TEST(Gradients, TiesInAMaxPoolGoToTheFirstInRowMajorOrder) {
  // A constant image ties everywhere, so only the first tap of each window may receive gradient.
  const FeatureShape image{1, 4, 4};
  Dataset data = striped_images(image, 3, 6);
  std::fill(data.pixels.begin(), data.pixels.end(), std::uint8_t{100});
  const NetworkDescription network = NetworkBuilder()
                                         .convolution("c", 2, 1)
                                         .pool("pool", Kind::MaxPool, 2, 2)
                                         .plain("flat", Kind::Flatten)
                                         .linear("fc", 3)
                                         .build();
  PlainAccelerator accelerator;
  int nonzero_rows = 0;
  accelerator.inspect = [&](const GemmRequest& request) {
    if (request.layer != "c" || request.pass != Pass::Gradient) return;
    for (std::int64_t row = 0; row < request.b.rows(); ++row) {
      if (request.b.at(row, 0) == 0) continue;
      ++nonzero_rows;
      EXPECT_EQ(row / 4 % 2, 0) << "image row";
      EXPECT_EQ(row % 2, 0) << "image column";
    }
  };
  Trainer trainer(network, plain_settings(6), data, accelerator);
  trainer.step();
  EXPECT_EQ(nonzero_rows, 6 * 4);
}

}  // namespace
}  // namespace narrowmac
