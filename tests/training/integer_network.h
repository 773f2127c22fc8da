#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/workload/network.h"
#include "sim/training/loss.h"
#include "sim/training/settings.h"
#include "sim/training/trainer.h"

namespace narrowmac {

/// A tensor as integer codes of 2^-fraction each.
struct Codes {
  std::vector<std::int64_t> values;
  int fraction = 0;
  [[nodiscard]] double value(std::size_t i) const {
    return std::ldexp(static_cast<double>(values[i]), -fraction);
  }
};

inline std::int64_t code_of(double x, const TensorFormat& format) {
  const NumberFormat& number = format.conversion.format;
  const bool is_signed = number.family == NumberFormat::Family::Signed;
  const double units = std::ldexp(x, number.fraction_bits);
  const double rounded = format.conversion.rounding.mode == RoundingMode::NearestEven
                             ? std::nearbyint(units)
                             : std::round(units);  // halves away from zero
  const double end = std::ldexp(1.0, number.width - (is_signed ? 1 : 0));
  return static_cast<std::int64_t>(std::clamp(rounded, is_signed ? -end : 0.0, end - 1));
}

inline Codes codes_of(const std::vector<float>& x, const TensorFormat& format) {
  Codes codes;
  codes.fraction = format.conversion.format.fraction_bits;
  for (const float value : x) codes.values.push_back(code_of(static_cast<double>(value), format));
  return codes;
}

/// Training as it is defined, without GEMMs, views or pipelines: tensors in NCHW; a linear layer is
/// a convolution whose kernel is the whole map. Products and sums are integers, everything between
/// the GEMMs is float32.
class IntegerNetwork {
 public:
  IntegerNetwork(const NetworkDescription& network, const FeatureShape& image, std::int64_t classes,
                 const TrainingSettings& settings, const std::vector<NamedTensor>& initial)
      : shapes_(infer_shapes(network, image, classes)), settings_(settings) {
    for (const NamedTensor& tensor : initial) tensors[tensor.name] = tensor.values;
  }

  void step(const std::vector<float>& images, const std::vector<std::uint8_t>& labels) {
    batch_ = static_cast<std::int64_t>(labels.size());
    values_["input"] = images;
    for (const LayerShape& shape : shapes_) forward(shape);
    std::vector<float>& dlogits = gradients_[shapes_.back().layer.name];
    dlogits.resize(labels.size() * at(classes()));
    softmax_cross_entropy(values_[shapes_.back().layer.name].data(), labels.data(), batch_,
                          classes(), settings_.loss_scale.initial, dlogits.data());
    for (auto shape = shapes_.rbegin(); shape != shapes_.rend(); ++shape) backward(*shape);
    for (const LayerShape& shape : shapes_) {
      if (!shape.has_gemm()) continue;
      update_weight(shape.layer.name);
      sgd(shape.layer.name + ".bias");
    }
  }

  std::map<std::string, std::vector<float>> tensors;             ///< as a checkpoint has them
  std::map<std::string, Codes> activations, weights, gradients;  ///< operands of the last step

 private:
  using Kind = LayerDescription::Kind;

  struct Window {
    FeatureShape in, out;
    std::int64_t kernel = 1, stride = 1, padding = 0;
  };
  static Window window_of(const LayerShape& shape) {
    FeatureShape in = shape.inputs.front();
    if (shape.layer.kind == Kind::Linear) in = {in.size(), 1, 1};
    return {in, shape.output, shape.layer.kernel, shape.layer.stride, shape.layer.padding};
  }
  /// body(output, input, tap): every product of a convolution, or every input of a pool (where an
  /// output channel has its own input channel only).
  template <typename Body>
  void for_products(const Window& w, bool own_channel, const Body& body) const {
    for (std::int64_t n = 0; n < batch_; ++n) {
      for (std::int64_t o = 0; o < w.out.channels; ++o) {
        for (std::int64_t y = 0; y < w.out.height; ++y) {
          for (std::int64_t x = 0; x < w.out.width; ++x) {
            for (std::int64_t c = 0; c < w.in.channels; ++c) {
              if (own_channel && c != o) continue;
              for (std::int64_t i = 0; i < w.kernel; ++i) {
                for (std::int64_t j = 0; j < w.kernel; ++j) {
                  const std::int64_t v = y * w.stride + i - w.padding;
                  const std::int64_t u = x * w.stride + j - w.padding;
                  if (v < 0 || v >= w.in.height || u < 0 || u >= w.in.width) continue;
                  body(at(((n * w.out.channels + o) * w.out.height + y) * w.out.width + x),
                       at(((n * w.in.channels + c) * w.in.height + v) * w.in.width + u),
                       at(((o * w.in.channels + c) * w.kernel + i) * w.kernel + j));
                }
              }
            }
          }
        }
      }
    }
  }
  static std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

  static std::vector<float> floats(const std::vector<std::int64_t>& sums, int fraction) {
    std::vector<float> result;
    result.reserve(sums.size());
    for (const std::int64_t sum : sums) {
      result.push_back(static_cast<float>(std::ldexp(static_cast<double>(sum), -fraction)));
    }
    return result;
  }

