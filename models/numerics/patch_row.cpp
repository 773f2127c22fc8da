#include "models/numerics/patch_row.h"

#include <algorithm>

namespace narrowmac {
namespace {

/// The tensor's coordinate, or -1 for an inserted zero.
std::int64_t coordinate(std::int64_t numerator, std::int64_t divisor, std::int64_t size) {
  if (divisor == 1) return numerator < size ? std::max<std::int64_t>(numerator, -1) : -1;
  if (numerator < 0 || numerator % divisor != 0 || numerator / divisor >= size) return -1;
  return numerator / divisor;
}

/// The position of a row: its image and the pixel that kernel tap (0, 0) meets.
struct Position {
  std::int64_t image, y, x;
};

/// One kernel row of a patch that is read forwards, without gaps.
void copy_line(const ConvolutionPatches& c, const float* in, std::int64_t x, float* out) {
  const std::int64_t line = c.kernel_width * c.channels;
  if (x >= 0 && x + c.kernel_width <= c.width) {
    const float* pixels = in + x * c.channels;
    for (std::int64_t i = 0; i < line; ++i) out[i] = pixels[i];
    return;
  }
  const std::int64_t first = std::clamp<std::int64_t>(-x, 0, c.kernel_width);
  const std::int64_t last = std::clamp<std::int64_t>(c.width - x, first, c.kernel_width);
  std::fill_n(out, first * c.channels, 0.0F);
  std::copy_n(in + (x + first) * c.channels, (last - first) * c.channels, out + first * c.channels);
  std::fill(out + last * c.channels, out + line, 0.0F);
}

void copy_row(const ConvolutionPatches& c, const float* tensor, const Position& at, float* out) {
  const std::int64_t line = c.kernel_width * c.channels;
  for (std::int64_t kernel_row = 0; kernel_row < c.kernel_height; ++kernel_row, out += line) {
    const std::int64_t sy = coordinate(at.y + c.direction * kernel_row, c.divisor, c.height);
    if (sy < 0) {
      std::fill_n(out, line, 0.0F);
      continue;
    }
    const float* in = tensor + (at.image * c.height + sy) * c.width * c.channels;
    if (c.direction == 1 && c.divisor == 1) {
      copy_line(c, in, at.x, out);
      continue;
    }
    for (std::int64_t kernel_column = 0; kernel_column < c.kernel_width; ++kernel_column) {
      const std::int64_t sx = coordinate(at.x + c.direction * kernel_column, c.divisor, c.width);
      float* pixel = out + kernel_column * c.channels;
      if (sx < 0) {
        std::fill_n(pixel, c.channels, 0.0F);
      } else {
        std::copy_n(in + sx * c.channels, c.channels, pixel);
      }
    }
  }
}

}  // namespace

void copy_patch_rows(const ConvolutionPatches& c, const float* tensor, std::int64_t first,
                     std::int64_t count, float* out) {
  std::int64_t x = first % c.out_width;
  std::int64_t y = first / c.out_width % c.out_height;
  std::int64_t image = first / (c.out_width * c.out_height);
  for (std::int64_t row = 0; row < count; ++row, out += c.columns()) {
    copy_row(c, tensor, {image, y * c.step + c.offset_y, x * c.step + c.offset_x}, out);
    if (++x < c.out_width) continue;
    x = 0;
    if (++y < c.out_height) continue;
    y = 0;
    ++image;
  }
}

}  // namespace narrowmac
