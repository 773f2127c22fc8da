#include "models/workload/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <set>

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

const std::vector<std::string>& type_names() {
  static const std::vector<std::string> names = {"conv2d",   "linear",       "batch_norm", "relu",
                                                 "max_pool", "average_pool", "flatten",    "add"};
  return names;
}

constexpr Kind kKinds[] = {Kind::Convolution, Kind::Linear,     Kind::BatchNorm,
                           Kind::ReLU,        Kind::MaxPool,    Kind::AveragePool,
                           Kind::Flatten,     Kind::ResidualAdd};

constexpr std::int64_t kMaxChannels = 1 << 20;
constexpr std::int64_t kMaxKernel = 1 << 10;
constexpr std::int64_t kMaxBatch = 1 << 24;

bool is_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

void read_clip(const ConfigTable& table, LayerDescription& layer) {
  if (!table.has("clip")) return;
  const double clip = table.number("clip");
  // As a float, which the outputs are.
  if (!(clip >= std::numeric_limits<float>::min() && clip <= std::numeric_limits<float>::max())) {
    throw table.error("clip", fmt::format("found {}; accepted: a number above 0", clip));
  }
  layer.clip = clip;
}

/// Keys beyond name, type and inputs: each type reads its own, so that any other is refused as
/// unknown.
void read_geometry(const ConfigTable& table, LayerDescription& layer) {
  switch (layer.kind) {
    case Kind::Convolution:
      layer.channels = table.integer("channels", 1, kMaxChannels);
      layer.kernel = table.integer("kernel", 1, kMaxKernel);
      layer.stride = table.integer_or("stride", 1, 1, kMaxKernel);
      layer.padding = table.integer_or("padding", 0, 0, kMaxKernel);
      layer.bias = table.boolean_or("bias", true);
      break;
    case Kind::Linear:
      layer.channels = table.integer("channels", 1, kMaxChannels);
      layer.bias = table.boolean_or("bias", true);
      break;
    case Kind::MaxPool:
    case Kind::AveragePool: {
      const bool may_be_global = layer.kind == Kind::AveragePool;
      layer.kernel = may_be_global ? table.integer_or("kernel", 0, 0, kMaxKernel)
                                   : table.integer("kernel", 1, kMaxKernel);
      if (layer.kernel == 0) break;  // one window over the whole map: no stride, no padding
      layer.stride = table.integer_or("stride", layer.kernel, 1, kMaxKernel);
      layer.padding = table.integer_or("padding", 0, 0, layer.kernel / 2);
      break;
    }
    case Kind::ReLU:
      read_clip(table, layer);
      break;
    case Kind::BatchNorm:
    case Kind::Flatten:
    case Kind::ResidualAdd:
      break;
  }
}

void read_inputs(const ConfigTable& table, const std::string& previous,
                 const std::set<std::string>& known, LayerDescription& layer) {
  const std::size_t expected = layer.kind == Kind::ResidualAdd ? 2 : 1;
  if (!table.has("inputs")) {
    if (expected == 2) throw table.error("inputs", "missing; an add layer names its two inputs");
    layer.inputs = {previous};
    return;
  }
  layer.inputs = table.strings("inputs");
  if (layer.inputs.size() != expected) {
    throw table.error("inputs", fmt::format("found {} inputs; a layer of this type has {}",
                                            layer.inputs.size(), expected));
  }
  for (const std::string& input : layer.inputs) {
    if (known.count(input) == 0) {
      throw table.error("inputs",
                        fmt::format("found \"{}\"; accepted: \"input\" or the name of a layer "
                                    "above this one",
                                    input));
    }
  }
}

LayerDescription read_layer(const ConfigTable& table, const std::string& previous,
                            const std::set<std::string>& known) {
  LayerDescription layer;
  layer.name = table.string("name");
  if (!is_name(layer.name)) {
    throw table.error("name",
                      fmt::format("found \"{}\"; accepted: letters, digits, _ and -", layer.name));
  }
  if (known.count(layer.name) != 0) {
    throw table.error(
        "name", fmt::format("\"{}\" is taken; every layer needs a name of its own", layer.name));
  }
  layer.kind = kKinds[table.choice("type", type_names())];
  read_inputs(table, previous, known, layer);
  read_geometry(table, layer);
  return layer;
}

std::optional<FeatureShape> read_input(const ConfigTable& root) {
  if (!root.has("input")) return std::nullopt;
  constexpr std::int64_t kMostPixels = 1 << 20;
  const std::vector<std::int64_t> sides = root.integers("input");
  const bool in_range = std::all_of(sides.begin(), sides.end(), [](std::int64_t side) {
    return side >= 1 && side <= kMostPixels;
  });
  if (sides.size() != 3 || !in_range) {
    throw root.error("input", fmt::format("accepted: [channels, height, width], each 1 to {}, "
                                          "e.g. [3, 224, 224]",
                                          kMostPixels));
  }
  return FeatureShape{sides[0], sides[1], sides[2]};
}

}  // namespace

NetworkDescription parse_network(const ConfigTable& root) {
  NetworkDescription network;
  network.name = root.string("name");
  network.summary = root.string_or("summary", "");
  network.input = read_input(root);
  if (root.has("batch")) network.batch = root.integer("batch", 1, kMaxBatch);
  std::set<std::string> known = {"input"};
  std::string previous = "input";
  for (const ConfigTable& table : root.tables("layer")) {
    network.layers.push_back(read_layer(table, previous, known));
    previous = network.layers.back().name;
    known.insert(previous);
  }
  if (network.layers.empty()) throw root.error("layer", "a network needs at least one [[layer]]");
  root.reject_unknown();
  return network;
}

NetworkDescription read_network(const std::filesystem::path& path) {
  return parse_network(ConfigTable::read_file(path));
}

bool has_gemm(const LayerDescription& layer) {
  return layer.kind == LayerDescription::Kind::Convolution ||
         layer.kind == LayerDescription::Kind::Linear;
}

const LayerDescription* find_layer(const NetworkDescription& network, const std::string& name) {
  for (const LayerDescription& layer : network.layers) {
    if (layer.name == name) return &layer;
  }
  return nullptr;
}

const LayerDescription* source_of_input(const NetworkDescription& network,
                                        const LayerDescription& layer) {
  const LayerDescription* source = find_layer(network, layer.inputs.front());
  while (source != nullptr && (source->kind == Kind::Flatten || source->kind == Kind::MaxPool ||
                               source->kind == Kind::AveragePool)) {
    source = find_layer(network, source->inputs.front());
  }
  return source;
}

}  // namespace narrowmac
