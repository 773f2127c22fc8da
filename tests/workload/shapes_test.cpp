#include <gtest/gtest.h>

#include <string>

#include "models/design/error.h"
#include "models/workload/network.h"

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

LayerDescription layer(const std::string& name, Kind kind, const std::string& input,
                       std::int64_t channels = 0, std::int64_t kernel = 1, std::int64_t stride = 1,
                       std::int64_t padding = 0) {
  LayerDescription description;
  description.name = name;
  description.kind = kind;
  description.inputs = {input};
  description.channels = channels;
  description.kernel = kernel;
  description.stride = stride;
  description.padding = padding;
  return description;
}

LayerShape only(const LayerDescription& description, const FeatureShape& input,
                const FeatureShape& output) {
  LayerShape shape;
  shape.layer = description;
  shape.inputs = {input};
  shape.output = output;
  return shape;
}

std::string error_of(const NetworkDescription& network, const FeatureShape& input,
                     std::int64_t classes) {
  try {
    infer_shapes(network, input, classes);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Shapes, AStridedPaddedConvolutionRoundsDown) {
  NetworkDescription network;
  network.layers = {layer("c", Kind::Convolution, "input", 8, 3, 2, 1),
                    layer("p", Kind::AveragePool, "c", 0, 0)};
  const auto shapes = infer_shapes(network, {3, 32, 29}, 8);
  EXPECT_EQ(shapes[0].output, (FeatureShape{8, 16, 15}));
  EXPECT_EQ(shapes[1].output, (FeatureShape{8, 1, 1}));
}

TEST(Shapes, GemmsOfAConvolution) {
  // 5 images of 3 x 8 x 6, 3x3 kernels, stride 2, padding 1: outputs 7 x 4 x 3.
  const LayerShape shape =
      only(layer("c", Kind::Convolution, "input", 7, 3, 2, 1), {3, 8, 6}, {7, 4, 3});
  EXPECT_EQ(gemm_shape(shape, Pass::Forward, 5), (GemmShape{5 * 4 * 3, 7, 3 * 9}));
  EXPECT_EQ(gemm_shape(shape, Pass::Backward, 5), (GemmShape{5 * 8 * 6, 3, 7 * 9}));
  EXPECT_EQ(gemm_shape(shape, Pass::Gradient, 5), (GemmShape{3 * 9, 7, 5 * 4 * 3}));
}

TEST(Shapes, GemmsOfALinearLayer) {
  const LayerShape shape = only(layer("f", Kind::Linear, "input", 10), {128, 1, 1}, {10, 1, 1});
  EXPECT_EQ(gemm_shape(shape, Pass::Forward, 32), (GemmShape{32, 10, 128}));
  EXPECT_EQ(gemm_shape(shape, Pass::Backward, 32), (GemmShape{32, 128, 10}));
  EXPECT_EQ(gemm_shape(shape, Pass::Gradient, 32), (GemmShape{128, 10, 32}));
}

TEST(Shapes, ErrorsNameTheLayer) {
  NetworkDescription network;
  network.layers = {layer("big", Kind::Convolution, "input", 8, 5)};
  EXPECT_NE(error_of(network, {1, 4, 4}, 8).find("\"big\""), std::string::npos);
  network.layers = {layer("fc", Kind::Linear, "input", 10)};
  EXPECT_NE(error_of(network, {1, 4, 4}, 10).find("flatten"), std::string::npos);
  network.layers = {layer("flat", Kind::Flatten, "input"), layer("fc", Kind::Linear, "flat", 12)};
  EXPECT_NE(error_of(network, {1, 4, 4}, 10).find("\"fc\""), std::string::npos);
  network.layers = {layer("r", Kind::ReLU, "nobody")};
  EXPECT_NE(error_of(network, {1, 4, 4}, 10).find("nobody"), std::string::npos);
}

TEST(Shapes, EveryLayerButTheLastIsReadBySomebody) {
  NetworkDescription network;
  network.layers = {layer("flat", Kind::Flatten, "input"), layer("side", Kind::ReLU, "flat"),
                    layer("fc", Kind::Linear, "flat", 10)};
  EXPECT_NE(error_of(network, {1, 4, 4}, 10).find("\"side\""), std::string::npos);
}

TEST(Shapes, BothInputsOfAnAdditionMustAgree) {
  NetworkDescription network;
  network.layers = {layer("c", Kind::Convolution, "input", 2, 3),
                    layer("s", Kind::ResidualAdd, "c")};
  network.layers[1].inputs = {"c", "input"};
  EXPECT_NE(error_of(network, {2, 8, 8}, 10).find("differ"), std::string::npos);
}

}  // namespace
}  // namespace narrowmac
