#include "sim/experiment/assigned_formats.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/design/error.h"

namespace narrowmac {
namespace {

TensorFormat fixed_format(const NumberFormat& format) {
  TensorFormat tensor;
  tensor.conversion.format = format;
  tensor.conversion.rounding.mode = RoundingMode::NearestAway;
  tensor.conversion.overflow = Overflow::Saturate;
  tensor.scaling = Scaling::None;
  return tensor;
}

NumberFormat fixed_point(NumberFormat::Family family, int width, int fraction) {
  NumberFormat format;
  format.family = family;
  format.exponent_bits = 0;
  format.width = width;
  format.fraction_bits = fraction;
  return format;
}

TensorFormat signed_tensor(const FixedPoint& tensor) {
  return fixed_format(fixed_point(NumberFormat::Family::Signed, std::max(kLeastSigned, tensor.bits),
                                  -std::ilogb(tensor.step)));
}

/// Throws Error that names layer and tensor for a format that there is not.
void check_formats(const std::string& layer, const LayerFormats& formats) {
  const auto check = [&](const char* tensor, const TensorFormat& format) {
    const NumberFormat& number = format.conversion.format;
    try {
      NumberFormat::parse(number.to_string());
    } catch (const Error& error) {
      throw Error(fmt::format("layer \"{}\": {}: {}", layer, tensor, error.what()));
    }
    if (fits_tensor(number)) return;
    throw Error(fmt::format("layer \"{}\": {}: found {}; accepted: unit and range within fp32's",
                            layer, tensor, number.to_string()));
  };
  check("activation", formats.activation);
  check("weight", formats.weight);
  check("activation gradient", formats.gradient);
  check("weight gradient", formats.weight_gradient);
  check("weight residual", *formats.weight_residual);
  if (formats.weight.conversion.format.width <= kWidestResidual) return;
  throw Error(
      fmt::format("layer \"{}\": weight: found {} bits; accepted: at most {} beside a "
                  "residual",
                  layer, formats.weight.conversion.format.width, kWidestResidual));
}

}  // namespace

NumberFormat image_format(const Normalisation& normalisation) {
  double lowest = 0, highest = 0;
  double level = std::numeric_limits<double>::infinity();  // between neighbouring pixels
  const std::size_t channels =
      std::max({std::size_t{1}, normalisation.mean.size(), normalisation.deviation.size()});
  const auto channel = [](const std::vector<double>& values, std::size_t c, double fallback) {
    return values.empty() ? fallback : values[std::min(c, values.size() - 1)];
  };
  for (std::size_t c = 0; c < channels; ++c) {
    for (const double pixel : {0.0, 255.0}) {
      const double value = (pixel * normalisation.scale - channel(normalisation.mean, c, 0)) /
                           channel(normalisation.deviation, c, 1);
      level =
          std::min(level, std::abs(normalisation.scale / channel(normalisation.deviation, c, 1)));
      lowest = std::min(lowest, value);
      highest = std::max(highest, value);
    }
  }
  const int range = std::ilogb(std::max(highest, -lowest)) + 1;
  const int fraction = -std::ilogb(level);
  return lowest < 0 ? fixed_point(NumberFormat::Family::Signed, range + fraction + 1, fraction)
                    : fixed_point(NumberFormat::Family::Unsigned, range + fraction, fraction);
}

LayerFormats layer_formats(const LayerAssignment& layer, const NumberFormat& image) {
  LayerFormats formats;
  formats.activation = fixed_format(
      layer.activation ? fixed_point(NumberFormat::Family::Unsigned, layer.activation->bits,
                                     -std::ilogb(layer.activation->step))
                       : image);
  formats.weight = signed_tensor(layer.weight);
  if (layer.activation_gradient) formats.gradient = signed_tensor(*layer.activation_gradient);
  formats.weight_gradient = signed_tensor(layer.weight_gradient);
  // Also where no update is below the weight's last bit: a residual says that this is how weights
  // are stored.
  formats.weight_residual = signed_tensor(layer.weight_residual);
  NumberFormat& residual = formats.weight_residual->conversion.format;
  const int excess = std::max(0, residual.width - kWidestResidual);
  residual.width -= excess;
  residual.fraction_bits -= excess;
  check_formats(layer.name, formats);
  return formats;
}

}  // namespace narrowmac