  void forward(const LayerShape& shape) {
    const std::string& name = shape.layer.name;
    const std::vector<float>& x = values_[shape.layer.inputs.front()];
    std::vector<float>& y = values_[name];
    switch (shape.layer.kind) {
      case Kind::ReLU:
        y.clear();
        for (const float value : x) {
          y.push_back(std::min(std::max(value, 0.0F), static_cast<float>(*shape.layer.clip)));
        }
        return;
      case Kind::MaxPool:
        y.assign(at(batch_ * shape.output.size()), -1.0F);
        for_products(window_of(shape), true, [&](std::size_t to, std::size_t from, std::size_t) {
          y[to] = std::max(y[to], x[from]);
        });
        return;
      case Kind::Flatten:
        y = x;
        return;
      default:
        break;
    }
    const LayerFormats& formats = settings_.formats.of(name);
    const Codes& a = activations[name] = codes_of(x, formats.activation);
    const Codes& w = weights[name] = codes_of(tensors[name + ".weight"], formats.weight);
    std::vector<std::int64_t> sums(at(batch_ * shape.output.size()));
    for_products(window_of(shape), false, [&](std::size_t to, std::size_t from, std::size_t tap) {
      sums[to] += a.values[from] * w.values[tap];
    });
    y = floats(sums, a.fraction + w.fraction);
    const std::size_t pixels = at(shape.output.height * shape.output.width);
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] += tensors[name + ".bias"][i / pixels % at(shape.output.channels)];
    }
  }

  void backward(const LayerShape& shape) {
    const std::string& name = shape.layer.name;
    const std::string& input = shape.layer.inputs.front();
    const std::vector<float>&x = values_[input], &y = values_[name], &dy = gradients_[name];
    std::vector<float>& dx = gradients_[input];
    dx.assign(x.size(), 0.0F);
    switch (shape.layer.kind) {
      case Kind::ReLU:
        for (std::size_t i = 0; i < x.size(); ++i) {
          if (x[i] > 0 && x[i] < static_cast<float>(*shape.layer.clip)) dx[i] = dy[i];
        }
        return;
      case Kind::MaxPool: {
        std::vector<bool> given(y.size());
        for_products(window_of(shape), true, [&](std::size_t to, std::size_t from, std::size_t) {
          if (given[to] || x[from] != y[to]) return;
          dx[from] = dy[to];
          given[to] = true;
        });
        return;
      }
      case Kind::Flatten:
        dx = dy;
        return;
      default:
        break;
    }
    const LayerFormats& formats = settings_.formats.of(name);
    const Codes& a = activations[name];
    const Codes& w = weights[name];
    const Codes& g = gradients[name] = codes_of(dy, formats.gradient);
    std::vector<std::int64_t> dw(w.values.size()), to_input(x.size());
    for_products(window_of(shape), false, [&](std::size_t to, std::size_t from, std::size_t tap) {
      dw[tap] += a.values[from] * g.values[to];
      to_input[from] += w.values[tap] * g.values[to];
    });
    dx = floats(to_input, w.fraction + g.fraction);
    const Codes rounded = codes_of(floats(dw, a.fraction + g.fraction), formats.weight_gradient);
    gradients_[name + ".weight"] = floats(rounded.values, rounded.fraction);
    bias_gradient(shape, dy);
  }

  /// Images first, then their sum.
  void bias_gradient(const LayerShape& shape, const std::vector<float>& dy) {
    std::vector<float>& gradient = gradients_[shape.layer.name + ".bias"];
    gradient.clear();
    const std::int64_t pixels = shape.output.height * shape.output.width;
    for (std::int64_t c = 0; c < shape.output.channels; ++c) {
      double sum = 0;
      for (std::int64_t n = 0; n < batch_; ++n) {
        double of_image = 0;
        for (std::int64_t p = 0; p < pixels; ++p) {
          of_image += static_cast<double>(dy[at((n * shape.output.channels + c) * pixels + p)]);
        }
        sum += of_image;
      }
      gradient.push_back(static_cast<float>(sum));
    }
  }

  /// The velocity v of every element.
  const std::vector<float>& velocity(const std::string& name) {
    std::vector<float>& v = tensors[name + ".momentum"];
    const auto decay = static_cast<float>(settings_.weight_decay);
    const auto momentum = static_cast<float>(settings_.momentum);
    const auto scale = static_cast<float>(settings_.loss_scale.initial);
    for (std::size_t i = 0; i < v.size(); ++i) {
      v[i] = momentum * v[i] + (gradients_[name][i] / scale + decay * tensors[name][i]);
    }
    return v;
  }

  void sgd(const std::string& name) {
    const std::vector<float>& v = velocity(name);
    const auto rate = static_cast<float>(settings_.learning_rate);
    for (std::size_t i = 0; i < v.size(); ++i) tensors[name][i] -= rate * v[i];
  }

  void update_weight(const std::string& layer) {
    const std::string name = layer + ".weight";
    const LayerFormats& formats = settings_.formats.of(layer);
    const auto clip = static_cast<float>(*settings_.weight_clip);
    std::vector<float>& w = tensors[name];
    if (!formats.weight_residual) {
      sgd(name);
      for (float& value : w) value = std::clamp(value, -clip, clip);
      return;
    }
    const std::vector<float>& v = velocity(name);
    std::vector<float>& residual = tensors[name + ".residual"];
    const double rate = static_cast<float>(settings_.learning_rate);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double a1 = static_cast<double>(residual[i]) - rate * static_cast<double>(v[i]);
      const double w1 = std::clamp(static_cast<double>(w[i]) + a1, -static_cast<double>(clip),
                                   static_cast<double>(clip));
      const auto value = [](std::int64_t code, const TensorFormat& format) {
        return std::ldexp(static_cast<double>(code), -format.conversion.format.fraction_bits);
      };
      const double stored = value(code_of(w1, formats.weight), formats.weight);
      w[i] = static_cast<float>(stored);
      residual[i] = static_cast<float>(
          value(code_of(w1 - stored, *formats.weight_residual), *formats.weight_residual));
    }
  }

  [[nodiscard]] std::int64_t classes() const { return shapes_.back().output.channels; }

  std::int64_t batch_ = 0;
  std::vector<LayerShape> shapes_;
  TrainingSettings settings_;
  std::map<std::string, std::vector<float>> values_, gradients_;
};

}  // namespace narrowmac
