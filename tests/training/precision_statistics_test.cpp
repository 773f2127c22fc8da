#include "sim/training/precision_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "sim/training/singular_value.h"
#include "tests/training/double_network.h"
#include "tests/training/plain_accelerator.h"
#include "tests/training/small_problem.h"

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

/// A trainer in file order, after some steps.
struct TrainedProblem {
  TrainedProblem(const NetworkDescription& of, const FeatureShape& image, std::int64_t images,
                 std::int64_t batch, int steps, std::int64_t classes = 3)
      : network(of), data(striped_images(image, classes, images)) {
    settings.batch = batch;
    settings.epochs = 10;
    settings.learning_rate = 0.1;
    settings.shuffle = false;
    Trainer trainer(network, settings, data, accelerator);
    for (int i = 0; i < steps; ++i) trainer.step();
    tensors = trainer.tensors();
  }
  [[nodiscard]] PrecisionProblem problem() { return {network, settings, data, accelerator}; }

  NetworkDescription network;
  Dataset data;
  TrainingSettings settings;
  PlainAccelerator accelerator;
  std::vector<NamedTensor> tensors;
};

/// The definition in double, with central differences of one element of a tensor at a time.
class NoiseGainByDifferences {
 public:
  explicit NoiseGainByDifferences(TrainedProblem& trained)
      : data_(trained.data), network_(trained.network, trained.data.shape, trained.data.classes) {
    network_.load(trained.tensors);
    network_.running_statistics = true;
  }
  double of_weight(const std::string& layer) {
    DoubleNetwork::Tensor& weights = network_.tensors.at(layer + ".weight");
    return gain(weights.size(), [&](std::size_t element, double amount) {
      weights[element] += amount;
      return [&weights, element, amount] { weights[element] -= amount; };
    });
  }
  double of_output(const std::string& layer, std::int64_t size) {
    return gain(static_cast<std::size_t>(size), [&](std::size_t element, double amount) {
      network_.perturbation = {layer, element, amount};
      return [this] { network_.perturbation = {}; };
    });
  }

 private:
  template <typename Perturb>
  double gain(std::size_t elements, const Perturb& perturb) {
    constexpr double kStep = 1e-6;
    double sum = 0;
    for (std::int64_t n = 0; n < data_.size(); ++n) {
      const auto image = nchw_images(data_, n, 1);
      const auto at = [&](std::size_t element, double amount) {
        const auto restore = perturb(element, amount);
        DoubleNetwork::Tensor logits = network_.logits(image, 1);
        restore();
        return logits;
      };
      const DoubleNetwork::Tensor z = network_.logits(image, 1);
      const auto y = static_cast<std::size_t>(std::max_element(z.begin(), z.end()) - z.begin());
      for (std::size_t element = 0; element < elements; ++element) {
        const auto up = at(element, kStep), down = at(element, -kStep);
        for (std::size_t i = 0; i < z.size(); ++i) {
          if (i == y) continue;
          const double derivative = (up[i] - up[y] - down[i] + down[y]) / (2 * kStep);
          sum += derivative * derivative / ((z[i] - z[y]) * (z[i] - z[y]));
        }
      }
    }
    return sum / (24 * static_cast<double>(data_.size()));
  }

  const Dataset& data_;
  DoubleNetwork network_;
};

void expect_gains_agree(TrainedProblem& trained) {
  NoiseGainByDifferences expected(trained);
  const std::vector<PrecisionGains> gains = precision_gains(trained.problem(), trained.tensors);
  std::size_t next = 0;
  for (const LayerShape& shape : infer_shapes(trained.network, trained.data.shape, 3)) {
    if (!shape.has_gemm()) continue;
    const PrecisionGains& found = gains.at(next++);
    EXPECT_EQ(found.layer, shape.layer.name);
    const double weight = expected.of_weight(found.layer);
    EXPECT_NEAR(found.weight, weight, 1e-4 * weight) << found.layer;
    ASSERT_EQ(found.activation.has_value(), shape.layer.inputs[0] != "input") << found.layer;
    if (!found.activation) continue;
    const double activation =
        expected.of_output(shape.layer.inputs[0], shape.inputs.front().size());
    EXPECT_NEAR(*found.activation, activation, 1e-4 * activation) << found.layer;
  }
  EXPECT_EQ(next, gains.size());
}

