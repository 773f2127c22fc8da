#pragma once

#include <cstdint>

#include "models/workload/network.h"

namespace narrowmac {

/// A pooling window over NHWC maps. Padding is outside of the map: it never wins a maximum, and
/// counts as zeros in an average (PyTorch's defaults).
struct PoolGeometry {
  FeatureShape input, output;
  std::int64_t kernel_height = 1, kernel_width = 1, stride = 1, padding = 0;
  /// True if every input lies in exactly one window.
  [[nodiscard]] bool tiles() const;
};
PoolGeometry pool_geometry(const LayerShape& shape);

void max_pool_forward(const PoolGeometry& pool, std::int64_t images, const float* x, float* y);
/// The gradient goes to the first largest input of each window, in row-major order.
void max_pool_backward(const PoolGeometry& pool, std::int64_t images, const float* x,
                       const float* y, const float* dy, float* dx);
void average_pool_forward(const PoolGeometry& pool, std::int64_t images, const float* x, float* y);
void average_pool_backward(const PoolGeometry& pool, std::int64_t images, const float* dy,
                           float* dx);

}  // namespace narrowmac
