// The kernels of the gradient GEMM for every vector target, and their run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_gradient.cpp"
#include "models/numerics/kernel_gradient.h"

#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "models/numerics/kernel_compact-inl.h"
#include "models/numerics/kernel_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

/// One vector's worth of a pixel's channels.
template <class D, class M>
HWY_INLINE std::int32_t Append(D d, hn::Vec<D> values, M nonzero, std::int32_t first_sum,
                               hn::Vec<hn::RebindToSigned<D>> sum_steps, std::int32_t vectors,
                               const ScalarStream<float>& stream, std::int32_t count) {
  const hn::RebindToSigned<D> di;
  hn::StoreU(hn::Set(di, vectors), di, stream.vectors + count);
  const auto sums = hn::Add(hn::Set(di, first_sum), sum_steps);
  return count + StoreChosen(d, values, sums, nonzero, stream.values + count, stream.sums + count);
}

std::int32_t CompressPixels(const CompressWork<float>& work, std::int32_t count) {
  const Lanes<float> d;
  const hn::RebindToSigned<Lanes<float>> di;
  const auto lanes = static_cast<std::int32_t>(hn::Lanes(d));
  const auto scale = hn::Set(d, work.scale);
  const auto sum_steps = hn::Mul(hn::Iota(di, 0), hn::Set(di, work.sum_step));
  const ScalarStream<float> stream = work.stream;
  const std::int32_t channels = work.channels;
  const std::int32_t whole = channels / lanes * lanes;
  const auto tail = hn::FirstN(d, static_cast<std::size_t>(channels - whole));
  const float* pixel = work.pixels;
  const float* const last_readable = work.pixels + work.readable;
  std::int32_t vectors = work.vector_first;
  for (std::int32_t p = 0; p < work.pixel_count; ++p) {
    work.starts[p] = count;
    hwy::Prefetch(pixel + work.prefetch);
    for (std::int32_t c = 0; c < whole; c += lanes) {
      const auto values = hn::Mul(hn::LoadU(d, pixel + c), scale);
      count = Append(d, values, hn::Ne(values, hn::Zero(d)), c * work.sum_step, sum_steps, vectors,
                     stream, count);
    }
    if (whole < channels && last_readable - (pixel + whole) >= lanes) {
      const auto values = hn::Mul(hn::LoadU(d, pixel + whole), scale);
      const auto nonzero = hn::And(hn::Ne(values, hn::Zero(d)), tail);
      count = Append(d, values, nonzero, whole * work.sum_step, sum_steps, vectors, stream, count);
    } else {
      for (std::int32_t c = whole; c < channels; ++c) {
        stream.values[count] = pixel[c] * work.scale;
        stream.sums[count] = c * work.sum_step;
        stream.vectors[count] = vectors;
        count += pixel[c] != 0 ? 1 : 0;
      }
    }
    pixel += work.pixel_step;
    vectors += work.vector_step;
  }
  return count;
}

/// Sums in memory, read and written at every product: what bounds it are the roundings, not the
/// cache.
template <LaneRounding kRounding, LaneBound kBound, int kVectors, typename T>
HWY_NOINLINE void RunStream(const LaneStep<T>& first, const StreamWork<T>& work) {
  const Lanes<T> d;
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  const StepVectors<D> k(d, first);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const T* const values = work.stream.values;
  const std::int32_t* const sum_offsets = work.stream.sums;
  const std::int32_t* const vector_offsets = work.stream.vectors;
  const T* const grid = work.grid;
  T* const sums = work.sums;
  const std::int64_t* const strip_offsets = work.strip_offsets;
  const int strips = work.strips;
  const std::int32_t end = work.end;
  for (std::int32_t e = work.begin; e < end; ++e) {
    const V value = hn::Set(d, values[e]);
    const T* const base = grid + vector_offsets[e];
    T* line = sums + sum_offsets[e];
    for (int s = 0; s < strips; ++s) {
      const T* const strip = base + strip_offsets[s];
      V acc[kVectors];
      HWY_UNROLL(6)
      for (int v = 0; v < kVectors; ++v) {
        const V sum = hn::Load(d, line + v * lanes);
        acc[v] = Step<kRounding, kBound>(d, value, hn::LoadU(d, strip + v * lanes), sum, k);
      }
      HWY_UNROLL(6)
      for (int v = 0; v < kVectors; ++v) hn::Store(acc[v], d, line + v * lanes);
      line += kVectors * lanes;
    }
  }
}

