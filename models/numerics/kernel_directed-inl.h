// Register tiles whose lanes round toward zero (or down), so that x = fma(a, b, acc) begins with
// the bits of the exact sum; an integer added to those bits then makes every rounding but nearest
// even. Compiled once per vector target.
#if defined(NARROWMAC_KERNEL_DIRECTED_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NARROWMAC_KERNEL_DIRECTED_INL_H
#undef NARROWMAC_KERNEL_DIRECTED_INL_H
#else
#define NARROWMAC_KERNEL_DIRECTED_INL_H
#endif

#include "models/numerics/kernel_directed.h"
#include "models/numerics/kernel_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

template <class D>
using WordsOf = hn::Vec<hn::RebindToUnsigned<D>>;

/// The Directed part of a LaneStep, broadcast.
template <class D>
struct DirectedVectors {
  using T = hn::TFromD<D>;
  using DU = hn::RebindToUnsigned<D>;
  using Word = hn::TFromD<DU>;
  hn::Vec<D> offset, offset_below, flush_below, low, high, above_high, below_low;
  hn::Vec<D> align_scale, smallest_normal, exponent_mask;
  hn::Vec<DU> keep;
  hn::Vec<DU> added;  ///< Half: half a unit; Negative: all that is dropped; Random: its bits' mask

  HWY_INLINE DirectedVectors(D d, const LaneStep<T>& step)
      : offset(hn::Set(d, step.offset)),
        offset_below(hn::Set(d, step.offset_below)),
        flush_below(hn::Set(d, step.flush_below)),
        low(hn::Set(d, step.low)),
        high(hn::Set(d, step.high)),
        above_high(hn::Set(d, step.above_high)),
        below_low(hn::Set(d, step.below_low)),
        align_scale(hn::Set(d, step.align_scale)),
        smallest_normal(hn::Set(d, step.smallest_normal)),
        exponent_mask(hn::Set(d, std::numeric_limits<T>::infinity())),
        keep(hn::Set(DU(), static_cast<Word>(~Dropped(step)))),
        added(hn::Set(DU(), Added(step))) {}

  static Word Dropped(const LaneStep<T>& step) {
    return static_cast<Word>((Word{1} << step.dropped) - 1);
  }
  static Word Added(const LaneStep<T>& step) {
    switch (step.increment) {
      case LaneIncrement::Half:
        return Word{1} << (step.dropped - 1);
      case LaneIncrement::Negative:
        return Dropped(step);
      case LaneIncrement::Random:
        return static_cast<Word>(((Word{1} << step.random_bits) - 1)
                                 << (step.dropped - step.random_bits));
      default:
        return 0;
    }
  }
};

/// x truncated toward zero to a multiple of the last place of `magic`, which exceeds it, in lanes
/// that round toward zero.
template <class D, class V>
HWY_INLINE V TruncatedAt(D d, V x, V magic) {
  const V signed_magic = hn::OrAnd(magic, x, hn::SignBit(d));
  return hn::Sub(hn::Add(x, signed_magic), signed_magic);
}

/// The addends of truncate-aligned, each truncated at the last guard bit of the larger one, and
/// added: exact.
template <bool kCareful, class D, class V>
HWY_INLINE V AlignedSum(D d, V acc, V addend, const DirectedVectors<D>& k) {
  const V top = hn::Max(hn::And(acc, k.exponent_mask), hn::And(addend, k.exponent_mask));
  const V magic = hn::Mul(hn::Max(top, k.smallest_normal), k.align_scale);
  const V sum = hn::Add(TruncatedAt(d, acc, magic), TruncatedAt(d, addend, magic));
  // Truncation forgets the sign of a zero; it matters if both are negative.
  return kCareful ? hn::OrAnd(sum, hn::And(acc, addend), hn::SignBit(d)) : sum;
}

/// acc + a b as a Directed rounding begins: rounded in the lane's direction.
template <LaneIncrement kIncrement, bool kCareful, class D, class V>
HWY_INLINE V DirectedSum(D d, V a, V b, V acc, const DirectedVectors<D>& k) {
  if constexpr (kIncrement == LaneIncrement::Aligned) {
    return AlignedSum<kCareful>(d, acc, hn::Mul(a, b), k);
  } else {
    return hn::MulAdd(a, b, acc);
  }
}

