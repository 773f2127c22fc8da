#include "sim/training/pooling.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "sim/training/parallel.h"

namespace narrowmac {
namespace {

/// Calls tap(input offset) for every input of the window at (oy, ox) of an image, in row-major
/// order.
template <typename Tap>
void for_taps(const PoolGeometry& pool, std::int64_t oy, std::int64_t ox, const Tap& tap) {
  const std::int64_t top = oy * pool.stride - pool.padding;
  const std::int64_t left = ox * pool.stride - pool.padding;
  const std::int64_t bottom = std::min(top + pool.kernel_height, pool.input.height);
  const std::int64_t right = std::min(left + pool.kernel_width, pool.input.width);
  for (std::int64_t y = std::max<std::int64_t>(top, 0); y < bottom; ++y) {
    for (std::int64_t x = std::max<std::int64_t>(left, 0); x < right; ++x) {
      tap((y * pool.input.width + x) * pool.input.channels);
    }
  }
}

/// Calls window(image, oy, ox, output offset within the image) for every window, images in
/// parallel.
template <typename Window>
void for_windows(const PoolGeometry& pool, std::int64_t images, const Window& window) {
  for_blocks(images, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = begin; image < end; ++image) {
      std::int64_t offset = 0;
      for (std::int64_t oy = 0; oy < pool.output.height; ++oy) {
        for (std::int64_t ox = 0; ox < pool.output.width; ++ox) {
          window(image, oy, ox, offset);
          offset += pool.output.channels;
        }
      }
    }
  });
}

/// best = max(best, x); a NaN wins and stays.
void keep_larger(const float* __restrict x, float* __restrict best, std::int64_t channels) {
  for (std::int64_t c = 0; c < channels; ++c) {
    const bool wins = static_cast<int>(x[c] > best[c]) | static_cast<int>(x[c] != x[c]);
    best[c] = wins ? x[c] : best[c];
  }
}

/// Hands the gradient to the input if it equals the maximum and nobody before it in the window did.
template <bool kAssign>
void give_to_first(const float* __restrict x, const float* __restrict y,
                   float* __restrict remaining, float* __restrict dx, std::int64_t channels) {
  for (std::int64_t c = 0; c < channels; ++c) {
    const bool hit = x[c] == y[c];
    const float share = hit ? remaining[c] : 0.0F;
    remaining[c] = hit ? 0.0F : remaining[c];
    dx[c] = kAssign ? share : dx[c] + share;
  }
}

template <bool kAssign>
void backward(const PoolGeometry& pool, std::int64_t images, const float* x, const float* y,
              const float* dy, float* dx) {
  const std::int64_t channels = pool.input.channels;
  for_blocks(images, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> remaining(static_cast<std::size_t>(channels));
    for (std::int64_t image = begin; image < end; ++image) {
      const float* image_x = x + image * pool.input.size();
      float* image_dx = dx + image * pool.input.size();
      const float* window_y = y + image * pool.output.size();
      const float* window_dy = dy + image * pool.output.size();
      if (!kAssign) std::fill_n(image_dx, pool.input.size(), 0.0F);
      for (std::int64_t oy = 0; oy < pool.output.height; ++oy) {
        for (std::int64_t ox = 0; ox < pool.output.width; ++ox) {
          std::copy_n(window_dy, channels, remaining.data());
          for_taps(pool, oy, ox, [&](std::int64_t tap) {
            give_to_first<kAssign>(image_x + tap, window_y, remaining.data(), image_dx + tap,
                                   channels);
          });
          window_y += channels;
          window_dy += channels;
        }
      }
    }
  });
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
  return pool;
}

void max_pool_forward(const PoolGeometry& pool, std::int64_t images, const float* x, float* y) {
  const std::int64_t channels = pool.input.channels;
  for_windows(pool, images,
              [&](std::int64_t image, std::int64_t oy, std::int64_t ox, std::int64_t offset) {
                float* best = y + image * pool.output.size() + offset;
                const float* image_x = x + image * pool.input.size();
                std::fill_n(best, channels, -std::numeric_limits<float>::infinity());
                for_taps(pool, oy, ox,
                         [&](std::int64_t tap) { keep_larger(image_x + tap, best, channels); });
              });
}

void max_pool_backward(const PoolGeometry& pool, std::int64_t images, const float* x,
                       const float* y, const float* dy, float* dx) {
  if (pool.tiles()) {
    backward<true>(pool, images, x, y, dy, dx);
  } else {
    backward<false>(pool, images, x, y, dy, dx);
  }
}

void average_pool_forward(const PoolGeometry& pool, std::int64_t images, const float* x, float* y) {
  const std::int64_t channels = pool.input.channels;
  const float scale = reciprocal_area(pool);
  for_windows(pool, images,
              [&](std::int64_t image, std::int64_t oy, std::int64_t ox, std::int64_t offset) {
                float* mean = y + image * pool.output.size() + offset;
                const float* image_x = x + image * pool.input.size();
                std::fill_n(mean, channels, 0.0F);
                for_taps(pool, oy, ox, [&](std::int64_t tap) {
                  for (std::int64_t c = 0; c < channels; ++c) mean[c] += image_x[tap + c];
                });
                for (std::int64_t c = 0; c < channels; ++c) mean[c] *= scale;
              });
}

void average_pool_backward(const PoolGeometry& pool, std::int64_t images, const float* dy,
                           float* dx) {
  const std::int64_t channels = pool.input.channels;
  const float scale = reciprocal_area(pool);
  for_blocks(images * pool.input.size(), std::int64_t{1} << 16,
             [&](std::int64_t begin, std::int64_t end) { std::fill(dx + begin, dx + end, 0.0F); });
  for_windows(pool, images,
              [&](std::int64_t image, std::int64_t oy, std::int64_t ox, std::int64_t offset) {
                const float* gradient = dy + image * pool.output.size() + offset;
                float* image_dx = dx + image * pool.input.size();
                for_taps(pool, oy, ox, [&](std::int64_t tap) {
                  for (std::int64_t c = 0; c < channels; ++c) {
                    image_dx[tap + c] += gradient[c] * scale;
                  }
                });
              });
}

}  // namespace narrowmac
