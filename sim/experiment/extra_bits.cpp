#include "sim/experiment/extra_bits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kMost = 32;
constexpr const char* kAccumulatorBits = "accumulator_extra_bits";

/// A format with bits added at its lower end. Throws Error if no such format exists.
NumberFormat with_extra_bits(NumberFormat format, std::int64_t bits) {
  format.width += static_cast<int>(bits);
  format.fraction_bits += static_cast<int>(bits);
  const NumberFormat::Family family = format.family;
  const int least = format.is_float() ? format.width - format.fraction_bits + 1
                    : family == NumberFormat::Family::Signed ? 2
                                                             : 1;
  if (format.width < least) {
    throw Error(
        fmt::format("found a format of {} bits; accepted: at least {}", format.width, least));
  }
  return NumberFormat::parse(format.to_string());
}

struct TensorClass {
  std::string_view key;
  TensorFormat LayerFormats::*format;
};
constexpr std::array kClasses = {TensorClass{"activation", &LayerFormats::activation},
                                 TensorClass{"weight", &LayerFormats::weight},
                                 TensorClass{"gradient", &LayerFormats::gradient},
                                 TensorClass{"weight_gradient", &LayerFormats::weight_gradient}};

/// Whether a layer's input is the image, or what is only a view or a pooling of it.
bool reads_image(const NetworkDescription& network, const std::string& name) {
  const LayerDescription* layer = find_layer(network, name);
  return layer != nullptr && source_of_input(network, *layer) == nullptr;
}

/// Gives the layers that read the image formats of their own, so that it can be left as it is.
void separate_image(RunConfig& config) {
  Formats& formats = config.training.formats;
  for (const std::string& layer : gemm_layers(config.network)) {
    if (reads_image(config.network, layer)) formats.layers.emplace(layer, formats.of(layer));
  }
}

/// Every layer's formats, the base first.
std::vector<std::pair<std::string, LayerFormats*>> all_formats(Formats& formats) {
  std::vector<std::pair<std::string, LayerFormats*>> all = {{"", &formats}};
  for (auto& [name, own] : formats.layers) all.emplace_back(name, &own);
  return all;
}

/// Whether a format changed.
bool add_bits(const ConfigTable& table, std::string_view key, const std::string& layer,
              std::int64_t bits, TensorFormat& format) {
  if (!format.conversion.format.is_fixed()) return false;
  try {
    format.conversion.format = with_extra_bits(format.conversion.format, bits);
  } catch (const Error& error) {
    throw table.error(
        key, fmt::format("{}: {}", layer.empty() ? "[formats]" : "layer " + layer, error.what()));
  }
  return true;
}

/// A residual has a sign and a bit at least, whatever its range; its unit is what matters.
void widen_residual(TensorFormat& residual, int at_the_top, int at_the_bottom) {
  NumberFormat& format = residual.conversion.format;
  format.fraction_bits += at_the_bottom;
  format.width = std::max(2, format.width + at_the_top + at_the_bottom);
}

void widen(MacDesign& mac, std::int64_t bits) {
  if (mac.chunk) {
    mac.chunk->accumulator.format = with_extra_bits(mac.chunk->accumulator.format, bits);
  }
  mac.accumulator.format = with_extra_bits(mac.accumulator.format, bits);
  validate(mac);
}

}  // namespace

void apply_extra_format_bits(const ConfigTable& formats, RunConfig& config) {
  if (!formats.has("extra_bits")) return;
  const ConfigTable table = formats.table("extra_bits");
  separate_image(config);
  const auto all = all_formats(config.training.formats);
  for (const TensorClass& tensors : kClasses) {
    const std::int64_t bits = table.integer_or(tensors.key, 0, -kMost, kMost);
    if (bits == 0) continue;
    bool found = false;
    for (const auto& [name, own] : all) {
      const bool image = tensors.key == "activation" && reads_image(config.network, name);
      if (image || !add_bits(table, tensors.key, name, bits, own->*tensors.format)) continue;
      if (tensors.key == "weight" && own->weight_residual) {
        widen_residual(*own->weight_residual, -static_cast<int>(bits), 0);
      }
      found = true;
    }
    if (!found) {
      throw table.error(tensors.key,
                        "found no fixed-point format of such tensors; accepted: fxW.F "
                        "or ufxW.F in [formats] or [[formats.layer]]");
    }
  }
  const std::int64_t residual = table.integer_or("weight_residual", 0, -kMost, kMost);
  if (residual == 0) return;
  bool found = false;
  for (const auto& [name, own] : all) {
    if (!own->weight_residual) continue;
    widen_residual(*own->weight_residual, 0, static_cast<int>(residual));
    found = true;
  }
  if (!found)
    throw table.error("weight_residual",
                      "found no weight_residual in [formats] or [[formats.layer]]; accepted: a "
                      "fixed-point one in either");
}

void apply_extra_accumulator_bits(const ConfigTable& table, RunConfig& config) {
  const std::int64_t common = table.integer_or(kAccumulatorBits, 0, -kMost, kMost);
  MacAssignment& macs = config.training.macs;
  for (const Pass pass : kPasses) {
    const std::string_view key = to_string(pass);
    const bool own = table.has(key) && table.table(key).has(kAccumulatorBits);
    const std::int64_t bits =
        own ? table.table(key).integer(kAccumulatorBits, -kMost, kMost) : common;
    if (bits == 0 || macs.find("", pass) == nullptr) continue;
    try {
      MacDesign mac = *macs.find("", pass);
      widen(mac, bits);
      if (pass == Pass::Forward && common != 0) widen(*config.mac, common);
      macs.set(pass, mac);
      for (const auto& [layer, passes] : macs.layers()) {
        if (!passes[static_cast<std::size_t>(pass)]) continue;
        MacDesign layer_mac = *passes[static_cast<std::size_t>(pass)];
        widen(layer_mac, bits);
        macs.set(layer, pass, layer_mac);
      }
    } catch (const Error& error) {
      throw(own ? table.table(key) : table).error(kAccumulatorBits, error.what());
    }
  }
}

}  // namespace narrowmac
