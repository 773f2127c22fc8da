#include "models/theory/assignment.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/design/error.h"

namespace narrowmac {

namespace {

// Ranges and steps are powers of two, so the rules are computed with exponents: exactly.

int floor_log2(double x) { return std::ilogb(x); }

int ceil_log2(double x) {
  const int floor = std::ilogb(x);
  return std::ldexp(1.0, floor) == x ? floor : floor + 1;
}

/// round(log2 sqrt(gain / least)), ties away from zero; exact where the ratio is a power of two.
int bits_above(double gain, double least) {
  int gain_exponent = 0;
  int least_exponent = 0;
  const double ratio = std::frexp(gain, &gain_exponent) / std::frexp(least, &least_exponent);
  return static_cast<int>(std::round((gain_exponent - least_exponent + std::log2(ratio)) / 2));
}

FixedPoint from_exponents(int range, int step) {
  return {range - step + 1, std::ldexp(1.0, range), std::ldexp(1.0, step)};
}

void check_number(const std::string& where, const char* key, double value,
                  const char* explanation_of_zero) {
  // Products and quotients of such numbers stay far from double's ends, and so do ranges and steps.
  constexpr double kLargest = 1e100;
  if (value >= 1 / kLargest && value <= kLargest) return;
  throw Error(fmt::format("{}: {}: found {}; accepted: a number above 0, from {} to {}{}", where,
                          key, value, 1 / kLargest, kLargest,
                          value == 0 ? explanation_of_zero : ""));
}

constexpr const char* kDead =
    "; 0 says that the layer is dead: no signal or no gradient came through it";

void check(const TrainingStatistics& statistics, int minimum_bits) {
  if (minimum_bits < 1 || minimum_bits > kMaxMinimumBits) {
    throw Error(fmt::format("found a minimum of {} bits; accepted: 1 to {}", minimum_bits,
                            kMaxMinimumBits));
  }
  if (statistics.layers.empty()) throw Error("layers: found none; accepted: at least one");
  check_number("statistics", "learning_rate_min", statistics.learning_rate_min,
               "; without steps of a rate above 0 nothing is learned");
  for (const LayerStatistics& layer : statistics.layers) {
    const std::string where = fmt::format("layer \"{}\"", layer.name);
    const auto check_optional = [&](const char* key, const std::optional<double>& value) {
      if (value) check_number(where, key, *value, kDead);
    };
    check_optional("activation_noise_gain", layer.activation_noise_gain);
    check_number(where, "weight_noise_gain", layer.weight_noise_gain, kDead);
    check_number(where, "weight_gradient_std_min", layer.weight_gradient_std_min, kDead);
    check_number(where, "weight_gradient_std_max", layer.weight_gradient_std_max, kDead);
    check_optional("activation_gradient_std_max", layer.activation_gradient_std_max);
    check_optional("lambda_max", layer.lambda_max);
    if (layer.weight_gradient_std_min > layer.weight_gradient_std_max) {
      throw Error(fmt::format(
          "{}: weight_gradient_std_min: found {}; accepted: at most weight_gradient_std_max, {}",
          where, layer.weight_gradient_std_min, layer.weight_gradient_std_max));
    }
  }
}

/// Over all weights and activations.
double least_noise_gain(const std::vector<LayerStatistics>& layers) {
  double least = layers.front().weight_noise_gain;
  for (const LayerStatistics& layer : layers) {
    least = std::min(least, layer.weight_noise_gain);
    if (layer.activation_noise_gain) least = std::min(least, *layer.activation_noise_gain);
  }
  return least;
}

/// Rules 2 and 4: range 2^ceil(log2 4 sigma), step 2^floor(log2(D_GW / sqrt(lambda))).
FixedPoint activation_gradient(double deviation, double lambda, int weight_gradient_step) {
  const int range = ceil_log2(deviation) + 2;
  const int square = ceil_log2(lambda);  // floor(-log2(lambda) / 2) = -ceil(ceil(log2 lambda) / 2)
  const int half = square > 0 ? (square + 1) / 2 : square / 2;
  const int step = weight_gradient_step - half;
  // A signed number has a sign and a magnitude bit at least; a finer step is always safe.
  return from_exponents(range, std::min(step, range - 1));
}

LayerAssignment assign_layer(const LayerStatistics& layer, double least_gain,
                             double learning_rate_min, int minimum_bits) {
  LayerAssignment result;
  result.name = layer.name;
  if (layer.activation_noise_gain) {
    const int bits = bits_above(*layer.activation_noise_gain, least_gain) + minimum_bits;
    result.activation = FixedPoint{bits, 2.0, std::ldexp(1.0, 1 - bits)};
  }
  const int weight_bits = bits_above(layer.weight_noise_gain, least_gain) + minimum_bits;
  result.weight = {weight_bits, 1.0, std::ldexp(1.0, 1 - weight_bits)};

  const int gradient_step = floor_log2(layer.weight_gradient_std_min) - 2;
  result.weight_gradient =
      from_exponents(ceil_log2(layer.weight_gradient_std_max) + 1, gradient_step);
  if (layer.activation_gradient_std_max && layer.lambda_max) {
    result.activation_gradient =
        activation_gradient(*layer.activation_gradient_std_max, *layer.lambda_max, gradient_step);
  }
  // lr D_GW is exact as a product with a power of two, so are its logarithm's bounds.
  result.weight_residual =
      from_exponents(-weight_bits, floor_log2(learning_rate_min) + gradient_step);
  result.weight_residual.bits = std::max(result.weight_residual.bits, 0);
  return result;
}

}  // namespace

std::vector<LayerAssignment> assign_precision(const TrainingStatistics& statistics,
                                              int minimum_bits) {
  check(statistics, minimum_bits);
  const double least_gain = least_noise_gain(statistics.layers);
  std::vector<LayerAssignment> assignment;
  for (const LayerStatistics& layer : statistics.layers) {
    assignment.push_back(
        assign_layer(layer, least_gain, statistics.learning_rate_min, minimum_bits));
  }
  return assignment;
}

}  // namespace narrowmac
