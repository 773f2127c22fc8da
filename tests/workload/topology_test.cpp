#include "models/workload/topology.h"

#include <gtest/gtest.h>

#include <fstream>

#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr const char* kConvolutionHeader =
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, "
    "Strides,\n";
constexpr const char* kGemmHeader = "Layer, M, N, K,\n";

std::vector<TopologyLayer> convolutions(const std::string& rows) {
  return parse_topology(kConvolutionHeader + rows, "net.csv");
}

std::string message_of(const std::string& text) {
  try {
    (void)parse_topology(text, "net.csv");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Topology, DimensionsBeyond63BitsNameFileLineAndLayer) {
  const TopologyLayer layer = convolutions("a, 1000000000, 1000000000, 1, 1, 1, 1, 1\n")[0];
  try {
    (void)gemm_shape(layer, Pass::Forward, 10);
    FAIL() << "10^19 outputs have a shape";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "net.csv:2: layer \"a\": its dimensions exceed 63 bits at batch 10; use a smaller "
                 "batch");
  }
}

TEST(Topology, AFirstRowThatReadsAsALayerIsNoticed) {
  const auto reads = [](const std::string& text) {
    const std::filesystem::path path = ::testing::TempDir() + "narrowmac_topology_header.csv";
    std::ofstream(path) << text;
    const bool result = header_reads_as_layer(path);
    std::filesystem::remove(path);
    return result;
  };
  EXPECT_TRUE(reads("\n# comment\nConv1, 224, 224, 7, 7, 3, 64, 2,\n"));
  EXPECT_FALSE(reads("Layer name, M, N, K\nfc, 1, 2, 3\n"));
  EXPECT_FALSE(reads(""));
}

TEST(Topology, AConvolutionsOutputIsCeilOfSizeMinusFilterPlusStrideOverStride) {
  // AlexNet's first layer: ceil((224 - 11 + 4) / 4) = ceil(54.25) = 55; one image
  const auto layers = convolutions("Conv1, 224, 224, 11, 11, 3, 96, 4,\n");
  ASSERT_EQ(layers.size(), 1U);
  EXPECT_EQ(layers[0].name, "Conv1");
  EXPECT_EQ(gemm_shape(layers[0], Pass::Forward, 1), (GemmShape{55 * 55, 96, 11 * 11 * 3}));
  // Not square, two images: ceil((20 - 3 + 2) / 2) = 10 by ceil((9 - 2 + 2) / 2) = 5
  EXPECT_EQ(gemm_shape(convolutions("c,20,9,3,2,7,4,2\n")[0], Pass::Forward, 2),
            (GemmShape{2 * 10 * 5, 4, 3 * 2 * 7}));
}

TEST(Topology, TrainingPassesOfAConvolution) {
  const TopologyLayer layer = convolutions("c, 9, 9, 3, 3, 5, 7, 2,\n")[0];
  // Outputs 4 x 4; the input, 9 x 9 with its padding, gets a gradient from 7 * 9 taps.
  EXPECT_EQ(gemm_shape(layer, Pass::Forward, 2), (GemmShape{2 * 16, 7, 5 * 9}));
  EXPECT_EQ(gemm_shape(layer, Pass::Backward, 2), (GemmShape{2 * 81, 5, 7 * 9}));
  EXPECT_EQ(gemm_shape(layer, Pass::Gradient, 2), (GemmShape{5 * 9, 7, 2 * 16}));
}

TEST(Topology, TrainingPassesOfAGemm) {
  const auto layers = parse_topology(std::string(kGemmHeader) + "g, 3, 5, 7,\n", "net.csv");
  EXPECT_EQ(gemm_shape(layers[0], Pass::Forward, 4), (GemmShape{12, 5, 7}));
  EXPECT_EQ(gemm_shape(layers[0], Pass::Backward, 4), (GemmShape{12, 7, 5}));
  EXPECT_EQ(gemm_shape(layers[0], Pass::Gradient, 4), (GemmShape{7, 5, 12}));
}

TEST(Topology, ADepthwiseLayerIsOneLayerOfOneChannelForEachChannel) {
  const auto layers = convolutions("a, 8, 8, 1, 1, 3, 4, 1,\nConv_DP2, 8, 8, 3, 3, 3, 1, 1,\n");
  ASSERT_EQ(layers.size(), 1U + 3U);
  EXPECT_EQ(layers[1].name, "Conv_DP2Channel_0");
  EXPECT_EQ(layers[3].name, "Conv_DP2Channel_2");
  EXPECT_EQ(gemm_shape(layers[3], Pass::Forward, 1), (GemmShape{36, 1, 9}));
  EXPECT_EQ(parse_topology("h,M,N,K\nDP,1,2,3\n", "net.csv").size(), 1U) << "GEMMs have none";
}

TEST(Topology, SpacesCommasBlankLinesCarriageReturnsAndCommentsDoNotMatter) {
  const auto placeless = [](std::vector<TopologyLayer> layers) {
    for (TopologyLayer& layer : layers) layer.place.clear();
    return layers;
  };
  const auto plain = placeless(convolutions("a, 8, 8, 3, 3, 3, 4, 1,\nb, 6, 6, 3, 3, 4, 4, 1,\n"));
  EXPECT_EQ(
      placeless(parse_topology("# a net\r\n\r\nheader,with,whatever\r\n\t a ,8,8,3,3,3,4,1\r\n\r\n"
                               "   # nothing\r\nb,6 ,6,3,3,4,4,1, # the last\r\n",
                               "net.csv")),
      plain);
  EXPECT_EQ(placeless(convolutions("a,8,8,3,3,3,4,1,1:1,\nb,6,6,3,3,4,4,1,4:4")), plain)
      << "dense sparsity";
}

