#include "sim/experiment/mantissa_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "models/theory/mac_theory.h"

namespace narrowmac {
namespace {

constexpr int kWidest = 23;
constexpr std::string_view kPredicted = "predicted";

/// "predicted", "predicted+1", "predicted-2".
std::optional<MantissaRule> parse_rule(std::string_view text) {
  if (!text.starts_with(kPredicted)) return std::nullopt;
  MantissaRule rule{true, 0};
  text.remove_prefix(kPredicted.size());
  if (text.empty()) return rule;
  const bool is_signed = text.size() > 1 && (text[0] == '+' || text[0] == '-');
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + 1, end, rule.bits);
  if (!is_signed || parsed.ec != std::errc() || parsed.ptr != end || rule.bits < 0 ||
      rule.bits > kWidest) {
    return std::nullopt;
  }
  if (text[0] == '-') rule.bits = -rule.bits;
  return rule;
}

void set_mantissa(MacDesign& mac, int bits) {
  const int width = std::clamp(bits, 1, kWidest);
  const auto narrow = [width](NumberFormat& format) {
    format.width += width - format.fraction_bits;
    format.fraction_bits = width;
  };
  narrow(mac.accumulator.format);
  if (mac.chunk) narrow(mac.chunk->accumulator.format);
}

/// The mantissa that a rule means for a GEMM's sums.
int mantissa_of(const MantissaRule& rule, const MacDesign& mac, const ArrayDesign& array,
                const std::string& layer, const GemmShape& shape) {
  const auto is_plain = [](const Conversion& accumulator) {
    return accumulator.format.family == NumberFormat::Family::Float;
  };
  const bool has_mantissas =
      is_plain(mac.accumulator) && (!mac.chunk || is_plain(mac.chunk->accumulator));
  const std::optional<int> predicted =
      has_mantissas ? predicted_mantissa(mac, accumulation_order(mac, array), shape.k, 1)
                    : std::nullopt;
  if (!has_mantissas || (rule.predicted && !predicted)) {
    throw Error(
        fmt::format("mac.accumulator_mantissa: layer {} has the MAC {}; accepted: "
                    "accumulators eXmY{}",
                    layer, describe(mac), rule.predicted ? ", sequential or in chunks" : ""));
  }
  return rule.predicted ? *predicted + rule.bits : rule.bits;
}

}  // namespace

std::optional<MantissaRule> MantissaRules::read(const ConfigTable& table,
                                                const std::optional<MantissaRule>& inherited) {
  constexpr const char* kKey = "accumulator_mantissa";
  if (!table.has(kKey)) return table.has("accumulator") ? std::nullopt : inherited;
  if (!table.is_string(kKey)) {
    return MantissaRule{false, static_cast<int>(table.integer(kKey, 1, kWidest))};
  }
  const std::string text = table.string(kKey);
  const std::optional<MantissaRule> rule = parse_rule(text);
  if (!rule) {
    throw table.error(kKey, fmt::format("found \"{}\"; accepted: 1..{}, or \"predicted\", "
                                        "\"predicted+1\", \"predicted-2\", ...",
                                        text, kWidest));
  }
  return rule;
}

const std::optional<MantissaRule>& MantissaRules::find(const std::string& layer, Pass pass) const {
  const auto found = layers_.find({layer, pass});
  return found != layers_.end() ? found->second : passes_[static_cast<std::size_t>(pass)];
}

bool MantissaRules::empty() const {
  const auto is_set = [](const auto& rule) { return rule.has_value(); };
  return std::none_of(passes_.begin(), passes_.end(), is_set) &&
         std::none_of(layers_.begin(), layers_.end(),
                      [&](const auto& entry) { return is_set(entry.second); });
}

void MantissaRules::apply(const std::vector<LayerShape>& layers, std::int64_t batch,
                          RunConfig& config) const {
  MacAssignment& macs = config.training.macs;
  for (const LayerShape& layer : layers) {
    if (!layer.has_gemm()) continue;
    for (const Pass pass : kPasses) {
      const std::string& name = layer.layer.name;
      const std::optional<MantissaRule>& rule = find(name, pass);
      if (!rule) continue;
      MacDesign mac = *macs.find(name, pass);
      set_mantissa(mac,
                   mantissa_of(*rule, mac, config.array, name, gemm_shape(layer, pass, batch)));
      validate(mac);
      macs.set(name, pass, mac);
    }
  }
}

}  // namespace narrowmac
