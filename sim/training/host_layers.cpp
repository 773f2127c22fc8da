#include <algorithm>

#include "sim/training/batch_norm.h"
#include "sim/training/elementwise.h"
#include "sim/training/layer.h"
#include "sim/training/parallel.h"
#include "sim/training/pooling.h"

// The layers that the host computes in fp32, outside the array.

namespace narrowmac {
namespace {

using Inputs = std::span<Activation* const>;
using Gradients = std::span<float* const>;

class ReLULayer : public Layer {
 public:
  explicit ReLULayer(Host& host) : host_(host) {}
  void forward(Inputs inputs, Activation& output, const Run& run) override {
    const PhaseTimer timer(host_, run, "relu");
    relu_forward(inputs[0]->value, run.images * output.shape.size(), output.value);
  }
  void backward(Inputs, const Activation& output, Gradients gradients, const Run& run) override {
    const PhaseTimer timer(host_, run, "relu");
    if (gradients[0] == nullptr) return;
    relu_backward(output.value, output.gradient, run.images * output.shape.size(), gradients[0]);
  }

 private:
  Host& host_;
};

class MaxPoolLayer : public Layer {
 public:
  MaxPoolLayer(const LayerShape& shape, Host& host) : host_(host), pool_(pool_geometry(shape)) {}
  void forward(Inputs inputs, Activation& output, const Run& run) override {
    const PhaseTimer timer(host_, run, "pool");
    max_pool_forward(pool_, run.images, inputs[0]->value, output.value);
  }
  void backward(Inputs inputs, const Activation& output, Gradients gradients,
                const Run& run) override {
    const PhaseTimer timer(host_, run, "pool");
    if (gradients[0] == nullptr) return;
    max_pool_backward(pool_, run.images, inputs[0]->value, output.value, output.gradient,
                      gradients[0]);
  }

 private:
  Host& host_;
  PoolGeometry pool_;
};

class AveragePoolLayer : public Layer {
 public:
  AveragePoolLayer(const LayerShape& shape, Host& host)
      : host_(host), pool_(pool_geometry(shape)) {}
  void forward(Inputs inputs, Activation& output, const Run& run) override {
    const PhaseTimer timer(host_, run, "pool");
    average_pool_forward(pool_, run.images, inputs[0]->value, output.value);
  }
  void backward(Inputs, const Activation& output, Gradients gradients, const Run& run) override {
    const PhaseTimer timer(host_, run, "pool");
    if (gradients[0] == nullptr) return;
    average_pool_backward(pool_, run.images, output.gradient, gradients[0]);
  }

 private:
  Host& host_;
  PoolGeometry pool_;
};

class FlattenLayer : public Layer {
 public:
  FlattenLayer(const LayerShape& shape, Host& host) : host_(host), shape_(shape.inputs.front()) {}
  void forward(Inputs inputs, Activation& output, const Run& run) override {
    const PhaseTimer timer(host_, run, "flatten");
    flatten_forward(inputs[0]->value, run.images, shape_, output.value);
  }
  void backward(Inputs, const Activation& output, Gradients gradients, const Run& run) override {
    const PhaseTimer timer(host_, run, "flatten");
    if (gradients[0] == nullptr) return;
    flatten_backward(output.gradient, run.images, shape_, gradients[0]);
  }

 private:
  Host& host_;
  FeatureShape shape_;
};

class ResidualAddLayer : public Layer {
 public:
  explicit ResidualAddLayer(Host& host) : host_(host) {}
  void forward(Inputs inputs, Activation& output, const Run& run) override {
    const PhaseTimer timer(host_, run, "add");
    add(inputs[0]->value, inputs[1]->value, run.images * output.shape.size(), output.value);
  }
  void backward(Inputs, const Activation& output, Gradients gradients, const Run& run) override {
    const PhaseTimer timer(host_, run, "add");
    for (float* gradient : gradients) {
      if (gradient == nullptr) continue;
      for_blocks(run.images * output.shape.size(), std::int64_t{1} << 15,
                 [&](std::int64_t begin, std::int64_t end) {
                   std::copy(output.gradient + begin, output.gradient + end, gradient + begin);
                 });
    }
  }

 private:
  Host& host_;
};

class BatchNormLayer : public Layer {
 public:
  BatchNormLayer(const LayerShape& shape, Host& host)
      : host_(host),
        weight_(shape.layer.name + ".weight", {shape.output.channels}, Parameter::Layout::Plain,
                1.0F),
        bias_(shape.layer.name + ".bias", {shape.output.channels}, Parameter::Layout::Plain, 0.0F),
        running_mean_{shape.layer.name + ".running_mean",
                      AlignedBuffer::filled(shape.output.channels, 0.0F)},
        running_variance_{shape.layer.name + ".running_var",
                          AlignedBuffer::filled(shape.output.channels, 1.0F)} {}

  void forward(Inputs inputs, Activation& output, const Run& run) override {
    const PhaseTimer timer(host_, run, "batch_norm");
    const std::int64_t rows = rows_of(output, run);
    if (run.training()) {
      batch_ = channel_statistics(inputs[0]->value, rows, output.shape.channels);
      update_running(batch_, rows, running_mean_.value.data(), running_variance_.value.data());
    }
    const ChannelStatistics& statistics =
        run.training() ? batch_
                       : channel_statistics(running_mean_.value.data(),
                                            running_variance_.value.data(), output.shape.channels);
    batch_norm_forward(statistics, weight_.value.data(), bias_.value.data(), inputs[0]->value, rows,
                       output.value);
  }
  void backward(Inputs inputs, const Activation& output, Gradients gradients,
                const Run& run) override {
    const PhaseTimer timer(host_, run, "batch_norm");
    batch_norm_backward(batch_, weight_.value.data(), inputs[0]->value, output.gradient,
                        rows_of(output, run), gradients[0], weight_.gradient.data(),
                        bias_.gradient.data());
  }
  std::vector<Parameter*> parameters() override { return {&weight_, &bias_}; }
  std::vector<Statistic*> statistics() override { return {&running_mean_, &running_variance_}; }

 private:
  static std::int64_t rows_of(const Activation& output, const Run& run) {
    return run.images * output.shape.height * output.shape.width;
  }

  Host& host_;
  Parameter weight_, bias_;
  Statistic running_mean_, running_variance_;
  ChannelStatistics batch_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerShape& shape, std::int64_t number, Host& host) {
  switch (shape.layer.kind) {
    case LayerDescription::Kind::Convolution:
    case LayerDescription::Kind::Linear:
      return make_gemm_layer(shape, number, host);
    case LayerDescription::Kind::BatchNorm:
      return std::make_unique<BatchNormLayer>(shape, host);
    case LayerDescription::Kind::ReLU:
      return std::make_unique<ReLULayer>(host);
    case LayerDescription::Kind::MaxPool:
      return std::make_unique<MaxPoolLayer>(shape, host);
    case LayerDescription::Kind::AveragePool:
      return std::make_unique<AveragePoolLayer>(shape, host);
    case LayerDescription::Kind::Flatten:
      return std::make_unique<FlattenLayer>(shape, host);
    case LayerDescription::Kind::ResidualAdd:
      return std::make_unique<ResidualAddLayer>(host);
  }
  return nullptr;
}

}  // namespace narrowmac
