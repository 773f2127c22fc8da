#pragma once

#include <cstdint>
#include <vector>

#include "models/workload/network.h"
#include "sim/training/image_pipeline.h"

namespace narrowmac {

/// A pooling window over NHWC maps. Padding is outside of the map: it never wins a maximum, and
/// counts as zeros in an average (PyTorch's defaults).
struct PoolGeometry {
  FeatureShape input, output;
  std::int64_t kernel_height = 1, kernel_width = 1, stride = 1, padding = 0;
  /// Windows side by side that see the same inputs relative to their first one: window w reads
  /// input + w * stride * channels + taps[t], in row-major order, and nothing of the padding.
  struct WindowRow {
    std::vector<std::int64_t> taps;
    std::int64_t count = 0;
    std::int64_t input = 0, output = 0;  ///< offsets in an image
  };
  std::vector<WindowRow> rows;
  /// True if every input lies in exactly one window.
  [[nodiscard]] bool tiles() const;
  [[nodiscard]] std::int64_t taps() const { return kernel_height * kernel_width; }
};
PoolGeometry pool_geometry(const LayerShape& shape);
/// Whether relu_max_pool_forward() can do these windows.
inline bool remembers_winners(const PoolGeometry& pool) {
  return pool.tiles() && pool.taps() < 255;
}

void max_pool_forward(const PoolGeometry& pool, const ImageRange& images, const float* x, float* y);
/// The gradient goes to the first largest input of each window, in row-major order.
void max_pool_backward(const PoolGeometry& pool, const ImageRange& images, const float* x,
                       const float* y, const float* dy, float* dx);
/// For windows that tile the outputs of a ReLU: `winners` (one per output) remembers where the
/// gradient goes, so that the backward passes of both need no look at the outputs again.
void relu_max_pool_forward(const PoolGeometry& pool, const ImageRange& images, const float* x,
                           float* y, std::uint8_t* winners);
void relu_max_pool_backward(const PoolGeometry& pool, const ImageRange& images,
                            const std::uint8_t* winners, const float* dy, float* dx);
void average_pool_forward(const PoolGeometry& pool, const ImageRange& images, const float* x,
                          float* y);
void average_pool_backward(const PoolGeometry& pool, const ImageRange& images, const float* dy,
                           float* dx);

}  // namespace narrowmac
