#include "models/theory/assignment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "models/design/error.h"
#include "models/theory/assignment_cost.h"

namespace narrowmac {
namespace {

LayerStatistics layer(const std::string& name) {
  LayerStatistics statistics;
  statistics.name = name;
  statistics.activation_noise_gain = 4.0;
  statistics.weight_noise_gain = 16.0;
  statistics.weight_gradient_std_min = 0x1p-8;
  statistics.weight_gradient_std_max = 0x1p-6;
  statistics.activation_gradient_std_max = 0x1p-10;
  statistics.lambda_max = 4.0;
  return statistics;
}

TEST(Assignment, EveryRuleOnPowersOfTwo) {
  LayerStatistics first = layer("first");
  first.activation_noise_gain.reset();
  const auto assigned = assign_precision({{first, layer("second")}, 0x1p-10}, 5);
  ASSERT_EQ(assigned.size(), 2U);
  EXPECT_FALSE(assigned[0].activation);
  const LayerAssignment& second = assigned[1];
  // 1: the least gain is 4, so activations have 5 bits and weights log2 sqrt(16 / 4) = 1 more.
  EXPECT_EQ(second.activation->bits, 5);
  EXPECT_EQ(second.activation->range, 2);
  EXPECT_EQ(second.activation->step, 0x1p-4);
  EXPECT_EQ(second.weight.bits, 6);
  EXPECT_EQ(second.weight.range, 1);
  EXPECT_EQ(second.weight.step, 0x1p-5);
  // 2 and 3: range 2 sigma_max, step sigma_min / 4.
  EXPECT_EQ(second.weight_gradient.range, 0x1p-5);
  EXPECT_EQ(second.weight_gradient.step, 0x1p-10);
  EXPECT_EQ(second.weight_gradient.bits, 6);
  // 2 and 4: range 4 sigma_max, step D_GW / sqrt(lambda).
  EXPECT_EQ(second.activation_gradient->range, 0x1p-8);
  EXPECT_EQ(second.activation_gradient->step, 0x1p-11);
  EXPECT_EQ(second.activation_gradient->bits, 4);
  // 5: range 2^-B_W, step lr D_GW.
  EXPECT_EQ(second.weight_residual.range, 0x1p-6);
  EXPECT_EQ(second.weight_residual.step, 0x1p-20);
  EXPECT_EQ(second.weight_residual.bits, 15);
}

TEST(Assignment, BetweenPowersOfTwoRangesGrowAndStepsShrink) {
  LayerStatistics statistics = layer("x");
  statistics.weight_gradient_std_max = std::nextafter(0x1p-6, 1);
  statistics.weight_gradient_std_min = std::nextafter(0x1p-8, 0);
  statistics.activation_gradient_std_max = 0x1.8p-10;
  statistics.lambda_max = std::nextafter(4.0, 5);
  const LayerAssignment assigned = assign_precision({{statistics}, 0.001}, 3).front();
  EXPECT_EQ(assigned.weight_gradient.range, 0x1p-4);
  EXPECT_EQ(assigned.weight_gradient.step, 0x1p-11);
  EXPECT_EQ(assigned.activation_gradient->range, 0x1p-7);
  EXPECT_EQ(assigned.activation_gradient->step, 0x1p-13);
  EXPECT_EQ(assigned.weight_residual.step, 0x1p-21);  // 2^floor(log2(0.001 * 2^-11))
}

TEST(Assignment, RulesAreThePublishedFormulasOnRandomStatistics) {
  std::mt19937 generator(5);
  std::normal_distribution<double> normal;
  for (int problem = 0; problem < 200; ++problem) {
    const auto draw = [&](double scale) { return scale * std::exp(3 * normal(generator)); };
    LayerStatistics statistics = layer("random");
    statistics.weight_noise_gain = draw(1e3);
    statistics.activation_noise_gain = draw(0.1);
    statistics.weight_gradient_std_min = draw(1e-4);
    statistics.weight_gradient_std_max = statistics.weight_gradient_std_min * (1 + draw(1));
    statistics.activation_gradient_std_max = draw(1);
    statistics.lambda_max = draw(1);
    const LayerAssignment assigned = assign_precision({{statistics}, 1e-3}, 4).front();
    const double least = std::min(statistics.weight_noise_gain, *statistics.activation_noise_gain);
    EXPECT_EQ(assigned.weight.bits,
              4 + std::round(std::log2(std::sqrt(statistics.weight_noise_gain / least))));
    EXPECT_EQ(assigned.weight_gradient.range,
              std::exp2(std::ceil(std::log2(2 * statistics.weight_gradient_std_max))));
    const double step = std::exp2(std::floor(std::log2(statistics.weight_gradient_std_min / 4)));
    EXPECT_EQ(assigned.weight_gradient.step, step);
    const double range =
        std::exp2(std::ceil(std::log2(4 * *statistics.activation_gradient_std_max)));
    EXPECT_EQ(assigned.activation_gradient->range, range);
    EXPECT_EQ(assigned.activation_gradient->step,
              std::min(range / 2,
                       std::exp2(std::floor(std::log2(step / std::sqrt(*statistics.lambda_max))))));
    EXPECT_EQ(assigned.weight_residual.bits,
              std::max(0.0, -assigned.weight.bits - std::floor(std::log2(1e-3 * step)) + 1));
  }
}

// Noise gains that the authors released for ResNet-20 on CIFAR-10, and the widths above the minimum
// that they derived (github.com/charbel-sakr/Fixed-Point-Training, FFanalysis).
TEST(Assignment, NoiseGainsOfThePublishedResNet20GiveThePublishedWidths) {
  const std::vector<double> activations = {0.514728904,  0.128971756,   0.112113886,   0.0731080845,
                                           0.0897526741, 0.0769944191,  0.0839371309,  0.0637812391,
                                           0.192214891,  0.154414907,   0.132652089,   0.112686194,
                                           0.0850616097, 0.0656613559,  0.128648296,   0.0650851801,
                                           0.0215582941, 0.00479985727, 0.000782166724};
  const std::vector<double> weights = {2408.89087, 980.265381, 1222.5769,  1624.37598, 1519.6698,
                                       3049.83301, 1465.90723, 2147.5127,  2741.22632, 4961.35645,
                                       4232.12891, 4201.90332, 7251.91992, 2987.89404, 2859.57227,
                                       2995.52051, 5018.16895, 4338.23926, 1406.75171, 1297.27185,
                                       107.979958, 8.30818844};
  const std::vector<int> activation_widths = {5, 4, 4, 3, 3, 3, 3, 3, 4, 4,
                                              4, 4, 3, 3, 4, 3, 2, 1, 0};
  const std::vector<int> weight_widths = {11, 10, 10, 10, 10, 11, 10, 11, 11, 11, 11,
                                          11, 12, 11, 11, 11, 11, 11, 10, 10, 9,  7};
  TrainingStatistics statistics;
  statistics.learning_rate_min = 0.001;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    LayerStatistics entry = layer("layer" + std::to_string(i));
    entry.weight_noise_gain = weights[i];
    entry.activation_noise_gain.reset();
    if (i < activations.size()) entry.activation_noise_gain = activations[i];
    statistics.layers.push_back(entry);
  }
  const auto assigned = assign_precision(statistics, 3);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(assigned[i].weight.bits, weight_widths[i] + 3) << i;
    ASSERT_EQ(assigned[i].activation.has_value(), i < activations.size());
    if (assigned[i].activation) {
      EXPECT_EQ(assigned[i].activation->bits, activation_widths[i] + 3);
    }
  }
}

