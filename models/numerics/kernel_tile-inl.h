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
  V scale, scale_less_one, smallest_normal, gradual_factor, magic, low, high, exponent_mask, huge;

  HWY_INLINE StepVectors(D d, const LaneStep<T>& step)
      : scale(hn::Set(d, step.scale)),
        scale_less_one(hn::Set(d, step.scale_less_one)),
        smallest_normal(hn::Set(d, step.smallest_normal)),
        gradual_factor(hn::Set(d, step.gradual_factor)),
        magic(hn::Set(d, step.magic)),
        low(hn::Set(d, step.low)),
        high(hn::Set(d, step.high)),
        exponent_mask(hn::Set(d, std::numeric_limits<T>::infinity())),
        huge(hn::Set(d, std::numeric_limits<T>::max())) {}
};

/// Zero of the sum's sign for a magnitude below 2^emin.
template <class D, class V>
HWY_INLINE V Flushed(D d, V rounded, V x, const StepVectors<D>& k) {
  // Less-than, so that a lane that has become NaN stays so.
  const V kept = hn::IfThenZeroElse(hn::Lt(hn::Abs(rounded), k.smallest_normal), rounded);
  return hn::Or(kept, hn::And(x, hn::SignBit(d)));
}

/// x to nearest even with t = (S - 1) x, S x - t. S x is exact, so both forms of t round once and
/// give the same bits.
template <class D, class V>
HWY_INLINE V SignificandOf(V x, const StepVectors<D>& k) {
#if HWY_TARGET <= HWY_AVX3
  // All arithmetic shares two ports: the fewest operations win.
  return hn::MulSub(x, k.scale, hn::Mul(x, k.scale_less_one));
#else
  // Additions have ports of their own beside those that multiply.
  const V scaled = hn::Mul(x, k.scale);
  return hn::Sub(scaled, hn::Sub(scaled, x));
#endif
}

/// acc rounded after adding a * b, before clamping; x = fma(a, b, acc). See LaneRounding, and
/// docs/numerics.md for the proofs.
template <LaneRounding kRounding, class D, class V>
HWY_INLINE V RoundedFrom(D d, V x, V a, V b, V acc, const StepVectors<D>& k) {
  if constexpr (kRounding == LaneRounding::Significand || kRounding == LaneRounding::Flush) {
    const V rounded = SignificandOf(x, k);
    return kRounding == LaneRounding::Flush ? Flushed(d, rounded, x, k) : rounded;
  } else if constexpr (kRounding == LaneRounding::Repaired ||
                       kRounding == LaneRounding::RepairedFlush) {
    const V error = hn::Sub(acc, hn::NegMulAdd(a, b, x));
    const V rounded = hn::MulSub(x, k.scale, hn::MulSub(x, k.scale_less_one, error));
    return kRounding == LaneRounding::RepairedFlush ? Flushed(d, rounded, x, k) : rounded;
  } else if constexpr (kRounding == LaneRounding::Gradual) {
    // Both products are powers of two times 1.5: exact, fused or not.
    const V g = hn::Max(hn::And(x, k.exponent_mask), k.smallest_normal);
    const V rounded = hn::NegMulAdd(g, k.gradual_factor, hn::MulAdd(g, k.gradual_factor, x));
    return hn::OrAnd(rounded, x, hn::SignBit(d));
  } else if constexpr (kRounding == LaneRounding::Quantum) {
    return hn::Sub(hn::Add(x, k.magic), k.magic);
  } else {
    return x;
  }
}

template <LaneRounding kRounding, class D, class V>
HWY_INLINE V RoundedSum(D d, V a, V b, V acc, const StepVectors<D>& k) {
  return RoundedFrom<kRounding>(d, hn::MulAdd(a, b, acc), a, b, acc, k);
}

template <bool kClamp, class D, class V>
HWY_INLINE V Clamped(V value, const StepVectors<D>& k) {
  if constexpr (kClamp) return hn::Min(hn::Max(value, k.low), k.high);
  return value;
}

