#include <optional>
#include <vector>

#include "sim/training/batch_norm.h"
#include "sim/training/elementwise.h"
#include "sim/training/layer.h"
#include "sim/training/pooling.h"
#include "sim/training/vector_loops.h"

// The layers that the host computes in fp32, outside the array.

namespace narrowmac {
namespace {

using Inputs = std::span<Activation* const>;
using Gradients = std::span<float* const>;

class ReLULayer : public Layer {
 public:
  ReLULayer(const LayerShape& shape, Host& host) : host_(host) {
    if (shape.layer.clip) clip_ = static_cast<float>(*shape.layer.clip);
  }
  void forward(Inputs inputs, Activation& output, const Run&) override {
    const std::int64_t size = output.shape.size();
    host_.images.add(
        "relu", 2 * size,
        [x = inputs[0]->value, y = output.value, clip = clip_, size](const ImageRange& images) {
          const std::int64_t first = images.begin * size;
          const std::int64_t count = images.count() * size;
          if (clip) {
            loops::clipped_relu(x + first, count, *clip, y + first);
          } else {
            loops::relu(x + first, count, y + first);
          }
        });
  }
  void backward(Inputs, const Activation& output, Gradients gradients, const Run&) override {
    if (gradients[0] == nullptr) return;
    if (output.of_relu_for_pool && gradients[0] == output.gradient) return;  // the pool has done it
    const std::int64_t size = output.shape.size();
    host_.images.add("relu", 2 * size,
                     [y = output.value, dy = output.gradient, dx = gradients[0], clip = clip_,
                      size](const ImageRange& images) {
                       const std::int64_t first = images.begin * size;
                       const std::int64_t count = images.count() * size;
                       if (clip) {
                         loops::clipped_relu_backward(y + first, dy + first, count, *clip,
                                                      dx + first);
                       } else {
                         loops::relu_backward(y + first, dy + first, count, dx + first);
                       }
                     });
  }
  [[nodiscard]] bool backward_in_place() const override { return true; }

 private:
  Host& host_;
  std::optional<float> clip_;
};

class MaxPoolLayer : public Layer {
 public:
  MaxPoolLayer(const LayerShape& shape, Host& host) : host_(host), pool_(pool_geometry(shape)) {}
  void forward(Inputs inputs, Activation& output, const Run& run) override {
    const std::int64_t floats = pool_.input.size() + pool_.output.size();
    const float* x = inputs[0]->value;
    float* y = output.value;
    if (!inputs[0]->of_relu_for_pool || !run.has_backward()) {
      host_.images.add("pool", floats, [this, x, y](const ImageRange& images) {
        max_pool_forward(pool_, images, x, y);
      });
      return;
    }
    winners_.resize(static_cast<std::size_t>(run.images * pool_.output.size()));
    host_.images.add("pool", floats, [this, x, y](const ImageRange& images) {
      relu_max_pool_forward(pool_, images, x, y, winners_.data());
    });
  }
  void backward(Inputs inputs, const Activation& output, Gradients gradients, const Run&) override {
    if (gradients[0] == nullptr) return;
    const float* dy = output.gradient;
    float* dx = gradients[0];
    if (inputs[0]->of_relu_for_pool) {
      host_.images.add("pool", pool_.input.size() + pool_.output.size(),
                       [this, dy, dx](const ImageRange& images) {
                         relu_max_pool_backward(pool_, images, winners_.data(), dy, dx);
                       });
      return;
    }
    host_.images.add(
        "pool", 2 * (pool_.input.size() + pool_.output.size()),
        [this, x = inputs[0]->value, y = output.value, dy, dx](const ImageRange& images) {
          max_pool_backward(pool_, images, x, y, dy, dx);
        });
  }

 private:
  Host& host_;
  PoolGeometry pool_;
  std::vector<std::uint8_t> winners_;
};

class AveragePoolLayer : public Layer {
 public:
  AveragePoolLayer(const LayerShape& shape, Host& host)
      : host_(host), pool_(pool_geometry(shape)) {}
  void forward(Inputs inputs, Activation& output, const Run&) override {
    host_.images.add("pool", pool_.input.size() + pool_.output.size(),
                     [this, x = inputs[0]->value, y = output.value](const ImageRange& images) {
                       average_pool_forward(pool_, images, x, y);
                     });
  }
  void backward(Inputs, const Activation& output, Gradients gradients, const Run&) override {
    if (gradients[0] == nullptr) return;
    host_.images.add("pool", pool_.input.size() + pool_.output.size(),
                     [this, dy = output.gradient, dx = gradients[0]](const ImageRange& images) {
                       average_pool_backward(pool_, images, dy, dx);
                     });
  }

