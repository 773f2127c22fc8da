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
  std::int64_t prefetch = 0;      ///< elements ahead that will be read next
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
inline constexpr int kStripVectors[] = {3, 2, 1};

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

/// The same products channel by channel, sums in registers: for many vectors per scalar.
///
/// Scalars of pixels, channel by channel: element (p, c) goes to rows + c * row_step + p.
template <typename T>
struct TransposeWork {
  const float* pixels = nullptr;
  std::int64_t pixel_step = 0;
  std::int64_t pixel_count = 0;
  std::int64_t channels = 0;
  T scale = 1;
  T* rows = nullptr;
  std::int64_t row_step = 0;
};
template <typename T>
using TransposeFunction = void (*)(const TransposeWork<T>& work);

/// The non-zero scalars of one channel in the order of accumulation: entry e multiplies the vectors
/// at grid + vectors[e].
template <typename T>
struct ScalarList {
  T* values = nullptr;
  std::int32_t* vectors = nullptr;
};
/// Appends the non-zero of `count` scalars and their pixels' offsets to a list of `length` entries;
/// returns the new length. Reads and writes up to a vector beyond the ends.
template <typename T>
using AppendFunction = std::int32_t (*)(const T* scalars, const std::int32_t* offsets,
                                        std::int32_t count, const ScalarList<T>& list,
                                        std::int32_t length);

inline constexpr int kMaxLists = 4;

/// Lists side by side, each times the same vectors: vector v lies offsets[v] elements after an
/// entry's, its sums at sums[list] + v * lanes.
template <typename T>
struct ListRun {
  ScalarList<T> lists[kMaxLists];
  const std::int32_t* ends[kMaxLists] = {};  ///< entries of a list before each segment's end
  int segments = 0;
  int chunk_ends = 0;  ///< so many first segments end a chunk
  const T* grid = nullptr;
  const std::int64_t* offsets = nullptr;
  T* sums[kMaxLists] = {};
  T* totals[kMaxLists] = {};
};
template <typename T>
using ListFunction = void (*)(const LaneStep<T>& first, const LaneStep<T>& second,
                              const ListRun<T>& run);

/// A kernel of `lists` x `vectors` sums: enough to hide the latency of a rounding, few enough for
/// the registers.
template <typename T>
struct ListKernel {
  ListFunction<T> run = nullptr;
  int lists = 0;
  int vectors = 0;
};
inline constexpr int kMaxListKernels = 8;

template <typename T>
struct StreamKernel {
  CompressFunction<T> compress = nullptr;
  StreamFunction<T> run = nullptr;
  FlushFunction<T> flush = nullptr;
  TransposeFunction<T> transpose = nullptr;
  AppendFunction<T> append = nullptr;
  ListKernel<T> list_kernels[kMaxListKernels];  ///< by ascending vectors; the rest is empty
  int lanes = 0;
};

/// The kernels of a rounding (not Directed) for this processor.
StreamKernel<float> select_stream_kernel(LaneRounding rounding, LaneBound bound);

}  // namespace narrowmac
