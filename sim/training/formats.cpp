#include "sim/training/formats.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace narrowmac {
namespace {

bool is_plain_fixed(const TensorFormat& format) {
  return format.conversion.format.is_fixed() && format.scaling == Scaling::None &&
         format.conversion.format.width <= kWidestResidual;
}

std::optional<FormatFault> find_unknown_layer(const Formats& formats,
                                              const NetworkDescription& network) {
  std::vector<std::string> names;
  for (const LayerDescription& layer : network.layers) {
    if (has_gemm(layer)) names.push_back(layer.name);
  }
  for (const auto& entry : formats.layers) {
    if (std::find(names.begin(), names.end(), entry.first) != names.end()) continue;
    return FormatFault{entry.first, "name",
                       fmt::format("found \"{}\"; accepted: the layers of {} with a GEMM: {}",
                                   entry.first, network.name, fmt::join(names, ", "))};
  }
  return std::nullopt;
}

std::optional<FormatFault> find_residual_fault(const Formats& formats, const std::string& layer) {
  const LayerFormats& own = formats.of(layer);
  if (!own.weight_residual) return std::nullopt;
  const std::string owner = formats.layers.count(layer) > 0 ? layer : "";
  if (!formats.weight_update.is_identity()) {
    return FormatFault{owner, "weight_residual",
                       fmt::format("found beside weight_update ({}), which stores the weights of "
                                   "{} in another way; accepted: one of the two",
                                   formats.weight_update.describe(), layer)};
  }
  const auto needs = [&](std::string_view what, const TensorFormat& format) {
    return FormatFault{owner, "weight_residual",
                       fmt::format("found {}'s {} {}; accepted: weight and weight_residual in "
                                   "fixed point of at most {} bits, each with scaling = \"none\"",
                                   layer, what, format.describe(), kWidestResidual)};
  };
  if (!is_plain_fixed(*own.weight_residual)) return needs("residual", *own.weight_residual);
  if (!is_plain_fixed(own.weight)) return needs("weight", own.weight);
  return std::nullopt;
}

}  // namespace

std::optional<FormatFault> find_fault(const Formats& formats, const NetworkDescription& network) {
  if (auto fault = find_unknown_layer(formats, network)) return fault;
  std::map<std::string, std::string> first_readers;
  for (const LayerDescription& layer : network.layers) {
    if (!has_gemm(layer)) continue;
    if (auto fault = find_residual_fault(formats, layer.name)) return fault;
    const std::string& tensor = layer.inputs.front();
    const auto reader = first_readers.emplace(tensor, layer.name).first;
    const TensorFormat& first = formats.of(reader->second).activation;
    const TensorFormat& own = formats.of(layer.name).activation;
    if (own == first) continue;
    const bool is_own = formats.layers.count(layer.name) > 0;
    return FormatFault{
        is_own ? layer.name : reader->second, "activation",
        fmt::format("found {} for {}, but {} for {}, which reads the same tensor "
                    "(\"{}\"); accepted: one format for both",
                    own.describe(), layer.name, first.describe(), reader->second, tensor)};
  }
  return std::nullopt;
}

}  // namespace narrowmac