 private:
  Host& host_;
  PoolGeometry pool_;
};

class FlattenLayer : public Layer {
 public:
  FlattenLayer(const LayerShape& shape, Host& host) : host_(host), shape_(shape.inputs.front()) {}
  void forward(Inputs inputs, Activation& output, const Run&) override {
    host_.images.add("flatten", 2 * shape_.size(),
                     [this, x = inputs[0]->value, y = output.value](const ImageRange& images) {
                       flatten_forward(x, images, shape_, y);
                     });
  }
  void backward(Inputs, const Activation& output, Gradients gradients, const Run&) override {
    if (gradients[0] == nullptr) return;
    host_.images.add("flatten", 2 * shape_.size(),
                     [this, dy = output.gradient, dx = gradients[0]](const ImageRange& images) {
                       flatten_backward(dy, images, shape_, dx);
                     });
  }

 private:
  Host& host_;
  FeatureShape shape_;
};

class ResidualAddLayer : public Layer {
 public:
  explicit ResidualAddLayer(Host& host) : host_(host) {}
  void forward(Inputs inputs, Activation& output, const Run&) override {
    const std::int64_t size = output.shape.size();
    host_.images.add("add", 3 * size,
                     [a = inputs[0]->value, b = inputs[1]->value, y = output.value,
                      size](const ImageRange& images) {
                       const std::int64_t first = images.begin * size;
                       loops::add(a + first, b + first, images.count() * size, y + first);
                     });
  }
  void backward(Inputs, const Activation&, Gradients, const Run&) override {}
  [[nodiscard]] bool passes_gradient_on() const override { return true; }

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
    const std::int64_t rows = output.shape.height * output.shape.width;
    const std::int64_t size = output.shape.size();
    const float* x = inputs[0]->value;
    if (run.training()) {
      batch_ = batch_statistics(x, output.shape, run);
      update_running(batch_, rows * run.images, running_mean_.value.data(),
                     running_variance_.value.data());
    } else {
      batch_ = channel_statistics(running_mean_.value.data(), running_variance_.value.data(),
                                  output.shape.channels);
    }
    host_.images.add(
        "batch_norm", 2 * size,
        [rows, size, x, y = output.value, bias = bias_.value.data(),
         pass = BatchNormForward(batch_, weight_.value.data())](const ImageRange& images) {
          const std::int64_t first = images.begin * size;
          pass.run(x + first, images.count() * rows, bias, y + first);
        });
  }

  void backward(Inputs inputs, const Activation& output, Gradients gradients,
                const Run& run) override {
    const float* x = inputs[0]->value;
    const float* dy = output.gradient;
    const std::int64_t size = output.shape.size();
    backward_.emplace(batch_, run.images, output.shape.height * output.shape.width);
    host_.images.add("batch_norm", 2 * size,
                     [this, x, dy](const ImageRange& images) { backward_->add(images, x, dy); });
    host_.finish_images(run);
    {
      const PhaseTimer timer(host_, run, "batch_norm");
      backward_->finish(weight_.value.data(), run.training(), weight_.gradient.data(),
                        bias_.gradient.data());
    }
    if (gradients[0] == nullptr) return;
    host_.images.add("batch_norm", 3 * size,
                     [this, x, dy, dx = gradients[0]](const ImageRange& images) {
                       backward_->run(images, x, dy, dx);
                     });
  }
  std::vector<Parameter*> parameters() override { return {&weight_, &bias_}; }
  std::vector<Statistic*> statistics() override { return {&running_mean_, &running_variance_}; }

 private:
  ChannelStatistics batch_statistics(const float* x, const FeatureShape& shape, const Run& run) {
    BatchMoments moments(run.images, shape.height * shape.width, shape.channels);
    host_.images.add("batch_norm", shape.size(),
                     [&](const ImageRange& images) { moments.add(images, x); });
    host_.finish_images(run);
    const PhaseTimer timer(host_, run, "batch_norm");
    return moments.statistics();
  }

  Host& host_;
  Parameter weight_, bias_;
  Statistic running_mean_, running_variance_;
  ChannelStatistics batch_;
  std::optional<BatchNormBackward> backward_;
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
      return std::make_unique<ReLULayer>(shape, host);
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