/// Infinity of x's sign where a rounded sum is beyond the range, or no number because x is
/// infinite.
template <class D, class V>
HWY_INLINE V ToInfinity(V rounded, V x, const StepVectors<D>& k) {
  return hn::IfThenElse(hn::Le(hn::Abs(rounded), k.high), rounded, hn::Mul(x, k.huge));
}

/// One step: acc + a * b, rounded and kept in range.
template <LaneRounding kRounding, LaneBound kBound, class D, class V>
HWY_INLINE V Step(D d, V a, V b, V acc, const StepVectors<D>& k) {
  const V x = hn::MulAdd(a, b, acc);
  const V rounded = RoundedFrom<kRounding>(d, x, a, b, acc, k);
  if constexpr (kBound == LaneBound::Infinity) return ToInfinity<D>(rounded, x, k);
  return Clamped<kBound == LaneBound::Clamp, D>(rounded, k);
}

/// The second level's addition, chosen at run time: it happens once per chunk.
template <class D, class V>
HWY_INLINE V AddChunk(D d, V sum, V total, const LaneStep<hn::TFromD<D>>& step) {
  const StepVectors<D> k(d, step);
  const V one = hn::Set(d, hn::TFromD<D>{1});
  V result = total;
  switch (step.rounding) {
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
    default:
      result = RoundedSum<LaneRounding::None>(d, sum, one, total, k);
      break;
  }
  if (step.to_infinity) return ToInfinity<D>(result, hn::Add(sum, total), k);
  return step.clamp ? Clamped<true, D>(result, k) : result;
}

/// A tile's sums in registers.
template <int kRows, int kVectors, class V>
struct TileSums {
  V v[kRows][kVectors];
};

/// True if no sum of the tile can leave the range within the guard's steps.
template <int kRows, int kVectors, class D, class V>
HWY_INLINE bool InGuard(D d, const TileSums<kRows, kVectors, V>& acc,
                        const LaneStep<hn::TFromD<D>>& step) {
  V low = acc.v[0][0];
  V high = acc.v[0][0];
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) {
      low = hn::Min(low, acc.v[r][v]);
      high = hn::Max(high, acc.v[r][v]);
    }
  }
  const auto outside =
      hn::Or(hn::Lt(low, hn::Set(d, step.guard_low)), hn::Gt(high, hn::Set(d, step.guard_high)));
  return hn::AllFalse(d, outside);
}

/// `count` products from one segment: the hot loop of the project.
template <LaneRounding kRounding, LaneBound kBound, int kRows, int kVectors, class D, class V>
HWY_INLINE void Steps(D d, const TileWork<hn::TFromD<D>>& work, const StepVectors<D>& k,
                      std::int64_t a_index, const hn::TFromD<D>* HWY_RESTRICT b, std::int64_t count,
                      TileSums<kRows, kVectors, V>& acc) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < count; ++i) {
    V b_lane[kVectors];
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) b_lane[v] = hn::LoadU(d, b + v * lanes);
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) {
      const V a_lane = hn::Set(d, work.a_rows[r][a_index]);
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) {
        acc.v[r][v] = Step<kRounding, kBound>(d, a_lane, b_lane[v], acc.v[r][v], k);
      }
    }
    a_index += work.a_step;
    b += work.b_step;
  }
}

