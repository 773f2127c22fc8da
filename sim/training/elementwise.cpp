#include "sim/training/elementwise.h"

#include <algorithm>
#include <atomic>

#include "sim/training/parallel.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kBlock = 1 << 15;

// The compiler's vectors are guarded by checks that pointers do not overlap, which in-place calls
// fail; so the loops that run in place have a form of their own with one pointer, and the others
// promise with __restrict.

void relu_in_place(float* values, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) values[i] = values[i] <= 0.0F ? 0.0F : values[i];
}

void mask_in_place(const float* __restrict output, float* __restrict gradient, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) gradient[i] = output[i] > 0.0F ? gradient[i] : 0.0F;
}

void scale_row(float* __restrict values, std::int64_t channels, float scale,
               const float* __restrict bias) {
  for (std::int64_t c = 0; c < channels; ++c) values[c] = values[c] * scale + bias[c];
}

}  // namespace

void relu_forward(const float* in, std::int64_t size, float* out) {
  for_blocks(size, kBlock, [&](std::int64_t begin, std::int64_t end) {
    if (in != out) std::copy(in + begin, in + end, out + begin);
    relu_in_place(out + begin, end - begin);
  });
}

void relu_backward(const float* output, const float* dy, std::int64_t size, float* dx) {
  for_blocks(size, kBlock, [&](std::int64_t begin, std::int64_t end) {
    if (dy != dx) std::copy(dy + begin, dy + end, dx + begin);
    mask_in_place(output + begin, dx + begin, end - begin);
  });
}

void add(const float* a, const float* b, std::int64_t size, float* out) {
  for_blocks(size, kBlock, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) out[i] = a[i] + b[i];
  });
}

void scale_and_bias(float* y, std::int64_t rows, std::int64_t channels, float scale,
                    const float* bias) {
  if (scale == 1.0F && bias == nullptr) return;
  const std::int64_t block = std::max<std::int64_t>(1, kBlock / channels);
  for_blocks(rows, block, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      float* values = y + row * channels;
      if (bias == nullptr) {
        for (std::int64_t c = 0; c < channels; ++c) values[c] *= scale;
      } else {
        scale_row(values, channels, scale, bias);
      }
    }
  });
}

void column_sums(const float* values, std::int64_t rows, std::int64_t channels, float* sums) {
  const std::vector<double> total =
      sum_rows(rows, channels, [&](std::int64_t begin, std::int64_t end, double* partial) {
        for (std::int64_t row = begin; row < end; ++row) {
          const float* row_values = values + row * channels;
          for (std::int64_t c = 0; c < channels; ++c) {
            partial[c] += static_cast<double>(row_values[c]);
          }
        }
      });
  for (std::size_t c = 0; c < total.size(); ++c) sums[c] = static_cast<float>(total[c]);
}

void flatten_forward(const float* in, std::int64_t images, const FeatureShape& shape, float* out) {
  const std::int64_t pixels = shape.height * shape.width;
  for_blocks(images, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = begin; image < end; ++image) {
      const float* from = in + image * shape.size();
      float* to = out + image * shape.size();
      for (std::int64_t c = 0; c < shape.channels; ++c) {
        for (std::int64_t p = 0; p < pixels; ++p) to[c * pixels + p] = from[p * shape.channels + c];
      }
    }
  });
}

void flatten_backward(const float* dy, std::int64_t images, const FeatureShape& shape, float* dx) {
  const std::int64_t pixels = shape.height * shape.width;
  for_blocks(images, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = begin; image < end; ++image) {
      const float* from = dy + image * shape.size();
      float* to = dx + image * shape.size();
      for (std::int64_t p = 0; p < pixels; ++p) {
        for (std::int64_t c = 0; c < shape.channels; ++c) {
          to[p * shape.channels + c] = from[c * pixels + p];
        }
      }
    }
  });
}

bool all_finite(const float* values, std::int64_t size) {
  std::atomic<bool> finite{true};
  for_blocks(size, kBlock, [&](std::int64_t begin, std::int64_t end) {
    // x - x is 0 for finite x and NaN otherwise: a sum that the compiler may not skip, yet no
    // branch.
    int bad = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      bad |= static_cast<int>(!(values[i] - values[i] == 0.0F));
    }
    if (bad != 0) finite.store(false, std::memory_order_relaxed);
  });
  return finite.load();
}

}  // namespace narrowmac
