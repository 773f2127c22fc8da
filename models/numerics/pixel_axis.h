#pragma once

#include <algorithm>
#include <cstdint>

#include "models/numerics/operand_view.h"

namespace narrowmac {

/// One axis of a convolution, seen from the tensor: pixel p and kernel tap t meet in output
///   y = (p * divisor - offset - direction * t) / step
/// if that is an integer. With p * divisor - offset = step * place + residue, pixels of one residue
/// meet the same taps, at y = place + shift(t). y may lie outside the output: the axis has margins.
struct PixelAxis {
  std::int64_t size, out, kernel, step, offset, direction, divisor;
  std::int64_t low, extent;  ///< y runs from low to low + extent - 1

  static PixelAxis vertical(const ConvolutionPatches& c) {
    return PixelAxis(c.height, c.out_height, c.kernel_height, c.offset_y, c);
  }
  static PixelAxis horizontal(const ConvolutionPatches& c) {
    return PixelAxis(c.width, c.out_width, c.kernel_width, c.offset_x, c);
  }
  [[nodiscard]] std::int64_t residue(std::int64_t pixel) const {
    return modulo(pixel * divisor - offset);
  }
  [[nodiscard]] std::int64_t place(std::int64_t pixel) const {
    return (pixel * divisor - offset - residue(pixel)) / step;
  }
  /// The residue of the pixels that a tap meets.
  [[nodiscard]] std::int64_t tap_residue(std::int64_t tap) const { return modulo(direction * tap); }
  [[nodiscard]] std::int64_t shift(std::int64_t tap) const {
    return (tap_residue(tap) - direction * tap) / step;
  }

 private:
  PixelAxis(std::int64_t pixels, std::int64_t outputs, std::int64_t taps, std::int64_t origin,
            const ConvolutionPatches& c)
      : size(pixels),
        out(outputs),
        kernel(taps),
        step(c.step),
        offset(origin),
        direction(c.direction),
        divisor(c.divisor),
        low(0),
        extent(0) {
    std::int64_t first_shift = shift(0);
    std::int64_t last_shift = first_shift;
    for (std::int64_t t = 1; t < kernel; ++t) {
      first_shift = std::min(first_shift, shift(t));
      last_shift = std::max(last_shift, shift(t));
    }
    low = std::min<std::int64_t>(0, place(0) + first_shift);
    extent = std::max(out - 1, place(size - 1) + last_shift) - low + 1;
  }
  [[nodiscard]] std::int64_t modulo(std::int64_t value) const {
    return ((value % step) + step) % step;
  }
};

}  // namespace narrowmac