TEST(Assignment, AHalfRoundsAwayFromZero) {
  LayerStatistics statistics = layer("x");
  statistics.activation_noise_gain = 1.0;
  for (const auto& [gain, bits] : {std::pair(2.0, 5), std::pair(32.0, 7), std::pair(1.99, 4)}) {
    statistics.weight_noise_gain = gain;
    EXPECT_EQ(assign_precision({{statistics}, 0.1}, 4).front().weight.bits, bits) << gain;
  }
}

TEST(Assignment, AResidualBelowWhichNothingFallsHasNoBits) {
  LayerStatistics statistics = layer("x");
  statistics.weight_gradient_std_min = statistics.weight_gradient_std_max = 8.0;
  EXPECT_EQ(assign_precision({{statistics}, 1.0}, 4).front().weight_residual.bits, 0);
}

TEST(Assignment, LayersWithoutAnActivationGradientGetNone) {
  LayerStatistics statistics = layer("shortcut");
  statistics.lambda_max.reset();
  EXPECT_FALSE(assign_precision({{statistics}, 0.1}, 4).front().activation_gradient);
}

TEST(Assignment, WrongStatisticsAreNamed) {
  const auto message = [](const LayerStatistics& statistics, double rate, int bits) -> std::string {
    try {
      assign_precision({{statistics}, rate}, bits);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  LayerStatistics statistics = layer("conv2");
  statistics.weight_noise_gain = 0;
  EXPECT_NE(message(statistics, 0.1, 4).find("\"conv2\": weight_noise_gain: found 0"),
            std::string::npos);
  EXPECT_NE(message(statistics, 0.1, 4).find("the layer is dead"), std::string::npos);
  statistics = layer("conv2");
  statistics.lambda_max = std::nan("");
  EXPECT_NE(message(statistics, 0.1, 4).find("lambda_max"), std::string::npos);
  statistics = layer("conv2");
  statistics.weight_gradient_std_max = 0x1p-9;
  EXPECT_NE(message(statistics, 0.1, 4).find("weight_gradient_std_min"), std::string::npos);
  EXPECT_NE(message(layer("x"), -1, 4).find("learning_rate_min"), std::string::npos);
  EXPECT_NE(message(layer("x"), 0.1, 0).find("0 bits"), std::string::npos);
  EXPECT_EQ(message(layer("x"), 0.1, 4), "");
}

TEST(AssignmentCost, ADotProductIsMultipliersAndAddersOfTheWidestPartialSum) {
  // Five products of 3 x 4 bits, and four additions of 3 + 4 + 3 carries - 1 bits.
  EXPECT_EQ(dot_product_full_adders(5, 3, 4), 5 * 12 + 4 * (3 + 4 + 3 - 1));
  EXPECT_EQ(dot_product_full_adders(4, 8, 8), 4 * 64 + 3 * (8 + 8 + 2 - 1));
  EXPECT_EQ(dot_product_full_adders(1, 8, 8), 64);  // no addition
  EXPECT_EQ(dot_product_full_adders(0, 8, 8), 0);
}

LayerShape linear(const std::string& name, const std::string& input, std::int64_t in,
                  std::int64_t out) {
  LayerShape shape;
  shape.layer.name = name;
  shape.layer.kind = LayerDescription::Kind::Linear;
  shape.layer.inputs = {input};
  shape.layer.channels = out;
  shape.inputs = {FeatureShape{in, 1, 1}};
  shape.output = FeatureShape{out, 1, 1};
  return shape;
}

TEST(AssignmentCost, AStepCountsTensorsOnceAndEveryDotProduct) {
  // 3 images through 5 x 4 and 4 x 2 weights.
  const std::vector<LayerShape> network = {linear("one", "input", 5, 4),
                                           linear("two", "one", 4, 2)};
  const std::vector<TensorWidths> widths = {{8, 7, 9, 10, 11}, {6, 5, 4, 3, 2}};
  const std::vector<PrecisionCost> layers = precision_costs(network, 3, widths);
  const PrecisionCost cost = total(layers);
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[1].communication_bits, 8 * 4);
  EXPECT_EQ(cost.representational_bits,
            3 * 5 * 8 + 20 * (7 + 9 + 11) + 3 * 4 * 10 +  // one: image, weights, gradients
                3 * 4 * 6 + 8 * (5 + 4 + 2) + 3 * 2 * 3);
  EXPECT_EQ(cost.communication_bits, 20 * 9 + 8 * 4);
  EXPECT_EQ(cost.full_adders,
            12 * dot_product_full_adders(5, 8, 7) +       // one, FWD: 3 x 4 sums of 5
                20 * dot_product_full_adders(3, 8, 10) +  // one, GRAD: 5 x 4 sums of 3; no BWD
                6 * dot_product_full_adders(4, 6, 5) +    // two, FWD
                12 * dot_product_full_adders(2, 3, 5) +   // two, BWD: 3 x 4 sums of 2
                8 * dot_product_full_adders(3, 6, 3));    // two, GRAD
}

TEST(AssignmentCost, ATensorWithTwoReadersIsStoredOnce) {
  const std::vector<LayerShape> both = {linear("one", "input", 5, 4), linear("two", "input", 5, 4)};
  const TensorWidths widths = {8, 1, 1, 1, 1};
  const double alone = total(precision_costs({both[0]}, 2, {widths})).representational_bits;
  EXPECT_EQ(total(precision_costs(both, 2, {widths, widths})).representational_bits,
            2 * alone - 2 * 5 * 8);
}

TEST(AssignmentCost, WidthsMustBelongToTheNetwork) {
  const std::vector<LayerShape> network = {linear("one", "input", 5, 4)};
  EXPECT_THROW(precision_costs(network, 1, {}), Error);
  EXPECT_THROW(precision_costs(network, 1, {TensorWidths{}, TensorWidths{}}), Error);
}

}  // namespace
}  // namespace narrowmac
