#pragma once

#include <cstdint>

#include "models/numerics/kernel.h"

// Kernels of the gradient GEMM: the products of one operand's non-zero values, in the order of the
// accumulation, with vectors of the other operand; the sums stay in the L1 cache. Internal to the
// room; see gradient_gemm.h.

namespace narrowmac {

/// Non-zero scalars in the order of accumulation. Entry e adds values[e] times the vectors at
/// grid + vectors[e] to the sums at sums[e].
template <typename T>
struct ScalarStream {
  T* values = nullptr;
  std::int32_t* sums = nullptr;
  std::int32_t* vectors = nullptr;
};

/// Scalars of one row of pixels, to be appended to a stream.
template <typename T>
struct CompressWork {
  const float* pixels = nullptr;  ///< the block's first channel of the first pixel
  std::int64_t pixel_step = 0;    ///< elements from pixel to pixel
  std::int64_t readable = 0;      ///< elements from `pixels` that may be read
  std::int32_t pixel_count = 0;
  std::int32_t channels = 0;
  std::int32_t sum_step = 0;      ///< elements of the sums from channel to channel
  std::int32_t vector_first = 0;  ///< where the first pixel's vectors begin
  std::int32_t vector_step = 0;   ///< from pixel to pixel
  T scale = 1;
  ScalarStream<T> stream;
  std::int32_t* starts = nullptr;  ///< per pixel: entries of the stream before it
};

/// Appends the non-zero values; `count` entries were there, the new count is returned. The stream
/// needs room for one vector more than its entries.
template <typename T>
using CompressFunction = std::int32_t (*)(const CompressWork<T>& work, std::int32_t count);

/// A run of a stream. Every entry multiplies `strips` runs of `strip_vectors` vectors each; strip s
/// begins strip_offsets[s] elements after the entry's vectors. Its sums lie side by side.
template <typename T>
struct StreamWork {
  ScalarStream<T> stream;
  std::int32_t begin = 0, end = 0;
  const T* grid = nullptr;
  T* sums = nullptr;
  const std::int64_t* strip_offsets = nullptr;
  int strips = 0;
  int strip_vectors = 0;  ///< one of kStripVectors
};
inline constexpr int kStripVectors[] = {6, 4, 3, 2, 1};

template <typename T>
using StreamFunction = void (*)(const LaneStep<T>& first, const StreamWork<T>& work);

/// Adds sums to the second accumulator and clears them: `count` vectors every `step` elements,
/// `repeats` times.
template <typename T>
struct FlushWork {
  T* sums = nullptr;
  T* totals = nullptr;
  std::int64_t step = 0;
  int repeats = 0;
  int count = 0;
};
template <typename T>
using FlushFunction = void (*)(const LaneStep<T>& second, const FlushWork<T>& work);

template <typename T>
struct StreamKernel {
  CompressFunction<T> compress = nullptr;
  StreamFunction<T> run = nullptr;
  FlushFunction<T> flush = nullptr;
  int lanes = 0;
};

/// The kernels of a rounding for this processor.
StreamKernel<float> select_stream_kernel(LaneRounding rounding, bool clamp);

}  // namespace narrowmac
