#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace narrowmac {
namespace {

nlohmann::json json_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--format", "json"});
  const Outcome outcome = run_program(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return nlohmann::json::parse(outcome.out);
}

using Widths = std::pair<int, int>;  ///< sequential, chunked

std::map<std::string, Widths> predictions(const std::vector<std::string>& arguments) {
  std::map<std::string, Widths> widths;
  for (const auto& row : json_of(arguments)) {
    widths[row.at("layer").get<std::string>() + " " + row.at("pass").get<std::string>()] = {
        row.at("mantissa_sequential"), row.at("mantissa_chunked")};
  }
  return widths;
}

TEST(VrrCommand, SaysWhetherAMantissaSuffices) {
  const auto result = json_of(
      {"vrr", "--accumulator-mantissa", "9", "--product-mantissa", "5", "--length", "16384"});
  EXPECT_EQ(result.at("schema"), 1);
  EXPECT_NEAR(result.at("log_v").get<double>(), 16384 * result.at("one_minus_vrr").get<double>(),
              1e-12);
  EXPECT_FALSE(result.at("sufficient").get<bool>());
  EXPECT_FALSE(result.contains("minimum_mantissa"));
}

TEST(VrrCommand, FindsTheSmallestMantissaAndTheLongestSumThatItTakes) {
  const auto found = json_of({"vrr", "--find", "--length", "16384"});
  EXPECT_EQ(found.at("minimum_mantissa"), 10);
  EXPECT_TRUE(found.at("sufficient").get<bool>());
  const std::string longest = std::to_string(found.at("longest_length").get<std::int64_t>());
  EXPECT_EQ(json_of({"vrr", "--find", "--length", longest}).at("minimum_mantissa"), 10);
}

TEST(VrrCommand, ShowsTheCriterionOfEachLevelOfAChunkedSum) {
  const auto found = json_of({"vrr", "--find", "--length", "65536", "--chunk", "64"});
  EXPECT_LT(found.at("log_v_chunk").get<double>(), std::log(50));
  EXPECT_LT(found.at("log_v_sum_of_chunks").get<double>(), std::log(50));
  EXPECT_TRUE(found.at("sufficient").get<bool>());
  EXPECT_TRUE(json_of({"vrr", "--find", "--length", "64"}).at("log_v_chunk").is_null());
}

TEST(VrrCommand, AWidthAndASearchExcludeEachOtherAndOneIsNeeded) {
  EXPECT_EQ(run_program({"vrr", "--length", "64"}).exit_code, 2);
  EXPECT_EQ(
      run_program({"vrr", "--length", "64", "--find", "--accumulator-mantissa", "5"}).exit_code, 2);
}

// Sakr et al. publish (7,5) (8,5) (8,5) (9,6) for the forward pass of the four stages.
TEST(PredictCommand, ResNet18sBlocksAreWithinABitOfThePublishedOnes) {
  const auto widths = predictions({"predict", "resnet18-imagenet"});
  EXPECT_EQ(widths.at("stage1_block1_conv1 FWD"), Widths(7, 5));
  EXPECT_EQ(widths.at("stage2_block2_conv2 FWD"), Widths(7, 5));
  EXPECT_EQ(widths.at("stage3_block2_conv2 FWD"), Widths(8, 5));
  EXPECT_EQ(widths.at("stage4_block2_conv2 FWD"), Widths(9, 5));
  EXPECT_EQ(widths.count("conv1 BWD"), 0U);  // nobody needs the gradient of the image
}

TEST(PredictCommand, EveryShippedNetworkIsPredictedWithoutOptions) {
  for (const char* network :
       {"mlp", "cnn", "resnet8", "resnet20", "resnet32", "resnet32-cifar10", "resnet18-imagenet",
        "resnet50-imagenet", "vgg16-imagenet", "alexnet-imagenet"}) {
    EXPECT_FALSE(predictions({"predict", network}).empty()) << network;
  }
}

TEST(PredictCommand, FewerNonZeroProductsNeedFewerBits) {
  const TemporaryFolder folder;
  std::string rows = "pass,layer,nonzero_ratio,vrr\n";
  for (const std::string layer : {"conv1", "conv2", "fc1", "fc2"}) {
    for (const std::string pass : {"FWD", "BWD", "GRAD"}) {
      const bool thin = layer == "conv2" && pass == "GRAD";
      rows += pass + "," + layer + (thin ? ",0.01,\n" : ",1,\n");
    }
  }
  const auto dense = predictions({"predict", "cnn"});
  const auto thinned = predictions({"predict", "cnn", "--nzr", folder.write("ratios.csv", rows)});
  EXPECT_LT(thinned.at("conv2 GRAD").first, dense.at("conv2 GRAD").first);
  EXPECT_EQ(thinned.at("conv1 GRAD"), dense.at("conv1 GRAD"));
  EXPECT_LT(predictions({"predict", "cnn", "--nzr", "0.01"}).at("conv1 GRAD").first,
            dense.at("conv1 GRAD").first);
}

TEST(PredictCommand, AMacsOperandsDecideTheProductsWidth) {
  const auto rows = json_of({"predict", "cnn", "--mac", shipped_mac("e4m3-e6m9-chunk64")});
  EXPECT_EQ(rows.at(0).at("product_mantissa"), 7);
  EXPECT_EQ(json_of({"predict", "cnn"}).at(0).at("product_mantissa"), 5);
}

TEST(PredictCommand, BatchAndInputChangeTheLengths) {
  const auto length = [](std::vector<std::string> arguments) {
    return json_of(std::move(arguments)).at(1).at("length").get<std::int64_t>();  // conv1 GRAD
  };
  EXPECT_EQ(length({"predict", "cnn"}), 128 * 28 * 28);
  EXPECT_EQ(length({"predict", "cnn", "--batch", "2", "--input", "3x32x32"}), 2 * 32 * 32);
  EXPECT_EQ(length({"predict", "resnet18-imagenet"}), 256 * 112 * 112);
}

TEST(PredictCommand, ARatioThatIsMissingOrWrongIsAnErrorThatNamesIt) {
  const TemporaryFolder folder;
  const std::string partial =
      folder.write("partial.csv", "layer,pass,nonzero_ratio\nconv1,FWD,0.5\n");
  const Outcome missing = run_program({"predict", "cnn", "--nzr", partial});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.err.find("layer conv1, pass GRAD"), std::string::npos) << missing.err;
  const std::string wrong =
      folder.write("wrong.csv", "layer,pass,nonzero_ratio\nconv1,FWD,0.5\nconv1,GRAD,2\n");
  const Outcome outside = run_program({"predict", "cnn", "--nzr", wrong});
  EXPECT_EQ(outside.exit_code, 2);
  EXPECT_NE(outside.err.find("wrong.csv:3"), std::string::npos) << outside.err;
  EXPECT_EQ(run_program({"predict", "cnn", "--nzr", "1.5"}).exit_code, 2);
  EXPECT_EQ(run_program({"predict", "cnn", "--nzr", "nothing.csv"}).exit_code, 2);
}

}  // namespace
}  // namespace narrowmac
