#include "sim/experiment/mac_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

std::vector<std::string> gemm_layers(const NetworkDescription& network) {
  std::vector<std::string> names;
  for (const LayerDescription& layer : network.layers) {
    if (layer.kind == Kind::Convolution || layer.kind == Kind::Linear) names.push_back(layer.name);
  }
  return names;
}

void read_layer(const ConfigTable& table, const std::vector<std::string>& layers,
                RunConfig& config) {
  const std::string name = table.string("name");
  if (std::find(layers.begin(), layers.end(), name) == layers.end()) {
    throw table.error("name",
                      fmt::format("found \"{}\"; accepted: the layers of {} with a GEMM: {}", name,
                                  config.network.name, fmt::join(layers, ", ")));
  }
  std::vector<Pass> passes(std::begin(kPasses), std::end(kPasses));
  if (table.has("pass")) passes = {kPasses[table.choice("pass", {"FWD", "BWD", "GRAD"})]};
  MacAssignment& macs = config.training.macs;
  for (const Pass pass : passes) {
    const Operands operands = operands_of(pass, config.training.formats);
    macs.set(name, pass, parse_mac(table, macs.find(name, pass), &operands));
  }
}

/// A design's tables without a and b, which a run file must not set, under any heading; and with
/// `chunk = false` where there is none, since an enclosing table may have one.
std::string tables_of(const MacDesign& mac, std::string_view name, std::string_view heading,
                      bool inherits) {
  const std::string text = to_toml(mac, name);
  std::string result(heading);
  std::size_t start = text.find('\n') + 1;
  bool first_table = true;
  while (start < text.size()) {
    const std::size_t end = text.find('\n', start);
    const std::string line = text.substr(start, end - start);
    start = end + 1;
    if (line.starts_with("[")) first_table = false;
    if (first_table && (line.starts_with("a = ") || line.starts_with("b = "))) continue;
    result += line + "\n";
  }
  if (inherits && !mac.chunk) result += "chunk = false\n";
  return result;
}

}  // namespace

Operands operands_of(Pass pass, const Formats& formats) {
  const NumberFormat& activation = formats.activation.conversion.format;
  const NumberFormat& weight = formats.weight.conversion.format;
  const NumberFormat& gradient = formats.gradient.conversion.format;
  switch (pass) {
    case Pass::Forward:
      return {activation, weight};
    case Pass::Backward:
      return {gradient, weight};
    case Pass::Gradient:
      break;
  }
  return {activation, gradient};
}

void read_macs(const ConfigTable& table, RunConfig& config) {
  for (const Pass pass : kPasses) {
    const Operands operands = operands_of(pass, config.training.formats);
    const MacDesign inherited = parse_mac(table, nullptr, &operands);
    if (pass == Pass::Forward) config.mac = inherited;
    const std::string_view key = to_string(pass);
    config.training.macs.set(
        pass, table.has(key) ? parse_mac(table.table(key), &inherited, &operands) : inherited);
  }
  const std::vector<std::string> layers = gemm_layers(config.network);
  for (const ConfigTable& layer : table.tables("layer")) read_layer(layer, layers, config);
}

std::string macs_to_toml(const RunConfig& config) {
  if (!config.mac) return "";
  const MacAssignment& macs = config.training.macs;
  std::string text = tables_of(*config.mac, "mac", "[mac]\n", false);
  for (const Pass pass : kPasses) {
    const std::string name = fmt::format("mac.{}", to_string(pass));
    text += "\n" + tables_of(*macs.find("", pass), name, fmt::format("[{}]\n", name), true);
  }
  for (const std::string& layer : gemm_layers(config.network)) {
    const auto entry = macs.layers().find(layer);
    if (entry == macs.layers().end()) continue;
    for (const Pass pass : kPasses) {
      if (!entry->second[static_cast<std::size_t>(pass)]) continue;
      const std::string heading =
          fmt::format("[[mac.layer]]\nname = \"{}\"\npass = \"{}\"\n", layer, to_string(pass));
      text += "\n" + tables_of(*macs.find(layer, pass), "mac.layer", heading, true);
    }
  }
  return text;
}

}  // namespace narrowmac
