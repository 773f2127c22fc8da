#include "tests/training/double_network.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

/// Where a ReLU's outputs end.
double end_of(const LayerShape& relu) {
  return relu.layer.clip.value_or(std::numeric_limits<double>::infinity());
}

}  // namespace

DoubleNetwork::DoubleNetwork(const NetworkDescription& network, const FeatureShape& image,
                             std::int64_t classes)
    : layers_(infer_shapes(network, image, classes)), classes_(classes) {
  values_["input"].shape = image;
  for (const LayerShape& layer : layers_) values_[layer.layer.name].shape = layer.output;
}

void DoubleNetwork::load(const std::vector<NamedTensor>& named) {
  for (const NamedTensor& tensor : named) {
    Tensor values(tensor.values.begin(), tensor.values.end());
    const std::size_t suffix = tensor.name.rfind(".momentum");
    if (suffix != std::string::npos) {
      velocities[tensor.name.substr(0, suffix)] = values;
    } else {
      tensors[tensor.name] = values;
    }
  }
}

const DoubleNetwork::Tensor& DoubleNetwork::logits(const Tensor& images, std::int64_t batch) {
  batch_ = batch;
  values_["input"].value = images;
  for (const LayerShape& layer : layers_) {
    Value& output = values_[layer.layer.name];
    output.value.assign(at(batch_ * output.shape.size()), 0.0);
    forward_layer(layer);
    if (layer.layer.name == perturbation.layer) {
      output.value[perturbation.element] += perturbation.amount;
    }
  }
  return values_[layers_.back().layer.name].value;
}

double DoubleNetwork::loss(const Tensor& images, const std::vector<std::uint8_t>& labels) {
  const Tensor& z = logits(images, static_cast<std::int64_t>(labels.size()));
  probabilities_.assign(z.size(), 0.0);
  double sum_of_losses = 0;
  for (std::int64_t n = 0; n < batch_; ++n) {
    double sum = 0;
    for (std::int64_t c = 0; c < classes_; ++c) sum += std::exp(z[at(n * classes_ + c)]);
    for (std::int64_t c = 0; c < classes_; ++c) {
      probabilities_[at(n * classes_ + c)] = std::exp(z[at(n * classes_ + c)]) / sum;
    }
    sum_of_losses -= std::log(probabilities_[at(n * classes_ + labels[at(n)])]);
  }
  return sum_of_losses / static_cast<double>(batch_);
}

void DoubleNetwork::backward(const std::vector<std::uint8_t>& labels) {
  for (auto& entry : values_) {
    entry.second.gradient.assign(at(batch_ * entry.second.shape.size()), 0.0);
  }
  for (auto& entry : tensors) gradients[entry.first].assign(entry.second.size(), 0.0);
  Tensor& dlogits = values_[layers_.back().layer.name].gradient;
  for (std::int64_t n = 0; n < batch_; ++n) {
    for (std::int64_t c = 0; c < classes_; ++c) {
      dlogits[at(n * classes_ + c)] =
          (probabilities_[at(n * classes_ + c)] - (labels[at(n)] == c ? 1.0 : 0.0)) /
          static_cast<double>(batch_);
    }
  }
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) backward_layer(*layer);
}

void DoubleNetwork::sgd(double learning_rate, double momentum, double weight_decay) {
  for (const auto& entry : gradients) {
    if (entry.first.find("running") != std::string::npos) continue;
    Tensor& weights = tensors[entry.first];
    Tensor& velocity = velocities[entry.first];
    velocity.resize(weights.size(), 0.0);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      velocity[i] = momentum * velocity[i] + entry.second[i] + weight_decay * weights[i];
      weights[i] -= learning_rate * velocity[i];
    }
  }
}

void DoubleNetwork::forward_layer(const LayerShape& layer) {
  Value& output = values_[layer.layer.name];
  const Tensor& x = input(layer).value;
  switch (layer.layer.kind) {
    case Kind::Convolution:
      convolution(layer, false);
      break;
    case Kind::Linear:
      linear(layer, false);
      break;
    case Kind::BatchNorm:
      batch_norm_forward(layer);
      break;
    case Kind::ReLU:
      std::transform(x.begin(), x.end(), output.value.begin(),
                     [&](double value) { return std::min(std::max(value, 0.0), end_of(layer)); });
      break;
    case Kind::MaxPool:
    case Kind::AveragePool:
      pool(layer, false);
      break;
    case Kind::Flatten:  // NCHW is already channel, row, column
      output.value = x;
      break;
    case Kind::ResidualAdd:
      for (std::size_t i = 0; i < x.size(); ++i) {
        output.value[i] = x[i] + input(layer, 1).value[i];
      }
      break;
  }
}

