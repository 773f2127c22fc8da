#pragma once

#include <cstdint>

#include "models/workload/network.h"

namespace narrowmac {

// Loops over whole tensors in blocks; `in` and `out` may be the same.

/// out = max(in, 0); NaN stays NaN.
void relu_forward(const float* in, std::int64_t size, float* out);
/// dx = dy where the output is positive, else 0.
void relu_backward(const float* output, const float* dy, std::int64_t size, float* dx);
void add(const float* a, const float* b, std::int64_t size, float* out);
/// y = y * scale + bias over rows of `channels` values; `bias` may be null.
void scale_and_bias(float* y, std::int64_t rows, std::int64_t channels, float scale,
                    const float* bias);
/// Column sums of a rows x channels matrix, in double and in a fixed order.
void column_sums(const float* values, std::int64_t rows, std::int64_t channels, float* sums);
/// NHWC to images x (channel, row, column), and back.
void flatten_forward(const float* in, std::int64_t images, const FeatureShape& shape, float* out);
void flatten_backward(const float* dy, std::int64_t images, const FeatureShape& shape, float* dx);
bool all_finite(const float* values, std::int64_t size);

}  // namespace narrowmac
