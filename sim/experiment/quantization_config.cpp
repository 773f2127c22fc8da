#include "sim/experiment/quantization_config.h"

#include <fmt/format.h>

namespace narrowmac {
namespace {

const std::vector<std::string>& gradient_names() {
  static const std::vector<std::string> names = {"ptq", "psq", "bhq", "none"};
  return names;
}

int read_bits(const ConfigTable& table, std::string_view key, int fallback) {
  return static_cast<int>(table.integer_or(key, fallback, kMinCodeBits, kMaxCodeBits));
}

/// Codes are the formats of these tensors.
void refuse_formats(const ConfigTable& root) {
  if (!root.has("formats") || root.is_boolean("formats")) return;
  const ConfigTable formats = root.table("formats");
  for (const char* key :
       {"activation", "weight", "gradient", "weight_gradient", "weight_residual", "layer"}) {
    if (!formats.has(key)) continue;
    throw formats.error(key,
                        "found a format beside [quantization], which decides it; accepted: no "
                        "such key, formats = false, or quantization = false");
  }
}

void read_gradient(const ConfigTable& table, Quantization& quantization) {
  if (!quantization.gradient) {
    for (const char* key : {"gradient_bits", "weight_gradient_bits", "rounding"}) {
      if (!table.has(key)) continue;
      throw table.error(key,
                        "found beside gradient = \"none\", which leaves gradients in fp32; "
                        "accepted: no such key, or gradient = \"ptq\", \"psq\" or \"bhq\"");
    }
    return;
  }
  quantization.gradient_bits = read_bits(table, "gradient_bits", quantization.gradient_bits);
  quantization.weight_gradient_bits =
      read_bits(table, "weight_gradient_bits", quantization.weight_gradient_bits);
  if (!table.has("rounding")) return;
  // "nearest" is the short name that `narrowmac quantize` takes, too.
  const std::size_t rounding = table.choice("rounding", {"stochastic", "nearest-even", "nearest"});
  quantization.rounding = rounding == 0 ? CodeRounding::Stochastic : CodeRounding::NearestEven;
}

}  // namespace

std::optional<Quantization> read_quantization(const ConfigTable& root) {
  if (!root.has("quantization")) return std::nullopt;
  if (root.is_boolean("quantization")) {
    if (!root.boolean("quantization")) return std::nullopt;
    throw root.error("quantization", "found true; accepted: a table, or false for none");
  }
  refuse_formats(root);
  const ConfigTable table = root.table("quantization");
  Quantization quantization;
  quantization.activation_bits = read_bits(table, "activation_bits", quantization.activation_bits);
  quantization.weight_bits = read_bits(table, "weight_bits", quantization.weight_bits);
  const std::string& gradient = gradient_names()[table.choice("gradient", gradient_names())];
  if (gradient != "none") quantization.gradient = parse_gradient_scheme(gradient);
  read_gradient(table, quantization);
  return quantization;
}

std::string to_toml(const Quantization& quantization) {
  std::string text =
      fmt::format("[quantization]\nactivation_bits = {}\nweight_bits = {}\ngradient = \"{}\"\n",
                  quantization.activation_bits, quantization.weight_bits,
                  quantization.gradient ? to_string(*quantization.gradient) : "none");
  if (!quantization.gradient) return text;
  return text + fmt::format("gradient_bits = {}\nweight_gradient_bits = {}\nrounding = \"{}\"\n",
                            quantization.gradient_bits, quantization.weight_gradient_bits,
                            to_string(quantization.rounding));
}

bool goes_to_array(Pass pass, const TrainingSettings& training) {
  return pass == Pass::Forward || !training.quantization || training.quantization->gradient;
}

}  // namespace narrowmac
