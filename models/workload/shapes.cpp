#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "models/workload/network.h"

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

std::string text(const FeatureShape& shape) {
  return fmt::format("{} channels x {} x {}", shape.channels, shape.height, shape.width);
}

[[noreturn]] void fail(const LayerDescription& layer, const std::string& message) {
  throw Error(fmt::format("layer \"{}\": {}", layer.name, message));
}

/// Positions of a window of `kernel` along a side of `size`, padded on both ends.
std::int64_t positions(const LayerDescription& layer, std::int64_t size) {
  const std::int64_t padded = size + 2 * layer.padding;
  if (padded < layer.kernel) {
    fail(layer, fmt::format("a kernel of {} does not fit into {} rows or columns with padding {}",
                            layer.kernel, size, layer.padding));
  }
  return (padded - layer.kernel) / layer.stride + 1;
}

FeatureShape windowed(const LayerDescription& layer, const FeatureShape& input,
                      std::int64_t channels) {
  return {channels, positions(layer, input.height), positions(layer, input.width)};
}

FeatureShape output_shape(const LayerDescription& layer, const std::vector<FeatureShape>& inputs) {
  const FeatureShape& input = inputs.front();
  switch (layer.kind) {
    case Kind::Convolution:
      return windowed(layer, input, layer.channels);
    case Kind::Linear:
      if (input.height != 1 || input.width != 1) {
        fail(layer, fmt::format("a linear layer reads a vector, found {}; put a flatten or "
                                "average_pool layer before it",
                                text(input)));
      }
      return {layer.channels, 1, 1};
    case Kind::MaxPool:
      return windowed(layer, input, input.channels);
    case Kind::AveragePool:
      if (layer.kernel == 0) return {input.channels, 1, 1};
      return windowed(layer, input, input.channels);
    case Kind::Flatten:
      return {input.size(), 1, 1};
    case Kind::ResidualAdd:
      if (!(inputs[0] == inputs[1])) {
        fail(layer, fmt::format("its inputs differ in shape: {} and {}", text(inputs[0]),
                                text(inputs[1])));
      }
      return input;
    case Kind::BatchNorm:
    case Kind::ReLU:
      return input;
  }
  return input;
}

}  // namespace

std::vector<LayerShape> infer_shapes(const NetworkDescription& network, const FeatureShape& input,
                                     std::int64_t classes) {
  std::map<std::string, FeatureShape> known = {{"input", input}};
  std::vector<LayerShape> shapes;
  std::set<std::string> unread;
  for (const LayerDescription& layer : network.layers) {
    LayerShape shape;
    shape.layer = layer;
    for (const std::string& name : layer.inputs) {
      const auto found = known.find(name);
      if (found == known.end()) {
        fail(layer,
             fmt::format("reads \"{}\", which is neither \"input\" nor a layer above it", name));
      }
      shape.inputs.push_back(found->second);
      unread.erase(name);
    }
    const std::size_t expected = layer.kind == Kind::ResidualAdd ? 2 : 1;
    if (shape.inputs.size() != expected) {
      fail(layer, fmt::format("found {} inputs; it has {}", shape.inputs.size(), expected));
    }
    shape.output = output_shape(layer, shape.inputs);
    known[layer.name] = shape.output;
    unread.insert(layer.name);
    shapes.push_back(std::move(shape));
  }
  if (shapes.empty()) throw Error(fmt::format("network \"{}\" has no layers", network.name));
  for (const LayerShape& shape : shapes) {
    if (&shape != &shapes.back() && unread.count(shape.layer.name) != 0) {
      fail(shape.layer, "no later layer reads it");
    }
  }
  const FeatureShape& last = shapes.back().output;
  if (last.channels != classes || last.height != 1 || last.width != 1) {
    fail(shapes.back().layer, fmt::format("the last layer gives {}; the data set needs {} values, "
                                          "one per class",
                                          text(last), classes));
  }
  return shapes;
}

GemmShape gemm_shape(const LayerShape& layer, Pass pass, std::int64_t batch) {
  if (!layer.has_gemm()) fail(layer.layer, "has no GEMM");
  const FeatureShape& in = layer.inputs.front();
  const FeatureShape& out = layer.output;
  const std::int64_t taps =
      layer.layer.kind == Kind::Convolution ? layer.layer.kernel * layer.layer.kernel : 1;
  const std::int64_t outputs = batch * out.height * out.width;
  const std::int64_t inputs = batch * in.height * in.width;
  switch (pass) {
    case Pass::Forward:
      return {outputs, out.channels, in.channels * taps};
    case Pass::Backward:
      return {inputs, in.channels, out.channels * taps};
    case Pass::Gradient:
      return {in.channels * taps, out.channels, outputs};
  }
  return {};
}

std::set<std::string> layers_with_backward(const std::vector<LayerShape>& shapes) {
  std::set<std::string> behind;  // outputs that depend on a parameter
  std::set<std::string> backward;
  for (const LayerShape& shape : shapes) {
    const LayerDescription& layer = shape.layer;
    const bool reached =
        std::any_of(layer.inputs.begin(), layer.inputs.end(),
                    [&](const std::string& name) { return behind.count(name) > 0; });
    const bool has_parameters = shape.has_gemm() || layer.kind == Kind::BatchNorm;
    if (reached) backward.insert(layer.name);
    if (reached || has_parameters) behind.insert(layer.name);
  }
  return backward;
}

}  // namespace narrowmac