void DoubleNetwork::backward_layer(const LayerShape& layer) {
  const Value& output = values_[layer.layer.name];
  Value& in = input(layer);
  switch (layer.layer.kind) {
    case Kind::Convolution:
      convolution(layer, true);
      break;
    case Kind::Linear:
      linear(layer, true);
      break;
    case Kind::BatchNorm:
      batch_norm_backward(layer);
      break;
    case Kind::ReLU:
      for (std::size_t i = 0; i < in.value.size(); ++i) {
        if (in.value[i] > 0 && in.value[i] < end_of(layer)) in.gradient[i] += output.gradient[i];
      }
      break;
    case Kind::MaxPool:
    case Kind::AveragePool:
      pool(layer, true);
      break;
    case Kind::Flatten:
      for (std::size_t i = 0; i < in.value.size(); ++i) in.gradient[i] += output.gradient[i];
      break;
    case Kind::ResidualAdd:
      for (std::size_t i = 0; i < in.value.size(); ++i) {
        in.gradient[i] += output.gradient[i];
        input(layer, 1).gradient[i] += output.gradient[i];
      }
      break;
  }
}

void DoubleNetwork::convolution(const LayerShape& layer, bool backward) {
  const LayerDescription& d = layer.layer;
  Value& in = input(layer);
  Value& out = values_[d.name];
  const FeatureShape si = in.shape, so = out.shape;
  const Tensor& weight = tensors.at(d.name + ".weight");
  Tensor& dweight = gradients[d.name + ".weight"];
  for (std::int64_t n = 0; n < batch_; ++n) {
    for (std::int64_t o = 0; o < so.channels; ++o) {
      for (std::int64_t y = 0; y < so.height; ++y) {
        for (std::int64_t x = 0; x < so.width; ++x) {
          const std::size_t to = at(((n * so.channels + o) * so.height + y) * so.width + x);
          if (d.bias && !backward) out.value[to] = tensors.at(d.name + ".bias")[at(o)];
          if (d.bias && backward) gradients[d.name + ".bias"][at(o)] += out.gradient[to];
          for (std::int64_t c = 0; c < si.channels; ++c) {
            for (std::int64_t i = 0; i < d.kernel; ++i) {
              for (std::int64_t j = 0; j < d.kernel; ++j) {
                const std::int64_t yy = y * d.stride + i - d.padding;
                const std::int64_t xx = x * d.stride + j - d.padding;
                if (yy < 0 || yy >= si.height || xx < 0 || xx >= si.width) continue;
                const std::size_t from =
                    at(((n * si.channels + c) * si.height + yy) * si.width + xx);
                const std::size_t tap = at(((o * si.channels + c) * d.kernel + i) * d.kernel + j);
                if (backward) {
                  in.gradient[from] += weight[tap] * out.gradient[to];
                  dweight[tap] += in.value[from] * out.gradient[to];
                } else {
                  out.value[to] += weight[tap] * in.value[from];
                }
              }
            }
          }
        }
      }
    }
  }
}

void DoubleNetwork::linear(const LayerShape& layer, bool backward) {
  const LayerDescription& d = layer.layer;
  Value& in = input(layer);
  Value& out = values_[d.name];
  const std::int64_t inputs = in.shape.channels, outputs = out.shape.channels;
  const Tensor& weight = tensors.at(d.name + ".weight");
  Tensor& dweight = gradients[d.name + ".weight"];
  for (std::int64_t n = 0; n < batch_; ++n) {
    for (std::int64_t o = 0; o < outputs; ++o) {
      const std::size_t to = at(n * outputs + o);
      if (d.bias && !backward) out.value[to] = tensors.at(d.name + ".bias")[at(o)];
      if (d.bias && backward) gradients[d.name + ".bias"][at(o)] += out.gradient[to];
      for (std::int64_t i = 0; i < inputs; ++i) {
        const std::size_t from = at(n * inputs + i), tap = at(o * inputs + i);
        if (backward) {
          in.gradient[from] += weight[tap] * out.gradient[to];
          dweight[tap] += in.value[from] * out.gradient[to];
        } else {
          out.value[to] += weight[tap] * in.value[from];
        }
      }
    }
  }
}

