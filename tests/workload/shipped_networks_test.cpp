#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "models/workload/network.h"

namespace narrowmac {
namespace {

constexpr FeatureShape kFashionMnist{1, 28, 28};
constexpr FeatureShape kCifar{3, 32, 32};

std::vector<LayerShape> shapes_of(const std::string& name, const FeatureShape& input) {
  const auto path = std::filesystem::path(NARROWMAC_NETWORKS) / (name + ".toml");
  return infer_shapes(read_network(path), input, 10);
}

std::vector<std::string> gemm_layers(const std::vector<LayerShape>& shapes) {
  std::vector<std::string> names;
  for (const LayerShape& shape : shapes) {
    if (shape.has_gemm()) names.push_back(shape.layer.name);
  }
  return names;
}

std::int64_t weights(const std::vector<LayerShape>& shapes) {
  std::int64_t sum = 0;
  for (const LayerShape& shape : shapes) {
    if (!shape.has_gemm()) continue;
    const GemmShape gemm = gemm_shape(shape, Pass::Gradient, 1);
    sum += gemm.m * gemm.n;
  }
  return sum;
}

TEST(ShippedNetworks, CnnHasTwoConvolutionsAndTwoLinearLayersWithBiases) {
  const auto shapes = shapes_of("cnn", kFashionMnist);
  EXPECT_EQ(gemm_layers(shapes), (std::vector<std::string>{"conv1", "conv2", "fc1", "fc2"}));
  EXPECT_EQ(weights(shapes), 9 * 16 + 16 * 9 * 32 + 32 * 7 * 7 * 128 + 128 * 10);
  for (const LayerShape& shape : shapes) EXPECT_TRUE(shape.layer.bias) << shape.layer.name;
}

TEST(ShippedNetworks, MlpIs784_256_128_10) {
  EXPECT_EQ(weights(shapes_of("mlp", kFashionMnist)), 784 * 256 + 256 * 128 + 128 * 10);
}

TEST(ShippedNetworks, ResidualNetworksHaveTheirDepthInLayersAndProjections) {
  // A depth of 6 n + 2: the stem, three stages of n blocks of two convolutions, the linear layer;
  // on top of these the two 1x1 projections where a stage halves the map.
  EXPECT_EQ(gemm_layers(shapes_of("resnet8", kFashionMnist)).size(), 8U + 2U);
  EXPECT_EQ(gemm_layers(shapes_of("resnet20", kCifar)).size(), 20U + 2U);
  EXPECT_EQ(gemm_layers(shapes_of("resnet32", kCifar)).size(), 32U + 2U);
}

TEST(ShippedNetworks, ResidualStagesHalveTheMapAndDoubleTheChannels) {
  for (const LayerShape& shape : shapes_of("resnet8", kCifar)) {
    if (shape.layer.name == "stage1_block1_relu2") {
      EXPECT_EQ(shape.output, (FeatureShape{16, 32, 32}));
    }
    if (shape.layer.name == "stage3_block1_relu2") {
      EXPECT_EQ(shape.output, (FeatureShape{64, 8, 8}));
    }
  }
}

std::vector<LayerShape> own_shapes_of(const std::string& name, std::int64_t classes) {
  const auto path = std::filesystem::path(NARROWMAC_NETWORKS) / (name + ".toml");
  const NetworkDescription network = read_network(path);
  return infer_shapes(network, *network.input, classes);
}

// Convolution and linear weights of the published networks: all parameters less biases and batch
// norm.
TEST(ShippedNetworks, ThePublishedNetworksHaveTheirPublishedSizes) {
  EXPECT_EQ(weights(own_shapes_of("resnet18-imagenet", 1000)), 11'689'512 - 9'600 - 1'000);
  EXPECT_EQ(weights(own_shapes_of("resnet50-imagenet", 1000)), 25'557'032 - 53'120 - 1'000);
  EXPECT_EQ(weights(own_shapes_of("vgg16-imagenet", 1000)), 138'357'544 - 13'416);
  EXPECT_EQ(weights(own_shapes_of("alexnet-imagenet", 1000)), 61'100'840 - 10'344);
  EXPECT_EQ(weights(own_shapes_of("resnet32-cifar10", 10)), weights(shapes_of("resnet32", kCifar)));
}

TEST(ShippedNetworks, PublishedNetworksSayTheirBatch) {
  for (const char* name :
       {"resnet18-imagenet", "resnet50-imagenet", "vgg16-imagenet", "alexnet-imagenet"}) {
    const auto path = std::filesystem::path(NARROWMAC_NETWORKS) / (std::string(name) + ".toml");
    EXPECT_EQ(read_network(path).batch, 256) << name;
  }
}

TEST(ShippedNetworks, EveryFileHasItsNameAndASummary) {
  for (const char* name :
       {"mlp", "cnn", "resnet8", "resnet20", "resnet32", "resnet32-cifar10", "resnet18-imagenet",
        "resnet50-imagenet", "vgg16-imagenet", "alexnet-imagenet"}) {
    const auto path = std::filesystem::path(NARROWMAC_NETWORKS) / (std::string(name) + ".toml");
    const NetworkDescription network = read_network(path);
    EXPECT_EQ(network.name, name);
    EXPECT_NE(network.summary, "");
  }
}

}  // namespace
}  // namespace narrowmac
