// The kernels of the gradient GEMM for every vector target, and their run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_gradient.cpp"
#include "models/numerics/kernel_gradient.h"

#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

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

template <LaneRounding kRounding, LaneBound kBound, typename T>
void RunAnyStream(const LaneStep<T>& first, const StreamWork<T>& work) {
  switch (work.strip_vectors) {
    case 3:
      return RunStream<kRounding, kBound, 3>(first, work);
    case 2:
      return RunStream<kRounding, kBound, 2>(first, work);
    default:
      return RunStream<kRounding, kBound, 1>(first, work);
  }
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

/// Sums in registers for all of a list; at a chunk's end they pass through memory.
template <LaneRounding kRounding, LaneBound kBound, int kVectors, typename T>
HWY_NOINLINE void RunList(const LaneStep<T>& first, const LaneStep<T>& second,
                          const ListRun<T>& run) {
  const Lanes<T> d;
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  const StepVectors<D> k(d, first);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const T* const values = run.list.values;
  const std::int32_t* const vectors = run.list.vectors;
  const T* grid[kVectors];
  V acc[kVectors];
  HWY_UNROLL(18)
  for (int v = 0; v < kVectors; ++v) {
    grid[v] = run.grid + run.offsets[v];
    acc[v] = hn::Load(d, run.sums + v * lanes);
  }
  std::int32_t e = 0;
  for (int s = 0; s < run.segments; ++s) {
    const std::int32_t end = run.ends[s];
    for (; e < end; ++e) {
      const V value = hn::Set(d, values[e]);
      const std::int64_t offset = vectors[e];
      HWY_UNROLL(18)
      for (int v = 0; v < kVectors; ++v) {
        acc[v] = Step<kRounding, kBound>(d, value, hn::LoadU(d, grid[v] + offset), acc[v], k);
      }
    }
    if (s < run.chunk_ends) {
      HWY_UNROLL(18)
      for (int v = 0; v < kVectors; ++v) hn::Store(acc[v], d, run.sums + v * lanes);
      for (int v = 0; v < kVectors; ++v) {
        T* const total = run.totals + v * lanes;
        const V sum = hn::Load(d, run.sums + v * lanes);
        hn::Store(AddChunk(d, sum, hn::Load(d, total), second), d, total);
      }
      HWY_UNROLL(18)
      for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
    }
  }
  HWY_UNROLL(18)
  for (int v = 0; v < kVectors; ++v) hn::Store(acc[v], d, run.sums + v * lanes);
}

template <LaneRounding kRounding, LaneBound kBound>
void SetFunctions(StreamKernel<float>& kernel) {
  kernel.run = &RunAnyStream<kRounding, kBound, float>;
  kernel.run_list[0] = &RunList<kRounding, kBound, kListVectors[0], float>;
  kernel.run_list[1] = &RunList<kRounding, kBound, kListVectors[1], float>;
  kernel.run_list[2] = &RunList<kRounding, kBound, kListVectors[2], float>;
  if constexpr (HWY_TARGET <= HWY_AVX3) {
    kernel.run_list[3] = &RunList<kRounding, kBound, kListVectors[3], float>;
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