TEST(NoiseGains, OfACnnAreThoseOfTheDefinition) {
  TrainedProblem trained(small_cnn(3), {1, 8, 8}, 2, 2, 2);
  expect_gains_agree(trained);
}

TEST(NoiseGains, EndWhereActivationsAreClipped) {
  NetworkDescription network = small_cnn(3);
  network.layers[1].clip = 0.5;
  TrainedProblem trained(network, {1, 8, 8}, 2, 2, 2);
  expect_gains_agree(trained);
}

TEST(NoiseGains, TakeEveryReaderOfATensorAndRunningStatisticsOfBatchNorm) {
  TrainedProblem trained(small_resnet(3), {1, 4, 4}, 2, 2, 3);
  expect_gains_agree(trained);
}

TEST(NoiseGains, OfOneDirectionAreTheGradientOfTheLossUpToItsFactor) {
  // Two classes and one image: the loss sees z_1 - z_0 only, with p (1 - p) = dp / d(z_1 - z_0).
  TrainedProblem trained(small_cnn(2), {1, 12, 12}, 1, 1, 0, 2);
  trained.data.labels = {0};
  trained.settings.learning_rate = 1.0;
  Trainer trainer(trained.network, trained.settings, trained.data, trained.accelerator);
  const std::vector<NamedTensor> before = trainer.tensors();
  DoubleNetwork network(trained.network, trained.data.shape, 2);
  network.load(before);
  const auto z = network.logits(nchw_images(trained.data, 0, 1), 1);
  const double gap = z[1] - z[0], factor = 1 / (1 + std::exp(-gap));
  trainer.step();
  const std::vector<NamedTensor> after = trainer.tensors();
  for (const PrecisionGains& gain : precision_gains(trained.problem(), before)) {
    double squares = 0;
    for (std::size_t t = 0; t < before.size(); ++t) {
      if (before[t].name != gain.layer + ".weight.momentum") continue;
      for (const float value : after[t].values) squares += std::pow(double{value} / factor, 2);
    }
    EXPECT_NEAR(gain.weight, squares / (24 * gap * gap), 1e-4 * gain.weight) << gain.layer;
  }
}

TEST(NoiseGains, LookAtEvenlySpacedImages) {
  TrainedProblem all(small_mlp(3), {1, 3, 3}, 600, 50, 2);
  TrainedProblem some(small_mlp(3), {1, 3, 3}, 256, 50, 0);
  some.data = all.data;
  some.data.labels.resize(256);
  some.data.pixels.clear();
  for (std::ptrdiff_t k = 0; k < 256; ++k) {
    const auto first = all.data.pixels.begin() + k * 600 / 256 * 9;
    some.data.pixels.insert(some.data.pixels.end(), first, first + 9);
  }
  const auto of_all = precision_gains(all.problem(), all.tensors);
  const auto of_some = precision_gains(some.problem(), all.tensors);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    EXPECT_EQ(of_all[layer].weight, of_some[layer].weight);
    EXPECT_EQ(of_all[layer].activation, of_some[layer].activation);
    EXPECT_EQ(of_all[layer].lambda_max, of_some[layer].lambda_max);
  }
}

TEST(NoiseGains, LeaveImagesOutWhoseLargestLogitIsNotUnique) {
  TrainedProblem trained(small_mlp(3), {1, 3, 3}, 4, 4, 0);
  const auto without = precision_gains(trained.problem(), trained.tensors);
  trained.data.labels.push_back(0);
  trained.data.pixels.resize(trained.data.pixels.size() + 9, 0);  // all logits 0: no bias yet
  const auto with = precision_gains(trained.problem(), trained.tensors);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    EXPECT_EQ(with[layer].weight, without[layer].weight);
    EXPECT_NEAR(with[layer].lambda_max, without[layer].lambda_max * 0.8, 1e-6);
  }
  std::fill(trained.data.pixels.begin(), trained.data.pixels.end(), std::uint8_t{0});
  for (const PrecisionGains& gain : precision_gains(trained.problem(), trained.tensors)) {
    EXPECT_TRUE(std::isnan(gain.weight)) << "no image is left";
  }
}

