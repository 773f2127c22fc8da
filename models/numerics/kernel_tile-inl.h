// The register-tile kernels, compiled once per vector target: included by kernel_float32.cpp and
// kernel_float64.cpp inside Highway's per-target passes, hence the guard that toggles instead of an
// include guard.
#if defined(NARROWMAC_KERNEL_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NARROWMAC_KERNEL_TILE_INL_H
#undef NARROWMAC_KERNEL_TILE_INL_H
#else
#define NARROWMAC_KERNEL_TILE_INL_H
#endif

#include <hwy/highway.h>

#include "models/numerics/kernel.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
using Lanes = hn::ScalableTag<T>;

/// LaneStep broadcast over the lanes.
template <class D>
struct StepVectors {
  using T = hn::TFromD<D>;
  using V = hn::Vec<D>;
  V scale, scale_less_one, smallest_normal, gradual_factor, magic, low, high, exponent_mask;

  HWY_INLINE StepVectors(D d, const LaneStep<T>& step)
      : scale(hn::Set(d, step.scale)),
        scale_less_one(hn::Set(d, step.scale_less_one)),
        smallest_normal(hn::Set(d, step.smallest_normal)),
        gradual_factor(hn::Set(d, step.gradual_factor)),
        magic(hn::Set(d, step.magic)),
        low(hn::Set(d, step.low)),
        high(hn::Set(d, step.high)),
        exponent_mask(hn::Set(d, std::numeric_limits<T>::infinity())) {}
};

/// Zero of the sum's sign for a magnitude below 2^emin.
template <class D, class V>
HWY_INLINE V Flushed(D d, V rounded, V x, const StepVectors<D>& k) {
  // Less-than, so that a lane that has become NaN stays so.
  const V kept = hn::IfThenZeroElse(hn::Lt(hn::Abs(rounded), k.smallest_normal), rounded);
  return hn::Or(kept, hn::And(x, hn::SignBit(d)));
}

/// acc rounded after adding a * b, before clamping. See LaneRounding, and docs/numerics.md for the
/// proofs.
template <LaneRounding kRounding, class D, class V>
HWY_INLINE V RoundedSum(D d, V a, V b, V acc, const StepVectors<D>& k) {
  const V x = hn::MulAdd(a, b, acc);
  if constexpr (kRounding == LaneRounding::Significand || kRounding == LaneRounding::Flush) {
    const V rounded = hn::MulSub(x, k.scale, hn::Mul(x, k.scale_less_one));
    return kRounding == LaneRounding::Flush ? Flushed(d, rounded, x, k) : rounded;
  } else if constexpr (kRounding == LaneRounding::Repaired ||
                       kRounding == LaneRounding::RepairedFlush) {
    const V error = hn::Sub(acc, hn::NegMulAdd(a, b, x));
    const V rounded = hn::MulSub(x, k.scale, hn::MulSub(x, k.scale_less_one, error));
    return kRounding == LaneRounding::RepairedFlush ? Flushed(d, rounded, x, k) : rounded;
  } else if constexpr (kRounding == LaneRounding::Gradual) {
    const V m = hn::Mul(hn::Max(hn::And(x, k.exponent_mask), k.smallest_normal), k.gradual_factor);
    const V rounded = hn::Sub(hn::Add(x, m), m);
    return hn::Or(rounded, hn::And(x, hn::SignBit(d)));
  } else if constexpr (kRounding == LaneRounding::Quantum) {
    return hn::Sub(hn::Add(x, k.magic), k.magic);
  } else {
    return x;
  }
}

template <bool kClamp, class D, class V>
HWY_INLINE V Clamped(V value, const StepVectors<D>& k) {
  if constexpr (kClamp) return hn::Min(hn::Max(value, k.low), k.high);
  return value;
}

