#include "sim/training/elementwise.h"

#include <algorithm>
#include <atomic>

#include "sim/training/parallel.h"
#include "sim/training/vector_loops.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kBlock = 1 << 15;

/// out = the transpose of a rows x columns matrix, in squares that stay in the cache.
void transpose(const float* __restrict in, std::int64_t rows, std::int64_t columns,
               float* __restrict out) {
  constexpr std::int64_t kSquare = 16;
  for (std::int64_t row = 0; row < rows; row += kSquare) {
    const std::int64_t last_row = std::min(rows, row + kSquare);
    for (std::int64_t column = 0; column < columns; ++column) {
      for (std::int64_t r = row; r < last_row; ++r)
        out[column * rows + r] = in[r * columns + column];
    }
  }
}

}  // namespace

void scale_and_bias(float* y, std::int64_t rows, std::int64_t channels, float scale,
                    const float* bias) {
  if (scale == 1.0F && bias == nullptr) return;
  const std::int64_t block = std::max<std::int64_t>(1, kBlock / channels);
  for_blocks(rows, block, [&](std::int64_t begin, std::int64_t end) {
    loops::scale_and_bias(y + begin * channels, end - begin, channels, scale, bias);
  });
}

bool all_finite(const float* values, std::int64_t size) {
  std::atomic<bool> finite{true};
  for_blocks(size, kBlock, [&](std::int64_t begin, std::int64_t end) {
    if (!loops::all_finite(values + begin, end - begin)) {
      finite.store(false, std::memory_order_relaxed);
    }
  });
  return finite.load();
}

void clamp_all(float* values, std::int64_t size, float limit) {
  for_blocks(size, kBlock, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) values[i] = std::clamp(values[i], -limit, limit);
  });
}

void flatten_forward(const float* in, const ImageRange& images, const FeatureShape& shape,
                     float* out) {
  for (std::int64_t image = images.begin; image < images.end; ++image) {
    transpose(in + image * shape.size(), shape.height * shape.width, shape.channels,
              out + image * shape.size());
  }
}

void flatten_backward(const float* dy, const ImageRange& images, const FeatureShape& shape,
                      float* dx) {
  for (std::int64_t image = images.begin; image < images.end; ++image) {
    transpose(dy + image * shape.size(), shape.channels, shape.height * shape.width,
              dx + image * shape.size());
  }
}

}  // namespace narrowmac
