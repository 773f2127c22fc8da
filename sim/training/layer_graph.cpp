#include "sim/training/layer_graph.h"

#include <algorithm>
#include <string>
#include <utility>

#include "models/quantizers/block_quantizer.h"
#include "sim/training/pooling.h"
#include "sim/training/quantised_operands.h"
#include "sim/training/vector_loops.h"

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

/// Layers whose backward pass does not look at what they put out: a ReLU behind them may overwrite
/// it.
bool output_may_be_overwritten(const LayerDescription& layer) {
  return has_gemm(layer) || layer.kind == Kind::BatchNorm || layer.kind == Kind::ResidualAdd;
}

}  // namespace

LayerGraph::LayerGraph(const std::vector<LayerShape>& shapes, const FeatureShape& image,
                       std::int64_t capacity, Host& host)
    : activations_(shapes.size() + 1), capacity_(capacity), host_(host) {
  activations_[0].shape = image;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto number = static_cast<std::int64_t>(i) + 1;
    layers_.push_back(make_layer(shapes[i], number, host));
    activations_[i + 1].shape = shapes[i].output;
    activations_[i + 1].number = number;
  }
  connect(shapes);
  allocate(capacity);
}

void LayerGraph::connect(const std::vector<LayerShape>& shapes) {
  std::map<std::string, std::size_t> index = {{"input", 0}};
  std::vector<int> readers(activations_.size(), 0);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    Node node;
    bool needs_gradient = !layers_[i]->parameters().empty();
    for (const std::string& name : shapes[i].layer.inputs) {
      const std::size_t input = index.at(name);
      node.inputs.push_back(input);
      ++readers[input];
      if (has_gemm(shapes[i].layer)) {  // all readers have the same: see find_fault()
        activations_[input].format = &host_.settings.formats.of(shapes[i].layer.name).activation;
      }
      needs_gradient = needs_gradient || activations_[input].needs_gradient;
    }
    activations_[i + 1].needs_gradient = needs_gradient;
    index[shapes[i].layer.name] = i + 1;
    nodes_.push_back(std::move(node));
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::size_t input = nodes_[i].inputs.front();
    activations_[input].of_relu_for_pool =
        input > 0 && readers[input] == 1 && shapes[input - 1].layer.kind == Kind::ReLU &&
        !shapes[input - 1].layer.clip && shapes[i].layer.kind == Kind::MaxPool &&
        remembers_winners(pool_geometry(shapes[i]));
    nodes_[i].in_place = shapes[i].layer.kind == Kind::ReLU && input > 0 && readers[input] == 1 &&
                         output_may_be_overwritten(shapes[input - 1].layer);
  }
}

void LayerGraph::allocate(std::int64_t capacity) {
  for (std::size_t i = 0; i < activations_.size(); ++i) {
    Activation& activation = activations_[i];
    if (i > 0 && nodes_[i - 1].in_place) {
      activation.value = activations_[nodes_[i - 1].inputs.front()].value;
    } else {
      activation.value_storage = AlignedBuffer(capacity * activation.shape.size());
      activation.value = activation.value_storage.data();
    }
  }
}

const float* LayerGraph::forward(const Run& run) {
  host_.images.clear();  // of a run that broke off halfway
  host_.not_finite = false;
  for (Activation& activation : activations_) {
    activation.operand = {};
    release(activation);
  }
  round_images(activations_.front(), run);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    std::vector<Activation*> inputs;
    for (const std::size_t input : nodes_[i].inputs) inputs.push_back(&activations_[input]);
    layers_[i]->forward(inputs, activations_[i + 1], run);
    round_images(activations_[i + 1], run);
  }
  host_.finish_images(run);
  return activations_.back().value;
}

void LayerGraph::round_images(Activation& activation, const Run& run) {
  if (activation.format == nullptr) return;
  const TensorFormat& format = *activation.format;
  const std::int64_t size = activation.shape.size();
  if (host_.settings.quantization) {
    activation.extrema.resize(static_cast<std::size_t>(run.images));
    find_image_extrema(host_.images, activation.value, size, activation.extrema);
    return;
  }
  if (!BlockQuantizer::supports(format)) return;
  if (activation.codes.size() == 0) activation.codes = AlignedBuffer(capacity_ * size);
  activation.operand = {activation.codes.data(), 1.0};
  const std::uint64_t number =
      run_number(run.position, activation.number, RandomUse::ActivationTensor);
  host_.round_images(activation.value, size, format, number, activation.codes.data(), nullptr);
}

