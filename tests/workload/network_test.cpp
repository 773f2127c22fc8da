#include "models/workload/network.h"

#include <gtest/gtest.h>

#include <string>

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

NetworkDescription parse(const std::string& layers) {
  return parse_network(ConfigTable::parse("name = \"net\"\n" + layers, "net.toml"));
}

std::string error_of(const std::string& layers) {
  try {
    parse(layers);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(NetworkFile, ALayerReadsTheOneBeforeUnlessItSaysOtherwise) {
  const NetworkDescription network = parse(R"(
[[layer]]
name = "a"
type = "relu"
[[layer]]
name = "b"
type = "relu"
[[layer]]
name = "c"
type = "add"
inputs = ["a", "b"]
)");
  ASSERT_EQ(network.layers.size(), 3U);
  EXPECT_EQ(network.layers[0].inputs, std::vector<std::string>{"input"});
  EXPECT_EQ(network.layers[1].inputs, std::vector<std::string>{"a"});
  EXPECT_EQ(network.layers[2].inputs, (std::vector<std::string>{"a", "b"}));
}

TEST(NetworkFile, ConvolutionDefaultsToStrideOneNoPaddingAndABias) {
  const NetworkDescription network =
      parse("[[layer]]\nname = \"c\"\ntype = \"conv2d\"\nchannels = 4\nkernel = 3\n");
  const LayerDescription& layer = network.layers.at(0);
  EXPECT_EQ(layer.kind, Kind::Convolution);
  EXPECT_EQ(layer.channels, 4);
  EXPECT_EQ(layer.kernel, 3);
  EXPECT_EQ(layer.stride, 1);
  EXPECT_EQ(layer.padding, 0);
  EXPECT_TRUE(layer.bias);
}

TEST(NetworkFile, PoolsStepByTheirKernelAndAveragePoolsAreGlobalByDefault) {
  const NetworkDescription network = parse(
      "[[layer]]\nname = \"m\"\ntype = \"max_pool\"\nkernel = 2\n"
      "[[layer]]\nname = \"a\"\ntype = \"average_pool\"\n");
  EXPECT_EQ(network.layers[0].stride, 2);
  EXPECT_EQ(network.layers[1].kernel, 0);
}

TEST(NetworkFile, AReluMayClipItsOutputsAndOthersMayNot) {
  const NetworkDescription network = parse(
      "[[layer]]\nname = \"r\"\ntype = \"relu\"\n"
      "[[layer]]\nname = \"c\"\ntype = \"relu\"\nclip = 2\n");
  EXPECT_FALSE(network.layers[0].clip);
  EXPECT_EQ(network.layers[1].clip, 2.0);
  for (const char* clip : {"0", "-1.0", "inf", "nan", "1e-60"}) {
    const std::string error =
        error_of(std::string("[[layer]]\nname = \"r\"\ntype = \"relu\"\nclip = ") + clip + "\n");
    EXPECT_NE(error.find("clip"), std::string::npos) << clip;
    EXPECT_NE(error.find("a number"), std::string::npos) << clip;
  }
  EXPECT_NE(error_of("[[layer]]\nname = \"f\"\ntype = \"flatten\"\nclip = 2.0\n").find("clip"),
            std::string::npos);
}

TEST(NetworkFile, AKeyThatTheTypeDoesNotHaveIsRefused) {
  EXPECT_NE(error_of("[[layer]]\nname = \"r\"\ntype = \"relu\"\nchannels = 4\n").find("channels"),
            std::string::npos);
}

TEST(NetworkFile, AnUnknownTypeIsRefusedWithTheAcceptedOnes) {
  const std::string error = error_of("[[layer]]\nname = \"r\"\ntype = \"gelu\"\n");
  EXPECT_NE(error.find("gelu"), std::string::npos);
  EXPECT_NE(error.find("batch_norm"), std::string::npos);
}

TEST(NetworkFile, ANameMayBeUsedOnceAndOnlyBelowItsLayer) {
  EXPECT_NE(error_of("[[layer]]\nname = \"r\"\ntype = \"relu\"\n"
                     "[[layer]]\nname = \"r\"\ntype = \"relu\"\n")
                .find("taken"),
            std::string::npos);
  EXPECT_NE(error_of("[[layer]]\nname = \"r\"\ntype = \"relu\"\ninputs = [\"r\"]\n").find("\"r\""),
            std::string::npos);
  EXPECT_NE(error_of("[[layer]]\nname = \"../r\"\ntype = \"relu\"\n").find("letters"),
            std::string::npos);
}

TEST(NetworkFile, AnAddLayerNeedsTwoInputs) {
  EXPECT_NE(error_of("[[layer]]\nname = \"s\"\ntype = \"add\"\n").find("inputs"),
            std::string::npos);
}

TEST(NetworkFile, MaySayItsImagesAndItsBatch) {
  const std::string layer = "[[layer]]\nname = \"a\"\ntype = \"relu\"\n";
  const NetworkDescription network = parse("input = [3, 224, 112]\nbatch = 256\n" + layer);
  EXPECT_EQ(network.input, (FeatureShape{3, 224, 112}));
  EXPECT_EQ(network.batch, 256);
  EXPECT_FALSE(parse(layer).input);
  EXPECT_NE(error_of("input = [3, 224]\n" + layer).find("net.toml:2: input"), std::string::npos);
  EXPECT_NE(error_of("input = [3, 0, 4]\n" + layer), "");
  EXPECT_NE(error_of("batch = 0\n" + layer), "");
}

TEST(NetworkFile, ANetworkWithoutLayersIsRefused) { EXPECT_NE(error_of(""), ""); }

}  // namespace
}  // namespace narrowmac