/// The same for any width of strips.
template <LaneRounding kRounding, LaneBound kBound, typename T>
HWY_NOINLINE void RunAnyStream(const LaneStep<T>& first, const StreamWork<T>& work) {
  const Lanes<T> d;
  const StepVectors<Lanes<T>> k(d, first);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int32_t e = work.begin; e < work.end; ++e) {
    const auto value = hn::Set(d, work.stream.values[e]);
    T* line = work.sums + work.stream.sums[e];
    for (int s = 0; s < work.strips; ++s) {
      const T* const strip = work.grid + work.stream.vectors[e] + work.strip_offsets[s];
      for (int v = 0; v < work.strip_vectors; ++v) {
        const auto vectors = hn::LoadU(d, strip + v * lanes);
        hn::Store(Step<kRounding, kBound>(d, value, vectors, hn::Load(d, line), k), d, line);
        line += lanes;
      }
    }
  }
}

/// Roundings that most designs plan have kernels of every width on today's processors; the others,
/// and old processors, few.
template <LaneRounding kRounding, LaneBound kBound>
constexpr bool is_common() {
  return HWY_TARGET <= HWY_AVX2 && kBound == LaneBound::None &&
         (kRounding == LaneRounding::Significand || kRounding == LaneRounding::Repaired);
}

template <LaneRounding kRounding, LaneBound kBound>
void RunStreams(const LaneStep<float>& first, const StreamWork<float>& work) {
  if constexpr (is_common<kRounding, kBound>()) {
    switch (work.strip_vectors) {
      case 3:
        return RunStream<kRounding, kBound, 3>(first, work);
      case 2:
        return RunStream<kRounding, kBound, 2>(first, work);
      default:
        break;
    }
  }
  RunAnyStream<kRounding, kBound>(first, work);
}

void FlushSums(const LaneStep<float>& second, const FlushWork<float>& work) {
  const Lanes<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (int r = 0; r < work.repeats; ++r) {
    for (int v = 0; v < work.count; ++v) {
      float* const sum = work.sums + r * work.step + v * lanes;
      float* const total = work.totals + r * work.step + v * lanes;
      hn::Store(AddChunk(d, hn::Load(d, sum), hn::Load(d, total), second), d, total);
      hn::Store(hn::Zero(d), d, sum);
    }
  }
}

/// Transposes four pixels by four channels at a time, as far as they go; returns the pixels done.
std::int64_t TransposeQuads(const TransposeWork<float>& work) {
#if HWY_TARGET == HWY_SCALAR
  (void)work;
  return 0;
#else
  const hn::CappedTag<float, 4> d;
  const auto scale = hn::Set(d, work.scale);
  const std::int64_t step = work.pixel_step;
  const std::int64_t quads = work.pixel_count / 4 * 4;
  for (std::int64_t p = 0; p < quads; p += 4) {
    for (std::int64_t c = 0; c + 4 <= work.channels; c += 4) {
      const float* const from = work.pixels + p * step + c;
      float* const to = work.rows + c * work.row_step + p;
      const auto p0 = hn::Mul(hn::LoadU(d, from), scale);
      const auto p1 = hn::Mul(hn::LoadU(d, from + step), scale);
      const auto p2 = hn::Mul(hn::LoadU(d, from + 2 * step), scale);
      const auto p3 = hn::Mul(hn::LoadU(d, from + 3 * step), scale);
      const auto low01 = hn::InterleaveLower(d, p0, p1);
      const auto low23 = hn::InterleaveLower(d, p2, p3);
      const auto high01 = hn::InterleaveUpper(d, p0, p1);
      const auto high23 = hn::InterleaveUpper(d, p2, p3);
      hn::StoreU(hn::ConcatLowerLower(d, low23, low01), d, to);
      hn::StoreU(hn::ConcatUpperUpper(d, low23, low01), d, to + work.row_step);
      hn::StoreU(hn::ConcatLowerLower(d, high23, high01), d, to + 2 * work.row_step);
      hn::StoreU(hn::ConcatUpperUpper(d, high23, high01), d, to + 3 * work.row_step);
    }
  }
  return quads;
#endif
}

