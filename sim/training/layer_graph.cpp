#include "sim/training/layer_graph.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sim/training/elementwise.h"

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

/// Layers whose backward pass does not look at what they put out: a ReLU behind them may overwrite
/// it.
bool output_may_be_overwritten(const LayerDescription& layer) {
  return layer.kind == Kind::Convolution || layer.kind == Kind::Linear ||
         layer.kind == Kind::BatchNorm || layer.kind == Kind::ResidualAdd;
}

}  // namespace

LayerGraph::LayerGraph(const std::vector<LayerShape>& shapes, const FeatureShape& image,
                       std::int64_t capacity, Host& host)
    : activations_(shapes.size() + 1), capacity_(capacity) {
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
      needs_gradient = needs_gradient || activations_[input].needs_gradient;
    }
    activations_[i + 1].needs_gradient = needs_gradient;
    index[shapes[i].layer.name] = i + 1;
    nodes_.push_back(std::move(node));
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::size_t input = nodes_[i].inputs.front();
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
  for (Activation& activation : activations_) {
    activation.operand = {};
    if (activation.gradient != nullptr) {  // a run that broke off halfway
      give_back(std::move(activation.gradient_storage));
      activation.gradient = nullptr;
    }
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    std::vector<Activation*> inputs;
    for (const std::size_t input : nodes_[i].inputs) inputs.push_back(&activations_[input]);
    layers_[i]->forward(inputs, activations_[i + 1], run);
  }
  return activations_.back().value;
}

float* LayerGraph::logits_gradient() {
  Activation& logits = activations_.back();
  if (logits.gradient == nullptr) {
    logits.gradient_storage = take_buffer(capacity_ * logits.shape.size());
    logits.gradient = logits.gradient_storage.data();
  }
  return logits.gradient;
}

void LayerGraph::backward(const Run& run) {
  for (std::size_t node = nodes_.size(); node > 0; --node) backward_node(node - 1, run);
}

void LayerGraph::backward_node(std::size_t node, const Run& run) {
  Activation& output = activations_[node + 1];
  if (output.needs_gradient) {
    struct Addition {
      Activation* target;
      AlignedBuffer part;
    };
    std::vector<Activation*> inputs;
    std::vector<float*> gradients;
    std::vector<Addition> additions;
    for (const std::size_t index : nodes_[node].inputs) {
      Activation& input = activations_[index];
      inputs.push_back(&input);
      const std::int64_t size = capacity_ * input.shape.size();
      if (!input.needs_gradient) {
        gradients.push_back(nullptr);
      } else if (input.gradient != nullptr) {
        additions.push_back(Addition{&input, take_buffer(size)});
        gradients.push_back(additions.back().part.data());
      } else if (nodes_[node].in_place) {
        input.gradient = output.gradient;
        gradients.push_back(input.gradient);
      } else {
        input.gradient_storage = take_buffer(size);
        input.gradient = input.gradient_storage.data();
        gradients.push_back(input.gradient);
      }
    }
    layers_[node]->backward(inputs, output, gradients, run);
    for (Addition& addition : additions) {
      float* target = addition.target->gradient;
      add(target, addition.part.data(), run.images * addition.target->shape.size(), target);
      give_back(std::move(addition.part));
    }
    if (nodes_[node].in_place) {
      inputs.front()->gradient_storage = std::move(output.gradient_storage);
    }
  }
  give_back(std::move(output.gradient_storage));
  output.gradient = nullptr;
}

AlignedBuffer LayerGraph::take_buffer(std::int64_t size) {
  std::vector<AlignedBuffer>& free = free_buffers_[size];
  if (free.empty()) return AlignedBuffer(size);
  AlignedBuffer buffer = std::move(free.back());
  free.pop_back();
  return buffer;
}

void LayerGraph::give_back(AlignedBuffer buffer) {
  if (buffer.data() != nullptr) free_buffers_[buffer.size()].push_back(std::move(buffer));
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
