#include "sim/accelerators/patch_panel.h"

#include <algorithm>

namespace narrowmac {
namespace {

/// Position in the tensor of a kernel tap, or -1 for an inserted zero.
std::int64_t source(std::int64_t numerator, std::int64_t divisor, std::int64_t size) {
  if (numerator < 0) return -1;
  if (divisor == 1) return numerator < size ? numerator : -1;
  if (numerator % divisor != 0) return -1;
  const std::int64_t position = numerator / divisor;
  return position < size ? position : -1;
}

/// Runs are short (a few channels): a loop beats a library call.
void copy_run(const float* from, std::int64_t count, float* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
}

/// Taps of one kernel row, tensor elements side by side: one run with zeros around it.
void pack_contiguous(const float* line, const ConvolutionPatches& patches, std::int64_t x,
                     float* to) {
  const std::int64_t begin = std::clamp<std::int64_t>(-x, 0, patches.kernel_width);
  const std::int64_t end = std::clamp<std::int64_t>(patches.width - x, begin, patches.kernel_width);
  const std::int64_t channels = patches.channels;
  std::fill(to, to + begin * channels, 0.0F);
  if (end > begin)
    copy_run(line + (x + begin) * channels, (end - begin) * channels, to + begin * channels);
  std::fill(to + end * channels, to + patches.kernel_width * channels, 0.0F);
}

void pack_taps(const float* line, const ConvolutionPatches& patches, std::int64_t x, float* to) {
  for (std::int64_t tap = 0; tap < patches.kernel_width; ++tap, to += patches.channels) {
    const std::int64_t sx = source(x + patches.direction * tap, patches.divisor, patches.width);
    if (sx < 0) {
      std::fill(to, to + patches.channels, 0.0F);
    } else {
      copy_run(line + sx * patches.channels, patches.channels, to);
    }
  }
}

}  // namespace

void pack_patch_rows(const float* tensor, const ConvolutionPatches& patches, std::int64_t first,
                     std::int64_t count, float* panel) {
  const std::int64_t line_size = patches.width * patches.channels;
  const std::int64_t run = patches.kernel_width * patches.channels;
  const bool contiguous = patches.direction == 1 && patches.divisor == 1;
  std::int64_t x = first % patches.out_width;
  std::int64_t y = first / patches.out_width % patches.out_height;
  std::int64_t image = first / (patches.out_width * patches.out_height);
  for (std::int64_t row = 0; row < count; ++row) {
    const std::int64_t left = x * patches.step + patches.offset_x;
    for (std::int64_t tap = 0; tap < patches.kernel_height; ++tap, panel += run) {
      const std::int64_t sy = source(y * patches.step + patches.offset_y + patches.direction * tap,
                                     patches.divisor, patches.height);
      const float* line = tensor + (image * patches.height + sy) * line_size;
      if (sy < 0) {
        std::fill(panel, panel + run, 0.0F);
      } else if (contiguous) {
        pack_contiguous(line, patches, left, panel);
      } else {
        pack_taps(line, patches, left, panel);
      }
    }
    if (++x < patches.out_width) continue;
    x = 0;
    if (++y < patches.out_height) continue;
    y = 0;
    ++image;
  }
}

}  // namespace narrowmac
