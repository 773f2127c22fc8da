// The kernels of the gradient GEMM for every vector target, and their run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_gradient.cpp"
#include "models/numerics/kernel_gradient.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "models/numerics/kernel_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

/// One vector's worth of a pixel's channels.
template <class D, class M>
HWY_INLINE std::int32_t Append(D d, hn::Vec<D> values, M nonzero, std::int32_t first_sum,
                               hn::Vec<hn::RebindToSigned<D>> sum_steps, std::int32_t vectors,
                               const ScalarStream<float>& stream, std::int32_t count) {
  const hn::RebindToSigned<D> di;
  hn::StoreU(hn::Compress(values, nonzero), d, stream.values + count);
  const auto sums = hn::Add(hn::Set(di, first_sum), sum_steps);
  hn::StoreU(hn::Compress(sums, hn::RebindMask(di, nonzero)), di, stream.sums + count);
  hn::StoreU(hn::Set(di, vectors), di, stream.vectors + count);
  return count + static_cast<std::int32_t>(hn::CountTrue(d, nonzero));
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
/// cache. kStrips 0: any number.
template <LaneRounding kRounding, bool kClamp, int kVectors, int kStrips, typename T>
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
  const int strips = kStrips > 0 ? kStrips : work.strips;
  const std::int32_t end = work.end;
  for (std::int32_t e = work.begin; e < end; ++e) {
    const V value = hn::Set(d, values[e]);
    const T* const base = grid + vector_offsets[e];
    T* line = sums + sum_offsets[e];
    HWY_UNROLL(3)
    for (int s = 0; s < strips; ++s) {
      const T* const strip = base + strip_offsets[s];
      V acc[kVectors];
      HWY_UNROLL(6)
      for (int v = 0; v < kVectors; ++v) {
        const V sum = hn::Load(d, line + v * lanes);
        acc[v] = Clamped<kClamp, D>(
            RoundedSum<kRounding>(d, value, hn::LoadU(d, strip + v * lanes), sum, k), k);
      }
      HWY_UNROLL(6)
      for (int v = 0; v < kVectors; ++v) hn::Store(acc[v], d, line + v * lanes);
      line += kVectors * lanes;
    }
  }
}

template <LaneRounding kRounding, bool kClamp, typename T>
void RunAnyStream(const LaneStep<T>& first, const StreamWork<T>& work) {
  switch (work.strip_vectors) {
    case 6:
      return RunStream<kRounding, kClamp, 6, 0>(first, work);
    case 4:
      return RunStream<kRounding, kClamp, 4, 0>(first, work);
    case 3:
      return RunStream<kRounding, kClamp, 3, 0>(first, work);
    case 2:
      return RunStream<kRounding, kClamp, 2, 0>(first, work);
    default:
      return RunStream<kRounding, kClamp, 1, 0>(first, work);
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

template <bool kClamp>
StreamFunction<float> StreamOfRounding(LaneRounding rounding) {
  switch (rounding) {
    case LaneRounding::Significand:
      return &RunAnyStream<LaneRounding::Significand, kClamp, float>;
    case LaneRounding::Repaired:
      return &RunAnyStream<LaneRounding::Repaired, kClamp, float>;
    case LaneRounding::Gradual:
      return &RunAnyStream<LaneRounding::Gradual, kClamp, float>;
    case LaneRounding::Quantum:
      return &RunAnyStream<LaneRounding::Quantum, kClamp, float>;
    case LaneRounding::Flush:
      return &RunAnyStream<LaneRounding::Flush, kClamp, float>;
    case LaneRounding::RepairedFlush:
      return &RunAnyStream<LaneRounding::RepairedFlush, kClamp, float>;
    default:
      return &RunAnyStream<LaneRounding::None, kClamp, float>;
  }
}

StreamKernel<float> SelectStream(LaneRounding rounding, bool clamp) {
  StreamKernel<float> kernel;
  kernel.compress = &CompressPixels;
  kernel.run = clamp ? StreamOfRounding<true>(rounding) : StreamOfRounding<false>(rounding);
  kernel.flush = &FlushSums;
  kernel.lanes = static_cast<int>(hn::Lanes(Lanes<float>()));
  return kernel;
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectStream);

StreamKernel<float> select_stream_kernel(LaneRounding rounding, bool clamp) {
  return HWY_DYNAMIC_DISPATCH(SelectStream)(rounding, clamp);
}

}  // namespace narrowmac
#endif
