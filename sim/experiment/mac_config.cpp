#include "sim/experiment/mac_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/experiment/quantization_config.h"

namespace narrowmac {
namespace {

constexpr std::string_view kFloatGradient =
    "found BWD or GRAD beside quantization.gradient = \"none\", which computes them in fp32; "
    "accepted: FWD only, or a gradient of \"ptq\", \"psq\" or \"bhq\"";

void read_layer(const ConfigTable& table, const std::vector<std::string>& layers, RunConfig& config,
                MantissaRules& rules) {
  const std::string name = table.string("name");
  if (std::find(layers.begin(), layers.end(), name) == layers.end()) {
    throw table.error("name",
                      fmt::format("found \"{}\"; accepted: the layers of {} with a GEMM: {}", name,
                                  config.network.name, fmt::join(layers, ", ")));
  }
  std::vector<Pass> passes(std::begin(kPasses), std::end(kPasses));
  if (table.has("pass")) {
    passes = {kPasses[table.choice("pass", {"FWD", "BWD", "GRAD"})]};
    if (!goes_to_array(passes.front(), config.training)) {
      throw table.error("pass", kFloatGradient);
    }
  }
  MacAssignment& macs = config.training.macs;
  for (const Pass pass : passes) {
    if (!goes_to_array(pass, config.training)) continue;
    const Operands operands = operands_of(pass, config.training.formats.of(name), config.training);
    macs.set(name, pass, parse_mac(table, macs.find(name, pass), &operands));
    rules.set(name, pass, MantissaRules::read(table, rules.find(name, pass)));
  }
}

/// Layers whose tensors have formats of their own have their pass's MAC with these operands.
void set_layer_operands(RunConfig& config) {
  MacAssignment& macs = config.training.macs;
  for (const auto& [name, formats] : config.training.formats.layers) {
    for (const Pass pass : kPasses) {
      const Operands operands = operands_of(pass, formats, config.training);
      macs.set_operands(name, pass, operands.a, operands.b);
    }
  }
}

/// After the layers' own MACs have been read: those of layers with formats of their own must make
/// sense, too.
void check_layer_operands(const ConfigTable& table, const RunConfig& config) {
  const MacAssignment& macs = config.training.macs;
  for (const auto& [name, formats] : config.training.formats.layers) {
    for (const Pass pass : kPasses) {
      try {
        validate(*macs.find(name, pass));
      } catch (const Error& failure) {
        throw table.error(fmt::format("layer {}, pass {} (formats.layer): {}", name,
                                      to_string(pass), failure.what()));
      }
    }
  }
}

/// What a table says of its order beside its own tables, so that it inherits none.
enum class OrderText : std::uint8_t {
  None,     ///< the outermost table
  NoChunk,  ///< `chunk = false` where there is none
  Named,    ///< `order = ...`: some table of the file has a dot or is exact
};

/// A design's tables without a and b, which a run file must not set, under any heading.
std::string tables_of(const MacDesign& mac, std::string_view name, std::string_view heading,
                      OrderText order) {
  const std::string text = to_toml(mac, name);
  std::string result(heading);
  std::size_t start = text.find('\n') + 1;
  bool first_table = true;
  while (start < text.size()) {
    const std::size_t end = text.find('\n', start);
    const std::string line = text.substr(start, end - start);
    start = end + 1;
    if (line.starts_with("[") && first_table) {
      first_table = false;
      if (order == OrderText::Named) {  // a blank line lies before a table
        result.insert(result.size() - 1, fmt::format("order = \"{}\"\n", to_string(mac.order())));
      }
    }
    if (first_table && (line.starts_with("a = ") || line.starts_with("b = "))) continue;
    if (line.starts_with("order = ") && order == OrderText::Named) continue;
    result += line + "\n";
  }
  if (order == OrderText::Named && first_table) {
    result += fmt::format("order = \"{}\"\n", to_string(mac.order()));
  }
  if (order == OrderText::NoChunk && !mac.chunk) result += "chunk = false\n";
  return result;
}

/// Files without dots and exact sums say `chunk = false`, as they did before there were other
/// orders: a run's name is a hash of this text.
OrderText order_text(const RunConfig& config) {
  const auto is_new = [](const MacDesign& mac) { return mac.dot || mac.exact; };
  const MacAssignment& macs = config.training.macs;
  bool any = is_new(*config.mac);
  for (const Pass pass : kPasses) {
    if (!goes_to_array(pass, config.training)) continue;
    any = any || is_new(*macs.find("", pass));
    for (const auto& [name, passes] : macs.layers()) any = any || is_new(*macs.find(name, pass));
  }
  return any ? OrderText::Named : OrderText::NoChunk;
}

}  // namespace

Operands operands_of(Pass pass, const LayerFormats& formats, const TrainingSettings& training) {
  NumberFormat activation = formats.activation.conversion.format;
  NumberFormat weight = formats.weight.conversion.format;
  NumberFormat gradient = formats.gradient.conversion.format;
  if (const std::optional<Quantization>& codes = training.quantization) {
    const auto unsigned_integer = [](int bits) {
      return NumberFormat::parse(fmt::format("uint{}", bits));
    };
    activation = unsigned_integer(codes->activation_bits);
    weight = unsigned_integer(codes->weight_bits);
    gradient = unsigned_integer(pass == Pass::Backward ? codes->gradient_bits
                                                       : codes->weight_gradient_bits);
  }
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

MantissaRules read_macs(const ConfigTable& table, RunConfig& config) {
  MantissaRules rules;
  const std::optional<MantissaRule> common = MantissaRules::read(table, std::nullopt);
  for (const Pass pass : kPasses) {
    const std::string_view key = to_string(pass);
    if (!goes_to_array(pass, config.training)) {
      if (table.has(key)) throw table.error(key, kFloatGradient);
      continue;
    }
    const Operands operands = operands_of(pass, config.training.formats, config.training);
    const MacDesign inherited = parse_mac(table, nullptr, &operands);
    if (pass == Pass::Forward) config.mac = inherited;
    config.training.macs.set(
        pass, table.has(key) ? parse_mac(table.table(key), &inherited, &operands) : inherited);
    rules.set(pass, table.has(key) ? MantissaRules::read(table.table(key), common) : common);
  }
  set_layer_operands(config);
  const std::vector<std::string> layers = gemm_layers(config.network);
  for (const ConfigTable& layer : table.tables("layer")) {
    read_layer(layer, layers, config, rules);
  }
  check_layer_operands(table, config);
  return rules;
}

std::string macs_to_toml(const RunConfig& config) {
  if (!config.mac) return "";
  const MacAssignment& macs = config.training.macs;
  const OrderText order = order_text(config);
  std::string text = tables_of(*config.mac, "mac", "[mac]\n", OrderText::None);
  for (const Pass pass : kPasses) {
    if (!goes_to_array(pass, config.training)) continue;
    const std::string name = fmt::format("mac.{}", to_string(pass));
    text += "\n" + tables_of(*macs.find("", pass), name, fmt::format("[{}]\n", name), order);
  }
  for (const std::string& layer : gemm_layers(config.network)) {
    const auto entry = macs.layers().find(layer);
    if (entry == macs.layers().end()) continue;
    for (const Pass pass : kPasses) {
      if (!entry->second[static_cast<std::size_t>(pass)]) continue;
      const std::string heading =
          fmt::format("[[mac.layer]]\nname = \"{}\"\npass = \"{}\"\n", layer, to_string(pass));
      text += "\n" + tables_of(*macs.find(layer, pass), "mac.layer", heading, order);
    }
  }
  return text;
}

}  // namespace narrowmac