void TransposeScalars(const TransposeWork<float>& work) {
  const std::int64_t quads = TransposeQuads(work);
  const std::int64_t whole = work.channels / 4 * 4;
  for (std::int64_t p = 0; p < work.pixel_count; ++p) {
    for (std::int64_t c = p < quads ? whole : 0; c < work.channels; ++c) {
      work.rows[c * work.row_step + p] = work.pixels[p * work.pixel_step + c] * work.scale;
    }
  }
}

std::int32_t AppendNonzeros(const float* scalars, const std::int32_t* offsets, std::int32_t count,
                            const ScalarList<float>& list, std::int32_t length) {
  const Lanes<float> d;
  const hn::RebindToSigned<Lanes<float>> di;
  const auto lanes = static_cast<std::int32_t>(hn::Lanes(d));
  for (std::int32_t i = 0; i < count; i += lanes) {
    const auto values = hn::LoadU(d, scalars + i);
    auto nonzero = hn::Ne(values, hn::Zero(d));
    if (count - i < lanes) {
      nonzero = hn::And(nonzero, hn::FirstN(d, static_cast<std::size_t>(count - i)));
    }
    length += StoreChosen(d, values, hn::LoadU(di, offsets + i), nonzero, list.values + length,
                          list.vectors + length);
  }
  return length;
}

/// One entry of a list.
template <LaneRounding kRounding, LaneBound kBound, int kVectors, class D, class V, typename T>
HWY_INLINE void MultiplyEntry(D d, const ListRun<T>& run, const ScalarList<T>& list,
                              std::int32_t entry, const StepVectors<D>& k, V* acc) {
  const V value = hn::Set(d, list.values[entry]);
  const T* const grid = run.grid + list.vectors[entry];
  HWY_UNROLL(18)
  for (int v = 0; v < kVectors; ++v) {
    acc[v] = Step<kRounding, kBound>(d, value, hn::LoadU(d, grid + run.offsets[v]), acc[v], k);
  }
}

/// Adds sums in memory to the second accumulator.
template <typename T>
HWY_NOINLINE void AddSums(const LaneStep<T>& second, const T* sums, T* totals, int vectors) {
  const Lanes<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (int v = 0; v < vectors; ++v) {
    T* const total = totals + v * lanes;
    hn::Store(AddChunk(d, hn::Load(d, sums + v * lanes), hn::Load(d, total), second), d, total);
  }
}

/// Sums in registers for all of the lists; at a chunk's end they pass through memory. Lists run
/// side by side as far as the shortest goes.
template <LaneRounding kRounding, LaneBound kBound, int kLists, int kVectors, typename T>
HWY_NOINLINE void RunLists(const LaneStep<T>& first, const LaneStep<T>& second,
                           const ListRun<T>& run) {
  const Lanes<T> d;
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  const StepVectors<D> k(d, first);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V acc[kLists][kVectors];
  std::int32_t entry[kLists] = {};
  HWY_UNROLL(4)
  for (int l = 0; l < kLists; ++l) {
    HWY_UNROLL(18)
    for (int v = 0; v < kVectors; ++v) acc[l][v] = hn::Load(d, run.sums[l] + v * lanes);
  }
  for (int s = 0; s < run.segments; ++s) {
    std::int32_t common = run.ends[0][s] - entry[0];
    HWY_UNROLL(4)
    for (int l = 1; l < kLists; ++l) common = std::min(common, run.ends[l][s] - entry[l]);
    for (std::int32_t i = 0; i < common; ++i) {
      HWY_UNROLL(4)
      for (int l = 0; l < kLists; ++l) {
        MultiplyEntry<kRounding, kBound, kVectors>(d, run, run.lists[l], entry[l] + i, k, acc[l]);
      }
    }
    HWY_UNROLL(4)
    for (int l = 0; l < kLists; ++l) {
      entry[l] += common;
      if constexpr (kLists > 1) {
        for (; entry[l] < run.ends[l][s]; ++entry[l]) {
          MultiplyEntry<kRounding, kBound, kVectors>(d, run, run.lists[l], entry[l], k, acc[l]);
        }
      }
    }
    if (s >= run.chunk_ends) continue;
    HWY_UNROLL(4)
    for (int l = 0; l < kLists; ++l) {
      HWY_UNROLL(18)
      for (int v = 0; v < kVectors; ++v) {
        hn::Store(acc[l][v], d, run.sums[l] + v * lanes);
        acc[l][v] = hn::Zero(d);
      }
      AddSums(second, run.sums[l], run.totals[l], kVectors);
    }
  }
  HWY_UNROLL(4)
  for (int l = 0; l < kLists; ++l) {
    HWY_UNROLL(18)
    for (int v = 0; v < kVectors; ++v) hn::Store(acc[l][v], d, run.sums[l] + v * lanes);
  }
}