TEST(NoiseGains, AreNotThereIfTheCallerStopsThem) {
  TrainedProblem trained(small_mlp(3), {1, 3, 3}, 100, 50, 0);
  std::vector<std::int64_t> told;
  const auto go_on = [&](std::int64_t done, std::int64_t images) {
    EXPECT_EQ(images, 100);
    told.push_back(done);
    return done < 100;
  };
  EXPECT_TRUE(precision_gains(trained.problem(), trained.tensors, go_on).empty());
  EXPECT_EQ(told, (std::vector<std::int64_t>{64, 100}));
}

TEST(NoiseGains, AreNoneForActivationsThatDependOnNoParameter) {
  TrainedProblem trained(small_mlp(3), {1, 3, 3}, 4, 4, 0);
  const auto gains = precision_gains(trained.problem(), trained.tensors);
  EXPECT_FALSE(gains[0].activation.has_value()) << "the flattened image";
  EXPECT_GT(gains[1].activation.value(), 0);
}

double deviation_of(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / count);
}

TEST(GradientDeviations, AreThoseOfTheTrainersGradientsPooledOverFullMinibatches) {
  // 14 images: three full minibatches of 4, and two images that are not looked at.
  TrainedProblem trained(small_resnet(3), {2, 6, 6}, 14, 4, 2);
  std::map<std::string, std::vector<double>> weights, activations;
  for (std::int64_t batch = 0; batch < 3; ++batch) {
    Dataset part = trained.data;
    part.labels.assign(trained.data.labels.begin() + batch * 4,
                       trained.data.labels.begin() + (batch + 1) * 4);
    const std::ptrdiff_t bytes = 4 * part.shape.size();
    part.pixels.assign(trained.data.pixels.begin() + batch * bytes,
                       trained.data.pixels.begin() + (batch + 1) * bytes);
    PlainAccelerator accelerator;
    accelerator.inspect = [&](const GemmRequest& request) {
      if (request.pass != Pass::Gradient) return;
      for (std::int64_t row = 0; row < request.b.rows(); ++row) {
        for (std::int64_t column = 0; column < request.b.columns(); ++column) {
          activations[request.layer].push_back(request.b.at(row, column));
        }
      }
    };
    TrainingSettings settings = trained.settings;
    settings.momentum = 0;  // the velocity is the gradient
    Trainer trainer(trained.network, settings, part, accelerator);
    trainer.restore(trained.tensors, {});
    trainer.step();
    for (const NamedTensor& tensor : trainer.tensors()) {
      const std::size_t suffix = tensor.name.rfind(".weight.momentum");
      if (suffix == std::string::npos) continue;
      auto& all = weights[tensor.name.substr(0, suffix)];
      all.insert(all.end(), tensor.values.begin(), tensor.values.end());
    }
  }
  const auto deviations = gradient_deviations(trained.problem(), trained.tensors);
  ASSERT_EQ(deviations.size(), 6U);
  for (const GradientDeviations& layer : deviations) {
    const double weight = deviation_of(weights.at(layer.layer));
    const double activation = deviation_of(activations.at(layer.layer));
    EXPECT_NEAR(layer.weight, weight, 1e-12 * weight) << layer.layer;
    EXPECT_NEAR(layer.activation, activation, 1e-12 * activation) << layer.layer;
  }
}

TEST(GradientDeviations, OfATensorThatGetsNoGradientAreZero) {
  TrainedProblem trained(small_mlp(3), {1, 3, 3}, 8, 4, 0);
  for (NamedTensor& tensor : trained.tensors) {
    if (tensor.name == "fc2.weight") std::fill(tensor.values.begin(), tensor.values.end(), 0.0F);
  }
  const auto deviations = gradient_deviations(trained.problem(), trained.tensors);
  EXPECT_EQ(deviations[0].weight, 0);
  EXPECT_EQ(deviations[0].activation, 0);
  EXPECT_GT(deviations[1].weight, 0);
}

/// Largest singular value by a dense matrix, from another start.
double dense_singular_value(const std::vector<std::vector<double>>& matrix) {
  std::vector<double> v(matrix.front().size());
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = 1.0 / static_cast<double>(i + 1);
  double value = 0;
  for (int iteration = 0; iteration < 3000; ++iteration) {
    double length = 0;
    for (const double x : v) length += x * x;
    std::vector<double> next(v.size(), 0.0);
    double squares = 0;
    for (const auto& row : matrix) {
      const double product = std::inner_product(row.begin(), row.end(), v.begin(), 0.0);
      squares += product * product;
      for (std::size_t i = 0; i < v.size(); ++i) next[i] += row[i] * product;
    }
    value = std::sqrt(squares / length);
    const double largest = *std::max_element(next.begin(), next.end());
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = next[i] / largest;
  }
  return value;
}

