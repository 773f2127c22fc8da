#include "sim/training/batches.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include "models/design/error.h"
#include "sim/training/vector_loops.h"

namespace narrowmac {

namespace {

using PixelTable = std::array<float, 256>;

void check(const Dataset& set, const Normalisation& normalisation) {
  const auto check_size = [&set](std::string_view key, std::size_t size) {
    if (size != 0 && size != static_cast<std::size_t>(set.shape.channels)) {
      throw Error(
          fmt::format("normalisation.{}: {} values found; accepted: none, or one for each "
                      "of the {} channels of {}",
                      key, size, set.shape.channels, set.name));
    }
  };
  check_size("mean", normalisation.mean.size());
  check_size("deviation", normalisation.deviation.size());
  for (const double deviation : normalisation.deviation) {
    if (!(deviation > 0) || !std::isfinite(deviation)) {
      throw Error(
          fmt::format("normalisation.deviation: {} found; accepted: positive numbers", deviation));
    }
  }
}

PixelTable table_of(const Normalisation& normalisation, std::size_t channel) {
  const double mean = normalisation.mean.empty() ? 0.0 : normalisation.mean[channel];
  const double deviation = normalisation.deviation.empty() ? 1.0 : normalisation.deviation[channel];
  PixelTable table{};
  for (std::size_t pixel = 0; pixel < table.size(); ++pixel) {
    table[pixel] =
        static_cast<float>((static_cast<double>(pixel) * normalisation.scale - mean) / deviation);
  }
  return table;
}

/// A pixel times a power of two (in float's normal range) is exact in float: the product is the
/// table's entry.
bool is_exact_product(const Normalisation& normalisation) {
  int exponent = 0;
  return normalisation.mean.empty() && normalisation.deviation.empty() &&
         std::abs(std::frexp(normalisation.scale, &exponent)) == 0.5 && exponent > -100 &&
         exponent < 100;
}

void load_table(const std::uint8_t* pixels, std::size_t count,
                const std::vector<PixelTable>& tables, float* out) {
  const std::size_t channels = tables.size();
  for (std::size_t i = 0; i < count; i += channels) {
    for (std::size_t channel = 0; channel < channels; ++channel) {
      out[i + channel] = tables[channel][pixels[i + channel]];
    }
  }
}

}  // namespace

void load_batch(const Dataset& set, std::span<const std::int64_t> indices,
                const Normalisation& normalisation, float* out) {
  check(set, normalisation);
  const auto size = static_cast<std::size_t>(set.shape.size());
  const bool exact = is_exact_product(normalisation);
  std::vector<PixelTable> tables;
  for (std::size_t channel = 0; !exact && channel < static_cast<std::size_t>(set.shape.channels);
       ++channel) {
    tables.push_back(table_of(normalisation, channel));
  }
  for (const std::int64_t index : indices) {
    if (index < 0 || index >= set.size()) {
      throw Error(
          fmt::format("image {} of {} wanted; accepted: 0 to {}", index, set.name, set.size() - 1));
    }
    const std::uint8_t* pixels = set.pixels.data() + static_cast<std::size_t>(index) * size;
    if (exact) {
      loops::scale_pixels(pixels, static_cast<std::int64_t>(size),
                          static_cast<float>(normalisation.scale), out);
    } else {
      load_table(pixels, size, tables, out);
    }
    out += size;
  }
}

}  // namespace narrowmac