/// More sums where there are 32 registers.
template <LaneRounding kRounding, LaneBound kBound>
void SetFunctions(StreamKernel<float>& kernel) {
  constexpr bool kManyRegisters = HWY_TARGET <= HWY_AVX3;
  constexpr int kPair = kManyRegisters ? 2 : 1;
  constexpr int kWidest = kManyRegisters ? 18 : 12;
  kernel.run = &RunStreams<kRounding, kBound>;
  ListKernel<float>* next = kernel.list_kernels;
  if constexpr (is_common<kRounding, kBound>()) {
    *next++ = {&RunLists<kRounding, kBound, 4, 2, float>, 4, 2};
    *next++ = {&RunLists<kRounding, kBound, 2, 4, float>, 2, 4};
    *next++ = {&RunLists<kRounding, kBound, 2, 6, float>, 2, 6};
    *next++ = {&RunLists<kRounding, kBound, kPair, 8, float>, kPair, 8};
    *next++ = {&RunLists<kRounding, kBound, kPair, 9, float>, kPair, 9};
    *next++ = {&RunLists<kRounding, kBound, 1, 12, float>, 1, 12};
    if constexpr (kManyRegisters) *next++ = {&RunLists<kRounding, kBound, 1, 18, float>, 1, 18};
  } else {
    *next++ = {&RunLists<kRounding, kBound, 2, 4, float>, 2, 4};
    *next++ = {&RunLists<kRounding, kBound, 1, 9, float>, 1, 9};
    *next++ = {&RunLists<kRounding, kBound, 1, kWidest, float>, 1, kWidest};
  }
}

template <LaneBound kBound>
void SetFunctionsOf(LaneRounding rounding, StreamKernel<float>& kernel) {
  switch (rounding) {
    case LaneRounding::Significand:
      return SetFunctions<LaneRounding::Significand, kBound>(kernel);
    case LaneRounding::Repaired:
      return SetFunctions<LaneRounding::Repaired, kBound>(kernel);
    case LaneRounding::Gradual:
      return SetFunctions<LaneRounding::Gradual, kBound>(kernel);
    case LaneRounding::Quantum:
      return SetFunctions<LaneRounding::Quantum, kBound>(kernel);
    case LaneRounding::Flush:
      return SetFunctions<LaneRounding::Flush, kBound>(kernel);
    case LaneRounding::RepairedFlush:
      return SetFunctions<LaneRounding::RepairedFlush, kBound>(kernel);
    default:
      return SetFunctions<LaneRounding::None, kBound>(kernel);
  }
}

StreamKernel<float> SelectStream(LaneRounding rounding, LaneBound bound) {
  StreamKernel<float> kernel;
  kernel.compress = &CompressPixels;
  kernel.flush = &FlushSums;
  kernel.transpose = &TransposeScalars;
  kernel.append = &AppendNonzeros;
  kernel.lanes = static_cast<int>(hn::Lanes(Lanes<float>()));
  switch (bound) {
    case LaneBound::Clamp:
      SetFunctionsOf<LaneBound::Clamp>(rounding, kernel);
      break;
    case LaneBound::Infinity:
      SetFunctionsOf<LaneBound::Infinity>(rounding, kernel);
      break;
    default:
      SetFunctionsOf<LaneBound::None>(rounding, kernel);
      break;
  }
  return kernel;
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectStream);

StreamKernel<float> select_stream_kernel(LaneRounding rounding, LaneBound bound) {
  return HWY_DYNAMIC_DISPATCH(SelectStream)(rounding, bound);
}

}  // namespace narrowmac
#endif
