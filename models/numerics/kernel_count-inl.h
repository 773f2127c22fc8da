// The instrumented kernels: the bits of kernel_tile-inl.h with every step counted. Compiled once
// per vector target.
#if defined(NARROWMAC_KERNEL_COUNT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NARROWMAC_KERNEL_COUNT_INL_H
#undef NARROWMAC_KERNEL_COUNT_INL_H
#else
#define NARROWMAC_KERNEL_COUNT_INL_H
#endif

#include "models/numerics/kernel_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

inline constexpr int kCountingRows = 4;

/// Counters per lane, as small integers in floating point: emptied before they could lose a one.
template <class D>
struct CountVectors {
  using T = hn::TFromD<D>;
  using V = hn::Vec<D>;
  V steps, full_swamped, partial_swamped, overflowed, underflowed;
  std::int64_t pending = 0;

  HWY_INLINE explicit CountVectors(D d)
      : steps(hn::Zero(d)),
        full_swamped(hn::Zero(d)),
        partial_swamped(hn::Zero(d)),
        overflowed(hn::Zero(d)),
        underflowed(hn::Zero(d)) {}

  static std::int64_t Take(D d, V& counter) {
    const std::int64_t total = static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(d, counter)));
    counter = hn::Zero(d);
    return total;
  }
  void Empty(D d, LaneCounts& counts, bool products) {
    const std::int64_t taken = Take(d, steps);
    counts.steps += taken;
    if (products) counts.nonzero_products += taken;
    counts.full_swamped += Take(d, full_swamped);
    counts.partial_swamped += Take(d, partial_swamped);
    counts.overflowed += Take(d, overflowed);
    counts.underflowed += Take(d, underflowed);
    pending = 0;
  }
};

/// Counts one addition acc + addend -> rounded (before clamping). The sum was exact iff both
/// differences give the addends back: with significands of at most L - 2 bits (or rounded =
/// RN_L(acc + addend)) no error can hide.
template <class D, class V, class M>
HWY_INLINE void CountStep(D d, V acc, V addend, V rounded, M observed,
                          const CountingLimits<hn::TFromD<D>>& limits, CountVectors<D>& counts) {
  const V one = hn::Set(d, hn::TFromD<D>{1});
  const M step = hn::And(observed, hn::Ne(addend, hn::Zero(d)));
  const M overflow = hn::And(step, hn::Or(hn::Gt(rounded, hn::Set(d, limits.high)),
                                          hn::Lt(rounded, hn::Set(d, limits.low))));
  const M exact =
      hn::And(hn::Eq(hn::Sub(rounded, acc), addend), hn::Eq(hn::Sub(rounded, addend), acc));
  const M lossy = hn::AndNot(exact, hn::AndNot(overflow, step));
  const M unchanged = hn::Eq(rounded, acc);
  const M tiny = hn::Lt(hn::Abs(rounded), hn::Set(d, limits.smallest_normal));
  counts.steps = hn::Add(counts.steps, hn::IfThenElseZero(step, one));
  counts.overflowed = hn::Add(counts.overflowed, hn::IfThenElseZero(overflow, one));
  counts.full_swamped =
      hn::Add(counts.full_swamped, hn::IfThenElseZero(hn::And(lossy, unchanged), one));
  counts.partial_swamped =
      hn::Add(counts.partial_swamped, hn::IfThenElseZero(hn::AndNot(unchanged, lossy), one));
  counts.underflowed = hn::Add(counts.underflowed, hn::IfThenElseZero(hn::And(lossy, tiny), one));
}

template <class D, class V, class M>
HWY_INLINE V CountedAddChunk(D d, V sum, V total, const LaneStep<hn::TFromD<D>>& step, M observed,
                             const CountingLimits<hn::TFromD<D>>& limits, CountVectors<D>& counts) {
  LaneStep<hn::TFromD<D>> unclamped = step;
  unclamped.clamp = false;
  const V rounded = AddChunk(d, sum, total, unclamped);
  CountStep(d, total, sum, rounded, observed, limits, counts);
  const StepVectors<D> k(d, step);
  return step.clamp ? Clamped<true, D>(rounded, k) : rounded;
}

template <LaneRounding kRounding, typename T>
HWY_NOINLINE void RunCountingTile(const LaneStep<T>& first, const LaneStep<T>& second,
                                  const CountingWork<T>& counting, LaneCounts& counts) {
  const Lanes<T> d;
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  const TileWork<T>& work = counting.tile;
  const StepVectors<D> k(d, first);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto observed = hn::FirstN(d, static_cast<std::size_t>(counting.columns));
  CountVectors<D> products(d);
  CountVectors<D> chunks(d);
  V acc[kCountingRows];
  for (int r = 0; r < kCountingRows; ++r) acc[r] = hn::LoadU(d, work.sums + r * lanes);
  for (std::int64_t s = 0; s < work.segment_count; ++s) {
    const Segment& segment = work.segments[s];
    const T* HWY_RESTRICT b = work.b + segment.k * work.b_step;
    std::int64_t a_index = segment.a_offset;
    for (std::int32_t i = 0; i < segment.length; ++i) {
      const V b_lane = hn::LoadU(d, b);
      HWY_UNROLL(4)
      for (int r = 0; r < kCountingRows; ++r) {
        if (r >= counting.rows) continue;
        const V a_lane = hn::Set(d, work.a_rows[r][a_index]);
        const V rounded = RoundedSum<kRounding>(d, a_lane, b_lane, acc[r], k);
        CountStep(d, acc[r], hn::Mul(a_lane, b_lane), rounded, observed, counting.first, products);
        acc[r] = first.clamp ? Clamped<true, D>(rounded, k) : rounded;
      }
      a_index += work.a_step;
      b += work.b_step;
      products.pending += kCountingRows;
      if (products.pending >= (1 << 20)) products.Empty(d, counts, true);
    }
    if (segment.ends_chunk) {
      for (int r = 0; r < counting.rows; ++r) {
        T* total = work.totals + r * lanes;
        hn::StoreU(CountedAddChunk(d, acc[r], hn::LoadU(d, total), second, observed,
                                   counting.second, chunks),
                   d, total);
        acc[r] = hn::Zero(d);
      }
      chunks.pending += kCountingRows;
      if (chunks.pending >= (1 << 20)) chunks.Empty(d, counts, false);
    }
  }
  products.Empty(d, counts, true);
  chunks.Empty(d, counts, false);
  for (int r = 0; r < kCountingRows; ++r) hn::StoreU(acc[r], d, work.sums + r * lanes);
}

template <typename T>
CountingKernel<T> SelectCountingTile(LaneRounding rounding) {
  const int lanes = static_cast<int>(hn::Lanes(Lanes<T>()));
  switch (rounding) {
    case LaneRounding::Significand:
      return {&RunCountingTile<LaneRounding::Significand, T>, kCountingRows, lanes};
    case LaneRounding::Repaired:
      return {&RunCountingTile<LaneRounding::Repaired, T>, kCountingRows, lanes};
    case LaneRounding::Gradual:
      return {&RunCountingTile<LaneRounding::Gradual, T>, kCountingRows, lanes};
    case LaneRounding::Quantum:
      return {&RunCountingTile<LaneRounding::Quantum, T>, kCountingRows, lanes};
    case LaneRounding::Flush:
      return {&RunCountingTile<LaneRounding::Flush, T>, kCountingRows, lanes};
    case LaneRounding::RepairedFlush:
      return {&RunCountingTile<LaneRounding::RepairedFlush, T>, kCountingRows, lanes};
    default:
      return {&RunCountingTile<LaneRounding::None, T>, kCountingRows, lanes};
  }
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