/// The second level's addition, chosen at run time: it happens once per chunk.
template <class D, class V>
HWY_INLINE V AddChunk(D d, V sum, V total, const LaneStep<hn::TFromD<D>>& step) {
  const StepVectors<D> k(d, step);
  const V one = hn::Set(d, hn::TFromD<D>{1});
  V result = total;
  switch (step.rounding) {
    case LaneRounding::None:
      result = RoundedSum<LaneRounding::None>(d, sum, one, total, k);
      break;
    case LaneRounding::Significand:
      result = RoundedSum<LaneRounding::Significand>(d, sum, one, total, k);
      break;
    case LaneRounding::Repaired:
      result = RoundedSum<LaneRounding::Repaired>(d, sum, one, total, k);
      break;
    case LaneRounding::Gradual:
      result = RoundedSum<LaneRounding::Gradual>(d, sum, one, total, k);
      break;
    case LaneRounding::Quantum:
      result = RoundedSum<LaneRounding::Quantum>(d, sum, one, total, k);
      break;
    case LaneRounding::Flush:
      result = RoundedSum<LaneRounding::Flush>(d, sum, one, total, k);
      break;
    case LaneRounding::RepairedFlush:
      result = RoundedSum<LaneRounding::RepairedFlush>(d, sum, one, total, k);
      break;
  }
  return step.clamp ? Clamped<true, D>(result, k) : result;
}

/// kRows x (kVectors * lanes) outputs in registers. The loop over k is the hot loop of the project.
template <LaneRounding kRounding, bool kClamp, int kRows, int kVectors, typename T>
HWY_NOINLINE void RunTile(const LaneStep<T>& first, const LaneStep<T>& second,
                          const TileWork<T>& work) {
  const Lanes<T> d;
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  const StepVectors<D> k(d, first);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V acc[kRows][kVectors];
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v)
      acc[r][v] = hn::LoadU(d, work.sums + (r * kVectors + v) * lanes);
  }
  const std::int64_t a_step = work.a_step;
  for (std::int64_t s = 0; s < work.segment_count; ++s) {
    const Segment& segment = work.segments[s];
    const T* HWY_RESTRICT b = work.b + segment.k * work.b_step;
    std::int64_t a_index = segment.a_offset;
    for (std::int32_t i = 0; i < segment.length; ++i) {
      V b_lane[kVectors];
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) b_lane[v] = hn::LoadU(d, b + v * lanes);
      HWY_UNROLL(12)
      for (int r = 0; r < kRows; ++r) {
        const V a_lane = hn::Set(d, work.a_rows[r][a_index]);
        HWY_UNROLL(2)
        for (int v = 0; v < kVectors; ++v) {
          acc[r][v] =
              Clamped<kClamp, D>(RoundedSum<kRounding>(d, a_lane, b_lane[v], acc[r][v], k), k);
        }
      }
      a_index += a_step;
      b += work.b_step;
    }
    if (segment.ends_chunk) {
      for (int r = 0; r < kRows; ++r) {
        HWY_UNROLL(2)
        for (int v = 0; v < kVectors; ++v) {
          T* total = work.totals + (r * kVectors + v) * lanes;
          hn::StoreU(AddChunk(d, acc[r][v], hn::LoadU(d, total), second), d, total);
          acc[r][v] = hn::Zero(d);
        }
      }
    }
  }
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v)
      hn::StoreU(acc[r][v], d, work.sums + (r * kVectors + v) * lanes);
  }
}

// Eight rows of two 512-bit vectors leave room for the constants in 32 registers, six rows in 16
// registers.
inline constexpr int kWideRows = HWY_TARGET <= HWY_AVX3 ? 8 : 6;

template <LaneRounding kRounding, bool kClamp, typename T>
TileKernel<T> TileOfRounding(std::int64_t n) {
  const int lanes = static_cast<int>(hn::Lanes(Lanes<T>()));
  if (n <= lanes) return {&RunTile<kRounding, kClamp, kMaxTileRows, 1, T>, kMaxTileRows, lanes};
  return {&RunTile<kRounding, kClamp, kWideRows, 2, T>, kWideRows, 2 * lanes};
}

template <bool kClamp, typename T>
TileKernel<T> SelectTile(std::int64_t n, LaneRounding rounding) {
  switch (rounding) {
    case LaneRounding::Significand:
      return TileOfRounding<LaneRounding::Significand, kClamp, T>(n);
    case LaneRounding::Repaired:
      return TileOfRounding<LaneRounding::Repaired, kClamp, T>(n);
    case LaneRounding::Gradual:
      return TileOfRounding<LaneRounding::Gradual, kClamp, T>(n);
    case LaneRounding::Quantum:
      return TileOfRounding<LaneRounding::Quantum, kClamp, T>(n);
    case LaneRounding::Flush:
      return TileOfRounding<LaneRounding::Flush, kClamp, T>(n);
    case LaneRounding::RepairedFlush:
      return TileOfRounding<LaneRounding::RepairedFlush, kClamp, T>(n);
    default:
      return TileOfRounding<LaneRounding::None, kClamp, T>(n);
  }
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