/// kRows x (kVectors * lanes) outputs in registers. Blocks of steps that are proven to stay inside
/// the range run without its bounds.
template <LaneRounding kRounding, int kRows, int kVectors, typename T>
HWY_NOINLINE void RunTile(const LaneStep<T>& first, const LaneStep<T>& second,
                          const TileWork<T>& work) {
  constexpr bool kMayBeInfinite =
      kRounding != LaneRounding::None && kRounding != LaneRounding::Quantum;
  const Lanes<T> d;
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  const StepVectors<D> k(d, first);
  const V start = hn::Set(d, first.start);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  TileSums<kRows, kVectors, V> acc;
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v)
      acc.v[r][v] = hn::LoadU(d, work.sums + (r * kVectors + v) * lanes);
  }
  for (std::int64_t s = 0; s < work.segment_count; ++s) {
    const Segment& segment = work.segments[s];
    const bool bounded = first.clamp || first.to_infinity;
    const bool guarded = bounded && first.guard_steps > 0;
    const std::int64_t block = guarded ? first.guard_steps : segment.length;
    for (std::int64_t i = 0; i < segment.length; i += block) {
      const std::int64_t count = HWY_MIN(block, segment.length - i);
      const std::int64_t a_index = segment.a_offset + i * work.a_step;
      const T* b = work.b + (segment.k + i) * work.b_step;
      if (!bounded || (guarded && InGuard(d, acc, first))) {
        Steps<kRounding, LaneBound::None>(d, work, k, a_index, b, count, acc);
      } else if (kMayBeInfinite && first.to_infinity) {
        Steps<kRounding, kMayBeInfinite ? LaneBound::Infinity : LaneBound::Clamp>(
            d, work, k, a_index, b, count, acc);
      } else {
        Steps<kRounding, LaneBound::Clamp>(d, work, k, a_index, b, count, acc);
      }
    }
    if (segment.ends_chunk) {
      for (int r = 0; r < kRows; ++r) {
        HWY_UNROLL(2)
        for (int v = 0; v < kVectors; ++v) {
          T* total = work.totals + (r * kVectors + v) * lanes;
          const V sum = hn::Sub(acc.v[r][v], start);
          hn::StoreU(AddChunk(d, sum, hn::LoadU(d, total), second), d, total);
          acc.v[r][v] = start;
        }
      }
    }
  }
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v)
      hn::StoreU(acc.v[r][v], d, work.sums + (r * kVectors + v) * lanes);
  }
}

/// The second level on its own.
template <typename T>
void AddSums(const LaneStep<T>& first, const LaneStep<T>& second, const TileWork<T>& work, int rows,
             int columns, std::int64_t /*chunk*/) {
  const Lanes<T> d;
  const std::int64_t size = std::int64_t{rows} * columns;
  const auto start = hn::Set(d, first.start);
  for (std::int64_t i = 0; i < size; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    auto sum = hn::Sub(hn::LoadU(d, work.sums + i), start);
    if (first.positive_zero) sum = hn::IfThenElseZero(hn::Ne(sum, hn::Zero(d)), sum);
    hn::StoreU(AddChunk(d, sum, hn::LoadU(d, work.totals + i), second), d, work.totals + i);
    hn::StoreU(start, d, work.sums + i);
  }
}

// Eight rows of two 512-bit vectors leave room for the constants in 32 registers, six rows in 16
// registers. Older instructions get small tiles: they are there for their bits, not for speed.
inline constexpr bool kFastTarget = HWY_TARGET <= HWY_AVX2;
inline constexpr int kWideRows = HWY_TARGET <= HWY_AVX3 ? 8 : (kFastTarget ? 6 : 2);
inline constexpr int kNarrowRows = kFastTarget ? kMaxTileRows : 3;

template <LaneRounding kRounding, typename T>
TileKernel<T> TileOfRounding(std::int64_t n) {
  const int lanes = static_cast<int>(hn::Lanes(Lanes<T>()));
  if (n <= lanes) return {&RunTile<kRounding, kNarrowRows, 1, T>, kNarrowRows, lanes};
  return {&RunTile<kRounding, kWideRows, 2, T>, kWideRows, 2 * lanes};
}

template <typename T>
TileKernel<T> SelectTile(std::int64_t n, LaneRounding rounding) {
  switch (rounding) {
    case LaneRounding::Significand:
      return TileOfRounding<LaneRounding::Significand, T>(n);
    case LaneRounding::Repaired:
      return TileOfRounding<LaneRounding::Repaired, T>(n);
    case LaneRounding::Gradual:
      return TileOfRounding<LaneRounding::Gradual, T>(n);
    case LaneRounding::Quantum:
      return TileOfRounding<LaneRounding::Quantum, T>(n);
    case LaneRounding::Flush:
      return TileOfRounding<LaneRounding::Flush, T>(n);
    case LaneRounding::RepairedFlush:
      return TileOfRounding<LaneRounding::RepairedFlush, T>(n);
    default:
      return TileOfRounding<LaneRounding::None, T>(n);
  }
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
