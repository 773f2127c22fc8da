#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/training/loss.h"
#include "sim/training/optimizer.h"
#include "sim/training/random_stream.h"

namespace narrowmac {
namespace {

TEST(Schedule, ConstantStaysAtTheInitialRate) {
  TrainingSettings settings;
  settings.learning_rate = 0.3;
  EXPECT_EQ(learning_rate(settings, 0, 10, 100), 0.3);
  EXPECT_EQ(learning_rate(settings, 99, 10, 100), 0.3);
}

TEST(Schedule, StepMultipliesFromTheFirstStepOfEachMilestoneEpoch) {
  TrainingSettings settings;
  settings.learning_rate = 1.0;
  settings.schedule.kind = Schedule::Kind::Step;
  settings.schedule.milestones = {2, 4};
  settings.schedule.factor = 0.25;
  EXPECT_EQ(learning_rate(settings, 19, 10, 100), 1.0);
  EXPECT_EQ(learning_rate(settings, 20, 10, 100), 0.25);
  EXPECT_EQ(learning_rate(settings, 39, 10, 100), 0.25);
  EXPECT_EQ(learning_rate(settings, 40, 10, 100), 0.0625);
}

TEST(Schedule, CosineFallsFromTheInitialRateToZeroAfterTheLastStep) {
  TrainingSettings settings;
  settings.learning_rate = 0.8;
  settings.schedule.kind = Schedule::Kind::Cosine;
  EXPECT_DOUBLE_EQ(learning_rate(settings, 0, 10, 100), 0.8);
  EXPECT_DOUBLE_EQ(learning_rate(settings, 25, 10, 100), 0.4 * (1 + std::sqrt(0.5)));
  EXPECT_DOUBLE_EQ(learning_rate(settings, 50, 10, 100), 0.4);
  EXPECT_NEAR(learning_rate(settings, 100, 10, 100), 0.0, 1e-15);
}

TEST(Sgd, MomentumAndDecayAreCoupledAsInPyTorch) {
  // w = 1, v = 0.5, scaled gradient 20 at loss scale 10: g = 2 + 0.1 * 1, v = 0.9 * 0.5 + 2.1, w =
  // 1 - 0.5 v.
  float weight = 1.0F, velocity = 0.5F;
  const float gradient = 20.0F;
  sgd_update({0.5F, 0.9F, 0.1F, 10.0F}, &gradient, 1, &velocity, &weight);
  EXPECT_FLOAT_EQ(velocity, 2.55F);
  EXPECT_FLOAT_EQ(weight, 1.0F - 0.5F * 2.55F);
}

TEST(Shuffle, IsAPermutationThatSeedAndStreamDecide) {
  const std::vector<std::int64_t> order = host_permutation(7, 3, 1000);
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> identity(1000);
  std::iota(identity.begin(), identity.end(), std::int64_t{0});
  EXPECT_EQ(sorted, identity);
  EXPECT_NE(order, identity);
  EXPECT_EQ(order, host_permutation(7, 3, 1000));
  EXPECT_NE(order, host_permutation(8, 3, 1000));
  EXPECT_NE(order, host_permutation(7, 4, 1000));
}

TEST(Shuffle, PutsEveryElementEverywhereEquallyOften) {
  // 6 orders of 3 elements, 6000 draws: 1000 each, standard deviation 29.
  std::vector<int> counts(27, 0);
  for (std::uint64_t stream = 0; stream < 6000; ++stream) {
    const auto order = host_permutation(1, stream, 3);
    ++counts[static_cast<std::size_t>(order[0] * 9 + order[1] * 3 + order[2])];
  }
  int orders = 0;
  for (const int count : counts) {
    if (count == 0) continue;
    ++orders;
    EXPECT_NEAR(count, 1000, 150);
  }
  EXPECT_EQ(orders, 6);
}

TEST(Shuffle, IsTheSameOnEveryMachine) {
  // Computed from the definition in random_stream.h in another language.
  EXPECT_EQ(host_permutation(1, 2, 8), (std::vector<std::int64_t>{3, 4, 0, 5, 2, 6, 7, 1}));
}

TEST(SoftmaxCrossEntropy, IsStableForLargeLogits) {
  const float logits[] = {1000.0F, 0.0F, -1000.0F, 0.0F, 0.0F, 0.0F};
  const std::uint8_t labels[] = {0, 2};
  float gradient[6];
  const LossResult result = softmax_cross_entropy(logits, labels, 2, 3, 4.0, gradient);
  EXPECT_DOUBLE_EQ(result.loss, std::log(3.0) / 2);
  EXPECT_EQ(result.correct, 1);
  EXPECT_FLOAT_EQ(gradient[0], 0.0F);
  EXPECT_FLOAT_EQ(gradient[3], 4.0F / 2 / 3);
  EXPECT_FLOAT_EQ(gradient[5], -4.0F / 3);
}

TEST(SoftmaxCrossEntropy, IsNotFiniteForNaNAndInfinity) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const float nan[] = {0.0F, kNaN}, infinite[] = {0.0F, std::numeric_limits<float>::infinity()};
  const std::uint8_t label = 0;
  EXPECT_FALSE(std::isfinite(softmax_cross_entropy(nan, &label, 1, 2).loss));
  EXPECT_FALSE(std::isfinite(softmax_cross_entropy(infinite, &label, 1, 2).loss));
}

}  // namespace
}  // namespace narrowmac
