#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "models/workload/network.h"
#include "sim/training/dataset.h"
#include "sim/training/random_stream.h"
#include "sim/training/trainer.h"

namespace narrowmac {

/// Images of random pixels; the label is the third of the image that is brightest, so that it can
/// be learned.
inline Dataset striped_images(const FeatureShape& shape, std::int64_t classes, std::int64_t images,
                              std::uint64_t seed = 1) {
  Dataset set;
  set.name = "stripes";
  set.shape = shape;
  set.classes = classes;
  for (std::int64_t image = 0; image < images; ++image) {
    const auto index = static_cast<std::uint64_t>(image);
    const auto label = static_cast<std::int64_t>(host_random(seed, 1, index) %
                                                 static_cast<std::uint64_t>(classes));
    set.labels.push_back(static_cast<std::uint8_t>(label));
    for (std::int64_t i = 0; i < shape.size(); ++i) {
      const std::uint64_t noise = host_random(seed, 2 + index, static_cast<std::uint64_t>(i));
      const bool bright = i * classes / shape.size() == label;
      set.pixels.push_back(static_cast<std::uint8_t>((noise & 127U) + (bright ? 100U : 0U)));
    }
  }
  return set;
}

/// Builds networks in the order of the calls; each layer reads the one before unless told
/// otherwise.
class NetworkBuilder {
 public:
  using Kind = LayerDescription::Kind;

  NetworkBuilder& convolution(const std::string& name, std::int64_t channels, std::int64_t kernel,
                              std::int64_t stride = 1, std::int64_t padding = 0, bool bias = true) {
    LayerDescription layer = description(name, Kind::Convolution);
    layer.channels = channels;
    layer.kernel = kernel;
    layer.stride = stride;
    layer.padding = padding;
    layer.bias = bias;
    return append(layer);
  }
  NetworkBuilder& linear(const std::string& name, std::int64_t channels, bool bias = true) {
    LayerDescription layer = description(name, Kind::Linear);
    layer.channels = channels;
    layer.bias = bias;
    return append(layer);
  }
  NetworkBuilder& pool(const std::string& name, Kind kind, std::int64_t kernel,
                       std::int64_t stride = 1, std::int64_t padding = 0) {
    LayerDescription layer = description(name, kind);
    layer.kernel = kernel;
    layer.stride = stride;
    layer.padding = padding;
    return append(layer);
  }
  NetworkBuilder& plain(const std::string& name, Kind kind) {
    return append(description(name, kind));
  }
  NetworkBuilder& reading(const std::vector<std::string>& inputs) {
    network_.layers.back().inputs = inputs;
    return *this;
  }
  [[nodiscard]] NetworkDescription build() const { return network_; }

 private:
  [[nodiscard]] LayerDescription description(const std::string& name, Kind kind) const {
    LayerDescription layer;
    layer.name = name;
    layer.kind = kind;
    layer.inputs = {network_.layers.empty() ? "input" : network_.layers.back().name};
    return layer;
  }
  NetworkBuilder& append(const LayerDescription& layer) {
    network_.layers.push_back(layer);
    return *this;
  }
  NetworkDescription network_;
};

inline NetworkDescription small_mlp(std::int64_t classes) {
  return NetworkBuilder()
      .plain("flatten", LayerDescription::Kind::Flatten)
      .linear("fc1", 12)
      .plain("relu1", LayerDescription::Kind::ReLU)
      .linear("fc2", classes)
      .build();
}

inline NetworkDescription small_cnn(std::int64_t classes) {
  using Kind = LayerDescription::Kind;
  return NetworkBuilder()
      .convolution("conv1", 4, 3, 1, 1)
      .plain("relu1", Kind::ReLU)
      .pool("pool1", Kind::MaxPool, 2, 2)
      .convolution("conv2", 6, 3, 1, 1)
      .plain("relu2", Kind::ReLU)
      .pool("pool2", Kind::MaxPool, 2, 2)
      .plain("flatten", Kind::Flatten)
      .linear("fc1", 8)
      .plain("relu3", Kind::ReLU)
      .linear("fc2", classes)
      .build();
}

/// Everything that a residual network has: batch norm, identity and projected shortcuts, global
/// pooling.
inline NetworkDescription small_resnet(std::int64_t classes) {
  using Kind = LayerDescription::Kind;
  return NetworkBuilder()
      .convolution("conv1", 4, 3, 1, 1, false)
      .plain("bn1", Kind::BatchNorm)
      .plain("relu1", Kind::ReLU)
      .convolution("a_conv1", 4, 3, 1, 1, false)
      .plain("a_bn1", Kind::BatchNorm)
      .plain("a_relu1", Kind::ReLU)
      .convolution("a_conv2", 4, 3, 1, 1, false)
      .plain("a_bn2", Kind::BatchNorm)
      .plain("a_add", Kind::ResidualAdd)
      .reading({"a_bn2", "relu1"})
      .plain("a_relu2", Kind::ReLU)
      .convolution("b_conv1", 6, 3, 2, 1, false)
      .plain("b_bn1", Kind::BatchNorm)
      .convolution("b_projection", 6, 1, 2, 0, false)
      .reading({"a_relu2"})
      .plain("b_bn2", Kind::BatchNorm)
      .plain("b_add", Kind::ResidualAdd)
      .reading({"b_bn1", "b_bn2"})
      .plain("b_relu", Kind::ReLU)
      .pool("pool", Kind::AveragePool, 0)
      .linear("fc", classes)
      .build();
}

/// Bit patterns of every tensor, for comparisons that -0 and NaN cannot fool.
inline std::vector<std::uint32_t> bits_of(const std::vector<NamedTensor>& tensors) {
  std::vector<std::uint32_t> bits;
  for (const NamedTensor& tensor : tensors) {
    for (const float value : tensor.values) bits.push_back(std::bit_cast<std::uint32_t>(value));
  }
  return bits;
}

}  // namespace narrowmac