TEST(LambdaMax, OfAConvolutionIsThatOfTheWholeSquaredJacobian) {
  // dW[o][c][i][j] = sum over images n and pixels (y, x) of dY[n][o][y][x] X[n][c][2y+i-1][2x+j-1].
  constexpr std::int64_t kOutputs = 2, kImages = 3;
  const FeatureShape image{2, 5, 5};
  TrainedProblem trained(NetworkBuilder()
                             .convolution("conv", kOutputs, 3, 2, 1)
                             .plain("flatten", Kind::Flatten)
                             .linear("fc", 3)
                             .build(),
                         image, kImages, kImages, 1);
  const auto pixels = nchw_images(trained.data, 0, kImages);
  std::vector<double> mean_square(static_cast<std::size_t>(image.size()), 0.0);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    mean_square[i % mean_square.size()] += pixels[i] * pixels[i] / kImages;
  }
  std::vector<std::vector<double>> jacobian;
  for (std::int64_t weight = 0; weight < kOutputs * 18; ++weight) {
    const std::int64_t o = weight / 18, c = weight / 9 % 2, i = weight / 3 % 3, j = weight % 3;
    auto& row = jacobian.emplace_back();
    for (std::int64_t column = 0; column < kImages * kOutputs * 9; ++column) {
      const std::int64_t channel = column / 9 % kOutputs;
      const std::int64_t y = 2 * (column / 3 % 3) + i - 1, x = 2 * (column % 3) + j - 1;
      const bool reads = channel == o && y >= 0 && y < 5 && x >= 0 && x < 5;
      row.push_back(reads ? mean_square[static_cast<std::size_t>((c * 5 + y) * 5 + x)] : 0.0);
    }
  }
  const double expected = dense_singular_value(jacobian);
  const auto gains = precision_gains(trained.problem(), trained.tensors);
  EXPECT_NEAR(gains[0].lambda_max, expected, 1e-6 * expected);
}

TEST(LambdaMax, OfALinearLayerIsTheLengthOfItsMeanSquaredInputTimesTheRootOfTheBatch) {
  TrainedProblem trained(small_mlp(3), {1, 3, 3}, 20, 7, 1);
  double squares = 0;
  for (std::size_t pixel = 0; pixel < 9; ++pixel) {
    double mean = 0;
    for (std::size_t n = 0; n < 20; ++n) {
      mean += std::pow(trained.data.pixels[n * 9 + pixel] / 256.0, 2) / 20;
    }
    squares += mean * mean;
  }
  const double expected = std::sqrt(7 * squares);
  const auto gains = precision_gains(trained.problem(), trained.tensors);
  EXPECT_NEAR(gains[0].lambda_max, expected, 1e-6 * expected);
}

TEST(LargestSingularValue, OfMatricesThatAreKnown) {
  EXPECT_EQ(largest_singular_value({0, 0, 0, 0, 0, 0}, 2, 3), 0);
  EXPECT_NEAR(largest_singular_value({3, 0, 0, 0, 2, 0}, 2, 3), 3, 3e-6);
  EXPECT_NEAR(largest_singular_value({0, 1, 0, 0, 0, 7}, 2, 3), 7, 7e-6);
  EXPECT_NEAR(largest_singular_value({1, 2, 2, 4}, 2, 2), 5, 5e-6);
}

TEST(LeastLearningRate, IsThatOfTheLastStepWithOneAboveZero) {
  TrainingSettings settings;
  settings.learning_rate = 0.1;
  EXPECT_EQ(final_learning_rate(settings, 10, 30), 0.1);
  settings.schedule.kind = Schedule::Kind::Cosine;
  EXPECT_NEAR(final_learning_rate(settings, 10, 30), 0.05 * (1 + std::cos(M_PI * 29 / 30)), 1e-15);
  settings.schedule = {Schedule::Kind::Step, {1, 2}, 0.0};
  EXPECT_EQ(final_learning_rate(settings, 10, 30), 0.1);
  settings.learning_rate = 0;
  EXPECT_EQ(final_learning_rate(settings, 10, 30), 0);
}

}  // namespace
}  // namespace narrowmac