/// x, the sum rounded in the lane's direction, rounded to the accumulator. kCareful: with what
/// underflow, fixed point and the ends of the range need.
template <LaneIncrement kIncrement, bool kCareful, class D, class V, class W>
HWY_INLINE V DirectedFrom(D d, V x, W random, const DirectedVectors<D>& k) {
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  V offset = hn::Zero(d);
  if constexpr (kCareful) {
    offset = hn::IfThenElseZero(hn::Lt(hn::Abs(x), k.offset_below), k.offset);
    offset = hn::OrAnd(offset, x, hn::SignBit(d));
    x = hn::Add(x, offset);
  }
  W bits = hn::BitCast(du, x);
  if constexpr (kIncrement == LaneIncrement::Half) {
    bits = hn::Add(bits, k.added);
  } else if constexpr (kIncrement == LaneIncrement::Negative) {
    const W negative = hn::BitCast(du, hn::BroadcastSignBit(hn::BitCast(di, x)));
    bits = hn::Add(bits, hn::And(negative, k.added));
  } else if constexpr (kIncrement == LaneIncrement::Random) {
    bits = hn::Add(bits, random);
  }
  V rounded = hn::BitCast(d, hn::And(bits, k.keep));
  if constexpr (kCareful) {
    rounded = hn::Sub(rounded, offset);
    rounded = hn::IfThenZeroElse(hn::Lt(hn::Abs(rounded), k.flush_below), rounded);
    rounded = hn::CopySign(rounded, x);
    rounded = hn::IfThenElse(hn::Gt(rounded, k.high), k.above_high, rounded);
    rounded = hn::IfThenElse(hn::Lt(rounded, k.low), k.below_low, rounded);
  }
  return rounded;
}

template <LaneIncrement kIncrement, bool kCareful, int kRows, int kVectors, class D, class V>
HWY_INLINE void DirectedSteps(D d, const TileWork<hn::TFromD<D>>& work, const DirectedVectors<D>& k,
                              std::int64_t a_index, const hn::TFromD<D>* HWY_RESTRICT b,
                              std::int64_t count, TileSums<kRows, kVectors, V>& acc) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto none = hn::Zero(hn::RebindToUnsigned<D>());
  for (std::int64_t i = 0; i < count; ++i) {
    V b_lane[kVectors];
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) b_lane[v] = hn::LoadU(d, b + v * lanes);
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) {
      const V a_lane = hn::Set(d, work.a_rows[r][a_index]);
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) {
        const V x = DirectedSum<kIncrement, kCareful>(d, a_lane, b_lane[v], acc.v[r][v], k);
        acc.v[r][v] = DirectedFrom<kIncrement, kCareful>(d, x, none, k);
      }
    }
    a_index += work.a_step;
    b += work.b_step;
  }
}

template <int kRows, int kVectors, class D, class V>
HWY_INLINE void LoadSums(D d, const hn::TFromD<D>* sums, TileSums<kRows, kVectors, V>& acc) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v)
      acc.v[r][v] = hn::LoadU(d, sums + (r * kVectors + v) * lanes);
  }
}

template <int kRows, int kVectors, class D, class V>
HWY_INLINE void StoreSums(D d, const TileSums<kRows, kVectors, V>& acc, hn::TFromD<D>* sums) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v)
      hn::StoreU(acc.v[r][v], d, sums + (r * kVectors + v) * lanes);
  }
}

template <LaneIncrement kIncrement, int kRows, int kVectors, typename T>
HWY_NOINLINE void RunDirected(const LaneStep<T>& first, const LaneStep<T>& /*second*/,
                              const TileWork<T>& work) {
  const Lanes<T> d;
  using D = Lanes<T>;
  const DirectedVectors<D> k(d, first);
  TileSums<kRows, kVectors, hn::Vec<D>> acc;
  LoadSums(d, work.sums, acc);
  for (std::int64_t s = 0; s < work.segment_count; ++s) {
    const Segment& segment = work.segments[s];
    const std::int64_t block = first.guard_steps > 0 ? first.guard_steps : segment.length;
    for (std::int64_t i = 0; i < segment.length; i += block) {
      const std::int64_t count = HWY_MIN(block, segment.length - i);
      const std::int64_t a_index = segment.a_offset + i * work.a_step;
      const T* b = work.b + (segment.k + i) * work.b_step;
      if (first.guard_steps > 0 && InGuard(d, acc, first)) {
        DirectedSteps<kIncrement, false>(d, work, k, a_index, b, count, acc);
      } else {
        DirectedSteps<kIncrement, true>(d, work, k, a_index, b, count, acc);
      }
    }
  }
  StoreSums(d, acc, work.sums);
}

template <LaneIncrement kIncrement, typename T>
TileKernel<T> DirectedTile(std::int64_t n) {
  const int lanes = static_cast<int>(hn::Lanes(Lanes<T>()));
  if (n <= lanes) return {&RunDirected<kIncrement, kNarrowRows, 1, T>, kNarrowRows, lanes};
  return {&RunDirected<kIncrement, kWideRows, 2, T>, kWideRows, 2 * lanes};
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
