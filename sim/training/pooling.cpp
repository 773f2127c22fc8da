#include "sim/training/pooling.h"

#include <algorithm>
#include <vector>

#include "sim/training/vector_loops.h"

namespace narrowmac {
namespace {

/// The inputs of a window whose first input, padding included, is (top, left), relative to the
/// pixel (top, left), in row-major order; what lies outside of the map is left out.
std::vector<std::int64_t> taps_of(const PoolGeometry& pool, std::int64_t top, std::int64_t left) {
  std::vector<std::int64_t> taps;
  for (std::int64_t y = 0; y < pool.kernel_height; ++y) {
    if (top + y < 0 || top + y >= pool.input.height) continue;
    for (std::int64_t x = 0; x < pool.kernel_width; ++x) {
      if (left + x < 0 || left + x >= pool.input.width) continue;
      taps.push_back((y * pool.input.width + x) * pool.input.channels);
    }
  }
  return taps;
}

/// All windows of an image, row by row.
std::vector<PoolGeometry::WindowRow> window_rows(const PoolGeometry& pool) {
  const auto columns_outside = [&](std::int64_t left) {
    const std::int64_t right = left + pool.kernel_width - pool.input.width;
    return std::max<std::int64_t>(0, -left) + std::max<std::int64_t>(0, right);
  };
  std::vector<PoolGeometry::WindowRow> rows;
  for (std::int64_t oy = 0; oy < pool.output.height; ++oy) {
    const std::int64_t top = oy * pool.stride - pool.padding;
    for (std::int64_t ox = 0; ox < pool.output.width;) {
      const std::int64_t left = ox * pool.stride - pool.padding;
      std::int64_t end = ox + 1;
      while (columns_outside(left) == 0 && end < pool.output.width &&
             columns_outside(end * pool.stride - pool.padding) == 0) {
        ++end;
      }
      PoolGeometry::WindowRow row;
      row.taps = taps_of(pool, top, left);
      row.count = end - ox;
      const std::int64_t first = row.taps.empty() ? 0 : row.taps.front();
      for (std::int64_t& tap : row.taps) tap -= first;
      row.input = (top * pool.input.width + left) * pool.input.channels + first;
      row.output = (oy * pool.output.width + ox) * pool.output.channels;
      rows.push_back(std::move(row));
      ox = end;
    }
  }
  return rows;
}

/// Calls body(windows, offset of their input, offset of their output) for every row of windows.
template <typename Body>
void for_windows(const PoolGeometry& pool, const ImageRange& images, const Body& body) {
  for (std::int64_t image = images.begin; image < images.end; ++image) {
    for (const PoolGeometry::WindowRow& row : pool.rows) {
      loops::Windows windows;
      windows.count = row.count;
      windows.step = pool.stride * pool.input.channels;
      windows.offsets = row.taps.data();
      windows.taps = static_cast<std::int64_t>(row.taps.size());
      windows.channels = pool.input.channels;
      body(windows, image * pool.input.size() + row.input, image * pool.output.size() + row.output);
    }
  }
}

void clear_images(const PoolGeometry& pool, const ImageRange& images, float* dx) {
  std::fill(dx + images.begin * pool.input.size(), dx + images.end * pool.input.size(), 0.0F);
}

float reciprocal_area(const PoolGeometry& pool) {
  return 1.0F / static_cast<float>(pool.kernel_height * pool.kernel_width);
}

}  // namespace

bool PoolGeometry::tiles() const {
  return padding == 0 && kernel_height == stride && kernel_width == stride &&
         input.height % stride == 0 && input.width % stride == 0;
}

PoolGeometry pool_geometry(const LayerShape& shape) {
  PoolGeometry pool;
  pool.input = shape.inputs.front();
  pool.output = shape.output;
  const bool global = shape.layer.kernel == 0;
  pool.kernel_height = global ? pool.input.height : shape.layer.kernel;
  pool.kernel_width = global ? pool.input.width : shape.layer.kernel;
  pool.stride = global ? 1 : shape.layer.stride;
  pool.padding = global ? 0 : shape.layer.padding;
  pool.rows = window_rows(pool);
  return pool;
}

void max_pool_forward(const PoolGeometry& pool, const ImageRange& images, const float* x,
                      float* y) {
  for_windows(pool, images,
              [&](const loops::Windows& windows, std::int64_t input, std::int64_t output) {
                loops::max_windows(windows, x + input, y + output);
              });
}

void max_pool_backward(const PoolGeometry& pool, const ImageRange& images, const float* x,
                       const float* y, const float* dy, float* dx) {
  const bool accumulate = !pool.tiles();
  if (accumulate) clear_images(pool, images, dx);
  for_windows(pool, images,
              [&](const loops::Windows& windows, std::int64_t input, std::int64_t output) {
                loops::max_windows_backward(windows, x + input, y + output, dy + output, accumulate,
                                            dx + input);
              });
}

void relu_max_pool_forward(const PoolGeometry& pool, const ImageRange& images, const float* x,
                           float* y, std::uint8_t* winners) {
  for_windows(pool, images,
              [&](const loops::Windows& windows, std::int64_t input, std::int64_t output) {
                loops::max_windows_positive(windows, x + input, y + output, winners + output);
              });
}

void relu_max_pool_backward(const PoolGeometry& pool, const ImageRange& images,
                            const std::uint8_t* winners, const float* dy, float* dx) {
  for_windows(pool, images,
              [&](const loops::Windows& windows, std::int64_t input, std::int64_t output) {
                loops::max_windows_backward(windows, winners + output, dy + output, dx + input);
              });
}

void average_pool_forward(const PoolGeometry& pool, const ImageRange& images, const float* x,
                          float* y) {
  for_windows(pool, images,
              [&](const loops::Windows& windows, std::int64_t input, std::int64_t output) {
                loops::average_windows(windows, x + input, reciprocal_area(pool), y + output);
              });
}

void average_pool_backward(const PoolGeometry& pool, const ImageRange& images, const float* dy,
                           float* dx) {
  clear_images(pool, images, dx);
  for_windows(
      pool, images, [&](const loops::Windows& windows, std::int64_t input, std::int64_t output) {
        loops::average_windows_backward(windows, dy + output, reciprocal_area(pool), dx + input);
      });
}

}  // namespace narrowmac