TEST(Topology, TheHeaderRowIsAlwaysSkipped) {
  EXPECT_EQ(parse_topology("g, 1, 2, 3\ng2, 4, 5, 6\n", "net.csv").size(), 1U);
}

TEST(Topology, WhatIsWrongIsNamedWithFileAndLine) {
  const std::string head = kConvolutionHeader;
  EXPECT_EQ(message_of(head + "\na, 8, 8, 3, 3, x3, 4, 1,\n"),
            "net.csv:3: channels: found 'x3'; accepted: 1..1000000000");
  EXPECT_EQ(message_of(head + "a, 8, 8, 3, 3, 3, 0, 1,\n"),
            "net.csv:2: filters: found '0'; accepted: 1..1000000000");
  EXPECT_EQ(message_of(head + "a, 8, 8, 3, 3, 3, 99999999999999999999, 1,\n"),
            "net.csv:2: filters: found '99999999999999999999'; accepted: 1..1000000000");
  EXPECT_EQ(message_of(head + "a, 8, 8, 9, 3, 3, 4, 1,\n"),
            "net.csv:2: filter height: found 9; accepted: 1..8, the ifmap's");
  EXPECT_EQ(message_of(head + "a, 8, 8, 3, 3, 3,\n"),
            "net.csv:2: found 6 fields; accepted: 8 (convolution) or 4 (name, M, N, K), and "
            "perhaps a sparsity");
  EXPECT_EQ(message_of(head + "a,8,8,3,3,3,4,1\nb,1,2,3\n"),
            "net.csv:3: found 4 fields; accepted: 8 (convolution), and perhaps a sparsity");
  EXPECT_EQ(message_of(head + "a,8,8,3,3,3,4,1,2:4,\n"),
            "net.csv:2: sparsity: found '2:4'; accepted: dense, e.g. 1:1, or no such field");
  EXPECT_EQ(
      message_of(head + "a,8,8,3,3,3,4,1,,\n"),
      "net.csv:2: found 9 fields, the last one ''; accepted: 8 (convolution) or 4 (name, M, N, K), "
      "and perhaps a dense sparsity, e.g. 1:1");
  EXPECT_EQ(message_of(head + ", 8, 8, 3, 3, 3, 4, 1,\n"),
            "net.csv:2: layer name: found ''; accepted: printable ASCII characters");
  EXPECT_EQ(message_of(head).substr(0, 28), "net.csv:1: found no layer; a");
  EXPECT_EQ(message_of("").substr(0, 28), "net.csv:1: found no layer; a");
}

TEST(Topology, HugeNumbersAreRefusedNotWrapped) {
  const std::string head = kConvolutionHeader;
  const std::string most = "1000000000";
  EXPECT_EQ(
      message_of(head + "a," + most + "," + most + "," + most + "," + most + "," + most + ",1,1\n"),
      "net.csv:2: the sum of a convolution exceeds 63 bits; use smaller dimensions");
  EXPECT_EQ(message_of(head + "DP,1,1,1,1," + most + ",1,1\n"),
            "net.csv:2: more than 262144 layers; split the file");
  const TopologyLayer layer = convolutions("a," + most + "," + most + ",1,1,1,1,1\n")[0];
  EXPECT_EQ(gemm_shape(layer, Pass::Forward, 9).m, 9000000000000000000);
  EXPECT_THROW(gemm_shape(layer, Pass::Forward, 10), Error);
}

TEST(Topology, ShippedTopologiesAreTheNetworksTheyName) {
  const std::string folder = NARROWMAC_TOPOLOGIES;
  const auto macs = [](const std::vector<TopologyLayer>& layers) {
    std::int64_t sum = 0;
    for (const TopologyLayer& layer : layers) sum += gemm_shape(layer, Pass::Forward, 1).macs();
    return sum;
  };
  // The papers' counts: ResNet-18 1.8e9 multiply-adds (He et al., 2015, table 1)
  const auto resnet = read_topology(folder + "/resnet18.csv");
  EXPECT_EQ(resnet.size(), 21U) << "17 convolutions, 3 projections, 1 classifier";
  EXPECT_EQ(macs(resnet), 1814073344);
  std::int64_t weights = 0;
  for (const TopologyLayer& layer : resnet) weights += layer.channels * layer.taps * layer.filters;
  EXPECT_EQ(weights, 11678912) << "11.69 million parameters without batch norm and bias";
  EXPECT_EQ(read_topology(folder + "/alexnet.csv").size(), 8U);
  // An encoder layer of BERT base over 512 tokens: 4 * 512 * 768^2 + 2 * 512^2 * 768 + 2 * 512 *
  // 768
  // * 3072
  EXPECT_EQ(macs(read_topology(folder + "/bert-base-layer.csv")),
            4LL * 512 * 768 * 768 + 2LL * 512 * 512 * 768 + 2LL * 512 * 768 * 3072);
}

TEST(Topology, AFileThatCannotBeReadIsNamed) {
  EXPECT_THROW(read_topology("/nonexistent/net.csv"), Error);
  EXPECT_THROW(read_topology("/tmp"), Error);
}

}  // namespace
}  // namespace narrowmac
