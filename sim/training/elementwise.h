#pragma once

#include <cstdint>

#include "models/workload/network.h"
#include "sim/training/image_pipeline.h"

namespace narrowmac {

/// y = y * scale + bias over rows of `channels` values, on several threads; `bias` may be null.
void scale_and_bias(float* y, std::int64_t rows, std::int64_t channels, float scale,
                    const float* bias);
/// False if there is an infinity or a NaN. Threads: TBB's.
bool all_finite(const float* values, std::int64_t size);
/// Moves what is beyond -limit or limit there. Threads: TBB's.
void clamp_all(float* values, std::int64_t size, float limit);
/// NHWC to images x (channel, row, column), and back.
void flatten_forward(const float* in, const ImageRange& images, const FeatureShape& shape,
                     float* out);
void flatten_backward(const float* dy, const ImageRange& images, const FeatureShape& shape,
                      float* dx);

}  // namespace narrowmac
