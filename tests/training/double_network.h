#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/workload/network.h"
#include "sim/training/trainer.h"

namespace narrowmac {

/// An independent network in double: NCHW tensors, plain loops over the definitions, no GEMMs. What
/// the trainer is compared with.
class DoubleNetwork {
 public:
  using Tensor = std::vector<double>;

  DoubleNetwork(const NetworkDescription& network, const FeatureShape& image, std::int64_t classes);

  /// Parameters and running statistics, in PyTorch's layouts.
  void load(const std::vector<NamedTensor>& tensors);
  /// Forward pass of NCHW images.
  const Tensor& logits(const Tensor& images, std::int64_t batch);
  /// Mean cross-entropy over a batch of NCHW images, in training mode.
  double loss(const Tensor& images, const std::vector<std::uint8_t>& labels);
  /// Gradients of the last loss() for every parameter.
  void backward(const std::vector<std::uint8_t>& labels);
  void sgd(double learning_rate, double momentum, double weight_decay);

  /// What is added to one element of a layer's output.
  struct Perturbation {
    std::string layer;
    std::size_t element = 0;
    double amount = 0;
  };
  Perturbation perturbation;
  bool running_statistics = false;          ///< batch norm as in inference
  std::map<std::string, Tensor> tensors;    ///< LAYER.weight, LAYER.bias, LAYER.running_mean, ...
  std::map<std::string, Tensor> gradients;  ///< of LAYER.weight and LAYER.bias
  std::map<std::string, Tensor> velocities;

 private:
  struct Value {
    FeatureShape shape;
    Tensor value, gradient;
  };
  void forward_layer(const LayerShape& layer);
  void backward_layer(const LayerShape& layer);
  void convolution(const LayerShape& layer, bool backward);
  void linear(const LayerShape& layer, bool backward);
  void batch_norm_forward(const LayerShape& layer);
  void batch_norm_backward(const LayerShape& layer);
  void pool(const LayerShape& layer, bool backward);
  Value& input(const LayerShape& layer, std::size_t index = 0) {
    return values_.at(layer.layer.inputs[index]);
  }

  std::vector<LayerShape> layers_;
  std::int64_t batch_ = 0;
  std::int64_t classes_;
  std::map<std::string, Value> values_;
  Tensor probabilities_;
};

/// The images of a data set as NCHW, pixel / 256.
DoubleNetwork::Tensor nchw_images(const Dataset& set, std::int64_t first, std::int64_t count);

}  // namespace narrowmac
