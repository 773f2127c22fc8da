#include "sim/experiment/formats_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "sim/experiment/extra_bits.h"
#include "sim/experiment/quantization_config.h"

namespace narrowmac {
namespace {

constexpr std::string_view kNoResidual = "none";

/// The keys of the tensors of a layer. `subnormals`: what a float format of a GEMM's operand has
/// that does not say; what stays outside the array has them.
void read_layer_formats(const ConfigTable& table, bool subnormals, LayerFormats& formats) {
  const auto read = [&](std::string_view key, TensorFormat& format, bool default_subnormals) {
    if (table.has(key)) format = parse_tensor_format(table, key, default_subnormals);
  };
  read("activation", formats.activation, subnormals);
  read("weight", formats.weight, subnormals);
  read("gradient", formats.gradient, subnormals);
  read("weight_gradient", formats.weight_gradient, true);
  if (!table.has("weight_residual")) return;
  const bool none =
      table.is_string("weight_residual") && table.string("weight_residual") == kNoResidual;
  formats.weight_residual.reset();
  if (!none) formats.weight_residual = parse_tensor_format(table, "weight_residual");
}

using LayerTables = std::map<std::string, ConfigTable>;

LayerTables read_layers(const ConfigTable& table, bool subnormals, Formats& formats) {
  LayerTables found;
  for (const ConfigTable& layer : table.tables("layer")) {
    const std::string name = layer.string("name");
    if (!found.emplace(name, layer).second) {
      throw layer.error("name", fmt::format("found \"{}\" again; accepted: one entry for each "
                                            "layer",
                                            name));
    }
    LayerFormats own = formats;
    read_layer_formats(layer, subnormals, own);
    formats.layers[name] = own;
  }
  return found;
}

/// The error where the file says what is wrong: in the layer's entry, or in [formats].
Error fault_error(const FormatFault& fault, const ConfigTable& table, const LayerTables& layers) {
  const auto own = layers.find(fault.layer);
  if (own != layers.end() && own->second.has(fault.key)) {
    return own->second.error(fault.key, fault.message);
  }
  if (table.has(fault.key)) return table.error(fault.key, fault.message);
  return own != layers.end() ? own->second.error(fault.key, fault.message)
                             : table.error(fault.key, fault.message);
}

std::string layer_text(const std::string& name, const LayerFormats& formats) {
  return fmt::format(
      "\n[[formats.layer]]\nname = \"{}\"\nactivation = {}\nweight = {}\ngradient = {}\n"
      "weight_gradient = {}\nweight_residual = {}\n",
      name, to_toml(formats.activation), to_toml(formats.weight), to_toml(formats.gradient),
      to_toml(formats.weight_gradient),
      formats.weight_residual ? to_toml(*formats.weight_residual)
                              : fmt::format("\"{}\"", kNoResidual));
}

}  // namespace

void read_formats(const ConfigTable& root, RunConfig& config) {
  Formats& formats = config.training.formats;
  const bool subnormals =
      !has_table(root, "mac") || root.table("mac").boolean_or("subnormals", true);
  for (TensorFormat* format : {&formats.activation, &formats.weight, &formats.gradient}) {
    format->conversion.subnormals = subnormals;
  }
  if (!has_table(root, "formats")) return;
  const ConfigTable table = root.table("formats");
  read_layer_formats(table, subnormals, formats);
  if (table.has("weight_update")) {
    formats.weight_update = parse_tensor_format(table, "weight_update");
  }
  const LayerTables layers = read_layers(table, subnormals, formats);
  apply_extra_format_bits(table, config);
  if (const auto fault = find_fault(formats, config.network)) {
    throw fault_error(*fault, table, layers);
  }
  // An entry that says nothing new does not make another run.
  std::erase_if(formats.layers, [&](const auto& own) { return own.second == formats; });
}

void check_subnormals(const ConfigTable& root, const RunConfig& config) {
  if (config.training.quantization) return;  // integers have none
  const auto check = [&](const std::string& layer, Pass pass, std::string_view key,
                         const TensorFormat& format) {
    const MacDesign* mac = config.training.macs.find(layer, pass);
    if (mac == nullptr || mac->accumulator.subnormals || format.conversion.format.is_fixed() ||
        !format.conversion.subnormals) {
      return;
    }
    throw root.error(
        "formats",
        fmt::format("found {} with subnormals, but layer {}, pass {} has "
                    "subnormals = false; accepted: {} = {{ format = \"{}\", "
                    "subnormals = false }}, or subnormals = true in that MAC",
                    key, layer, to_string(pass), key, format.conversion.format.to_string()));
  };
  for (const std::string& layer : gemm_layers(config.network)) {
    const LayerFormats& formats = config.training.formats.of(layer);
    check(layer, Pass::Forward, "activation", formats.activation);
    check(layer, Pass::Forward, "weight", formats.weight);
    check(layer, Pass::Backward, "gradient", formats.gradient);
    check(layer, Pass::Backward, "weight", formats.weight);
    check(layer, Pass::Gradient, "activation", formats.activation);
    check(layer, Pass::Gradient, "gradient", formats.gradient);
  }
}

std::string formats_to_toml(const RunConfig& config) {
  const TrainingSettings& training = config.training;
  const Formats& formats = training.formats;
  if (training.quantization) {
    return fmt::format("[formats]\nweight_update = {}\n\n{}", to_toml(formats.weight_update),
                       to_toml(*training.quantization));
  }
  std::string text =
      fmt::format("[formats]\nactivation = {}\nweight = {}\ngradient = {}\nweight_update = {}\n",
                  to_toml(formats.activation), to_toml(formats.weight), to_toml(formats.gradient),
                  to_toml(formats.weight_update));
  // Only where there is something to say: a run's name is a hash of this text.
  if (!formats.weight_gradient.is_identity()) {
    text += fmt::format("weight_gradient = {}\n", to_toml(formats.weight_gradient));
  }
  if (formats.weight_residual) {
    text += fmt::format("weight_residual = {}\n", to_toml(*formats.weight_residual));
  }
  for (const std::string& name : gemm_layers(config.network)) {
    const auto own = formats.layers.find(name);
    if (own != formats.layers.end()) text += layer_text(name, own->second);
  }
  return text;
}

}  // namespace narrowmac