void DoubleNetwork::batch_norm_forward(const LayerShape& layer) {
  const std::string& name = layer.layer.name;
  const Tensor& x = input(layer).value;
  const std::int64_t pixels = layer.output.height * layer.output.width;
  const auto count = static_cast<double>(batch_ * pixels);
  for (std::int64_t c = 0; c < layer.output.channels; ++c) {
    double mean = 0, variance = 0;
    const auto each = [&](const auto& body) {
      for (std::int64_t n = 0; n < batch_; ++n) {
        for (std::int64_t p = 0; p < pixels; ++p) {
          body(at((n * layer.output.channels + c) * pixels + p));
        }
      }
    };
    each([&](std::size_t i) { mean += x[i] / count; });
    each([&](std::size_t i) { variance += (x[i] - mean) * (x[i] - mean) / count; });
    double& running_mean = tensors[name + ".running_mean"][at(c)];
    double& running_variance = tensors[name + ".running_var"][at(c)];
    if (running_statistics) {
      mean = running_mean;
      variance = running_variance;
    }
    const double deviation = std::sqrt(variance + 1e-5);
    each([&](std::size_t i) {
      values_[name].value[i] = (x[i] - mean) / deviation * tensors[name + ".weight"][at(c)] +
                               tensors[name + ".bias"][at(c)];
    });
    if (running_statistics) continue;
    running_mean = 0.9 * running_mean + 0.1 * mean;
    running_variance = 0.9 * running_variance + 0.1 * variance * count / (count - 1);
  }
}

void DoubleNetwork::batch_norm_backward(const LayerShape& layer) {
  // Straight through the chain of definitions: x_hat, then variance, then mean.
  const std::string& name = layer.layer.name;
  Value& in = input(layer);
  const Tensor& dy = values_[name].gradient;
  const std::int64_t pixels = layer.output.height * layer.output.width;
  const auto count = static_cast<double>(batch_ * pixels);
  for (std::int64_t c = 0; c < layer.output.channels; ++c) {
    const auto each = [&](const auto& body) {
      for (std::int64_t n = 0; n < batch_; ++n) {
        for (std::int64_t p = 0; p < pixels; ++p) {
          body(at((n * layer.output.channels + c) * pixels + p));
        }
      }
    };
    double mean = 0, variance = 0;
    each([&](std::size_t i) { mean += in.value[i] / count; });
    each([&](std::size_t i) { variance += (in.value[i] - mean) * (in.value[i] - mean) / count; });
    const double deviation = std::sqrt(variance + 1e-5);
    const double weight = tensors[name + ".weight"][at(c)];
    double dvariance = 0, dmean = 0;
    each([&](std::size_t i) {
      gradients[name + ".bias"][at(c)] += dy[i];
      gradients[name + ".weight"][at(c)] += dy[i] * (in.value[i] - mean) / deviation;
      dvariance += dy[i] * weight * (in.value[i] - mean) * -0.5 / std::pow(deviation, 3);
      dmean -= dy[i] * weight / deviation;
    });
    each([&](std::size_t i) {
      in.gradient[i] +=
          dy[i] * weight / deviation + dvariance * 2 * (in.value[i] - mean) / count + dmean / count;
    });
  }
}

void DoubleNetwork::pool(const LayerShape& layer, bool backward) {
  const LayerDescription& d = layer.layer;
  Value& in = input(layer);
  Value& out = values_[d.name];
  const FeatureShape si = in.shape, so = out.shape;
  const bool global = d.kernel == 0;
  const std::int64_t height = global ? si.height : d.kernel, width = global ? si.width : d.kernel;
  const auto area = static_cast<double>(height * width);
  for (std::int64_t map = 0; map < batch_ * so.channels; ++map) {
    for (std::int64_t y = 0; y < so.height; ++y) {
      for (std::int64_t x = 0; x < so.width; ++x) {
        const std::size_t to = at((map * so.height + y) * so.width + x);
        std::vector<std::size_t> window;
        for (std::int64_t i = 0; i < height; ++i) {
          for (std::int64_t j = 0; j < width; ++j) {
            const std::int64_t yy = y * d.stride + i - d.padding;
            const std::int64_t xx = x * d.stride + j - d.padding;
            if (yy < 0 || yy >= si.height || xx < 0 || xx >= si.width) continue;
            window.push_back(at((map * si.height + yy) * si.width + xx));
          }
        }
        const std::size_t largest = *std::max_element(
            window.begin(), window.end(),
            [&](std::size_t a, std::size_t b) { return in.value[a] < in.value[b]; });
        if (d.kind == Kind::MaxPool) {
          if (backward) {
            in.gradient[largest] += out.gradient[to];
          } else {
            out.value[to] = in.value[largest];
          }
          continue;
        }
        for (const std::size_t from : window) {
          if (backward) {
            in.gradient[from] += out.gradient[to] / area;
          } else {
            out.value[to] += in.value[from] / area;
          }
        }
      }
    }
  }
}

DoubleNetwork::Tensor nchw_images(const Dataset& set, std::int64_t first, std::int64_t count) {
  DoubleNetwork::Tensor images;
  const FeatureShape& shape = set.shape;
  for (std::int64_t n = first; n < first + count; ++n) {
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      for (std::int64_t p = 0; p < shape.height * shape.width; ++p) {
        images.push_back(set.pixels[at(n * shape.size() + p * shape.channels + c)] / 256.0);
      }
    }
  }
  return images;
}

}  // namespace narrowmac
