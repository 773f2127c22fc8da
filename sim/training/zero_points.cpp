#include "sim/training/zero_points.h"

#include <algorithm>
#include <cstddef>

#include "sim/training/code_loops.h"
#include "sim/training/parallel.h"

namespace narrowmac {
namespace {

/// Columns of a task of image_sums(): their sums stay in the first cache.
constexpr std::int64_t kSummedColumns = 1024;

/// body(tap, output pixel, input pixel) for every pair that a tap joins.
template <typename Body>
void for_taps(const LayerWindow& window, const Body& body) {
  const auto first = [&](std::int64_t tap) {  // the first output whose input exists
    const std::int64_t missing = window.padding - tap;
    return missing <= 0 ? 0 : (missing + window.stride - 1) / window.stride;
  };
  const auto end = [&](std::int64_t tap, std::int64_t size, std::int64_t outputs) {
    const std::int64_t last = size - 1 + window.padding - tap;
    return last < 0 ? 0 : std::min(outputs, last / window.stride + 1);
  };
  for (std::int64_t i = 0; i < window.kernel; ++i) {
    const std::int64_t end_y = end(i, window.height, window.out_height);
    for (std::int64_t j = 0; j < window.kernel; ++j) {
      const std::int64_t begin_x = first(j), end_x = end(j, window.width, window.out_width);
      for (std::int64_t y = first(i); y < end_y; ++y) {
        const std::int64_t row = (y * window.stride + i - window.padding) * window.width;
        for (std::int64_t x = begin_x; x < end_x; ++x) {
          body(i * window.kernel + j, y * window.out_width + x,
               row + x * window.stride + j - window.padding);
        }
      }
    }
  }
}

/// table[pixel][channel] += tap_sums[tap][channel] for every tap of the pixel.
template <bool of_output>
std::vector<float> spread(const LayerWindow& window, const std::vector<double>& tap_sums,
                          std::int64_t pixels, std::int64_t channels) {
  std::vector<double> table(static_cast<std::size_t>(pixels * channels));
  for_taps(window, [&](std::int64_t tap, std::int64_t out_pixel, std::int64_t in_pixel) {
    const double* from = tap_sums.data() + tap * channels;
    double* to = table.data() + (of_output ? out_pixel : in_pixel) * channels;
    for (std::int64_t c = 0; c < channels; ++c) to[c] += from[c];
  });
  return {table.begin(), table.end()};
}

/// sums[tap][channel] += image[pixel][channel] for every pixel of the tap.
template <bool of_output>
std::vector<double> gather(const LayerWindow& window, const std::vector<double>& image,
                           std::int64_t channels) {
  std::vector<double> sums(static_cast<std::size_t>(window.taps() * channels));
  for_taps(window, [&](std::int64_t tap, std::int64_t out_pixel, std::int64_t in_pixel) {
    const double* from = image.data() + (of_output ? out_pixel : in_pixel) * channels;
    double* to = sums.data() + tap * channels;
    for (std::int64_t c = 0; c < channels; ++c) to[c] += from[c];
  });
  return sums;
}

}  // namespace

LayerWindow layer_window(const LayerShape& shape) {
  const FeatureShape& in = shape.inputs.front();
  LayerWindow window;
  if (shape.layer.kind == LayerDescription::Kind::Linear) {
    window.channels = in.channels;
    window.out_channels = shape.layer.channels;
    return window;
  }
  window.height = in.height;
  window.width = in.width;
  window.channels = in.channels;
  window.out_height = shape.output.height;
  window.out_width = shape.output.width;
  window.out_channels = shape.output.channels;
  window.kernel = shape.layer.kernel;
  window.stride = shape.layer.stride;
  window.padding = shape.layer.padding;
  return window;
}

void window_sums(const LayerWindow& window, const float* pixel_sums, float factor, float* sums) {
  std::fill(sums, sums + window.out_pixels(), 0.0F);
  for_taps(window, [&](std::int64_t, std::int64_t out_pixel, std::int64_t in_pixel) {
    sums[out_pixel] += pixel_sums[in_pixel];
  });
  for (std::int64_t i = 0; i < window.out_pixels(); ++i) sums[i] *= factor;
}

void reverse_window_sums(const LayerWindow& window, const float* out_pixel_sums, float factor,
                         float* sums) {
  std::fill(sums, sums + window.pixels(), 0.0F);
  for_taps(window, [&](std::int64_t, std::int64_t out_pixel, std::int64_t in_pixel) {
    sums[in_pixel] += out_pixel_sums[out_pixel];
  });
  for (std::int64_t i = 0; i < window.pixels(); ++i) sums[i] *= factor;
}

std::vector<float> forward_weight_sums(const LayerWindow& window, const float* weights,
                                       double zero) {
  const std::int64_t out = window.out_channels;
  std::vector<double> tap_sums(static_cast<std::size_t>(window.taps() * out));
  for (std::int64_t row = 0; row < window.taps() * window.channels; ++row) {
    double* to = tap_sums.data() + row / window.channels * out;
    const float* from = weights + row * out;
    for (std::int64_t o = 0; o < out; ++o) to[o] += static_cast<double>(from[o]) + zero;
  }
  return spread<true>(window, tap_sums, window.out_pixels(), out);
}

std::vector<float> backward_weight_sums(const LayerWindow& window, const float* weights,
                                        double zero) {
  const std::int64_t out = window.out_channels;
  std::vector<double> tap_sums(static_cast<std::size_t>(window.taps() * window.channels));
  for (std::size_t row = 0; row < tap_sums.size(); ++row) {
    const float* from = weights + static_cast<std::int64_t>(row) * out;
    double sum = 0;
    for (std::int64_t o = 0; o < out; ++o) sum += static_cast<double>(from[o]) + zero;
    tap_sums[row] = sum;
  }
  return spread<false>(window, tap_sums, window.pixels(), window.channels);
}

std::vector<double> image_sums(const float* codes, std::int64_t images, std::int64_t size) {
  std::vector<double> sums(static_cast<std::size_t>(size));
  for_blocks(size, kSummedColumns, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = 0; image < images; ++image) {
      loops::add_to_double(codes + image * size + begin, end - begin, sums.data() + begin);
    }
  });
  return sums;
}

std::vector<double> input_tap_sums(const LayerWindow& window, const std::vector<double>& sums) {
  return gather<false>(window, sums, window.channels);
}

std::vector<double> output_tap_sums(const LayerWindow& window, const std::vector<double>& sums) {
  return gather<true>(window, sums, window.out_channels);
}

std::vector<double> tap_counts(const LayerWindow& window) {
  std::vector<double> counts(static_cast<std::size_t>(window.taps()));
  for_taps(window, [&](std::int64_t tap, std::int64_t, std::int64_t) {
    counts[static_cast<std::size_t>(tap)] += 1;
  });
  return counts;
}

}  // namespace narrowmac
