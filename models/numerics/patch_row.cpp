#include "models/numerics/patch_row.h"

#include <algorithm>

namespace narrowmac {
namespace {

/// The tensor's coordinate, or -1 for an inserted zero.
std::int64_t coordinate(std::int64_t numerator, std::int64_t divisor, std::int64_t size) {
  if (numerator < 0 || numerator % divisor != 0 || numerator / divisor >= size) return -1;
  return numerator / divisor;
}

}  // namespace

void copy_patch_row(const ConvolutionPatches& c, const float* tensor, std::int64_t row,
                    float* out) {
  const std::int64_t x = row % c.out_width * c.step + c.offset_x;
  const std::int64_t y = row / c.out_width % c.out_height * c.step + c.offset_y;
  const std::int64_t image = row / (c.out_width * c.out_height);
  const std::int64_t line = c.kernel_width * c.channels;
  for (std::int64_t kernel_row = 0; kernel_row < c.kernel_height; ++kernel_row, out += line) {
    const std::int64_t sy = coordinate(y + c.direction * kernel_row, c.divisor, c.height);
    if (sy < 0) {
      std::fill_n(out, line, 0.0F);
      continue;
    }
    const float* in = tensor + (image * c.height + sy) * c.width * c.channels;
    if (c.direction == 1 && c.divisor == 1) {
      if (x >= 0 && x + c.kernel_width <= c.width) {
        const float* pixels = in + x * c.channels;
        for (std::int64_t i = 0; i < line; ++i) out[i] = pixels[i];
        continue;
      }
      const std::int64_t first = std::clamp<std::int64_t>(-x, 0, c.kernel_width);
      const std::int64_t last = std::clamp<std::int64_t>(c.width - x, first, c.kernel_width);
      std::fill_n(out, first * c.channels, 0.0F);
      std::copy(in + (x + first) * c.channels, in + (x + last) * c.channels,
                out + first * c.channels);
      std::fill(out + last * c.channels, out + line, 0.0F);
      continue;
    }
    for (std::int64_t kernel_column = 0; kernel_column < c.kernel_width; ++kernel_column) {
      const std::int64_t sx = coordinate(x + c.direction * kernel_column, c.divisor, c.width);
      float* pixel = out + kernel_column * c.channels;
      if (sx < 0) {
        std::fill_n(pixel, c.channels, 0.0F);
      } else {
        std::copy_n(in + sx * c.channels, c.channels, pixel);
      }
    }
  }
}

}  // namespace narrowmac