float* LayerGraph::logits_gradient() {
  Activation& logits = activations_.back();
  return logits.gradient != nullptr ? logits.gradient : own_gradient(logits);
}

void LayerGraph::backward(const Run& run) {
  for (std::size_t node = nodes_.size(); node > 0; --node) backward_node(node - 1, run);
  host_.finish_images(run);
}

void LayerGraph::backward_node(std::size_t node, const Run& run) {
  Activation& output = activations_[node + 1];
  if (output.needs_gradient) {
    if (host_.observer != nullptr && output.format != nullptr) {
      host_.finish_images(run);
      host_.observer->activation(output, run);
    }
    struct Addition {
      Activation* target;
      Buffer part;
    };
    const Layer& layer = *layers_[node];
    std::vector<Activation*> inputs;
    std::vector<float*> gradients;
    std::vector<Addition> additions;
    for (const std::size_t index : nodes_[node].inputs) {
      Activation& input = activations_[index];
      inputs.push_back(&input);
      if (!input.needs_gradient) {
        gradients.push_back(nullptr);
      } else if (layer.passes_gradient_on()) {
        gradients.push_back(nullptr);
        if (input.gradient != nullptr) {
          accumulate(input, output.gradient);
        } else {
          input.gradient_storage = output.gradient_storage;
          input.gradient = output.gradient;
        }
      } else if (input.gradient != nullptr) {
        additions.push_back(Addition{&input, take_buffer(capacity_ * input.shape.size())});
        gradients.push_back(additions.back().part->data());
      } else if (layer.backward_in_place() && output.gradient_storage.use_count() == 1) {
        input.gradient_storage = output.gradient_storage;
        gradients.push_back(input.gradient = output.gradient);
      } else {
        gradients.push_back(own_gradient(input));
      }
    }
    layers_[node]->backward(inputs, output, gradients, run);
    for (Addition& addition : additions) {
      accumulate(*addition.target, addition.part->data());
      give_back(std::move(addition.part));
    }
  }
  release(output);
}

float* LayerGraph::own_gradient(Activation& activation) {
  activation.gradient_storage = take_buffer(capacity_ * activation.shape.size());
  return activation.gradient = activation.gradient_storage->data();
}

void LayerGraph::accumulate(Activation& activation, const float* part) {
  const float* sum = activation.gradient;
  Buffer old;
  if (activation.gradient_storage.use_count() > 1) {  // somebody else still reads the sum so far
    old = std::move(activation.gradient_storage);
    own_gradient(activation);
  }
  const std::int64_t size = activation.shape.size();
  host_.images.add("add", 3 * size,
                   [sum, part, to = activation.gradient, size](const ImageRange& images) {
                     const std::int64_t first = images.begin * size;
                     loops::add(sum + first, part + first, images.count() * size, to + first);
                   });
}

void LayerGraph::release(Activation& activation) {
  give_back(std::move(activation.gradient_storage));
  activation.gradient_storage.reset();
  activation.gradient = nullptr;
}

LayerGraph::Buffer LayerGraph::take_buffer(std::int64_t size) {
  std::vector<Buffer>& free = free_buffers_[size];
  if (free.empty()) return std::make_shared<AlignedBuffer>(size);
  Buffer buffer = std::move(free.back());
  free.pop_back();
  return buffer;
}

void LayerGraph::give_back(Buffer buffer) {
  if (buffer != nullptr && buffer.use_count() == 1) {
    free_buffers_[buffer->size()].push_back(std::move(buffer));
  }
}

std::vector<Parameter*> LayerGraph::parameters() {
  std::vector<Parameter*> all;
  for (const auto& layer : layers_) {
    const std::vector<Parameter*> own = layer->parameters();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

std::vector<Statistic*> LayerGraph::statistics() {
  std::vector<Statistic*> all;
  for (const auto& layer : layers_) {
    const std::vector<Statistic*> own = layer->statistics();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

}  // namespace narrowmac
