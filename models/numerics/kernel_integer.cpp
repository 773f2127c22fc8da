// Integer lanes for fixed-point accumulators, for every vector target, and their run-time dispatch.
#include "models/numerics/kernel_integer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_integer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
using IntegerLanes = hn::ScalableTag<T>;

inline constexpr int kIntegerRows = HWY_TARGET <= HWY_AVX3 ? 8 : (HWY_TARGET <= HWY_AVX2 ? 6 : 2);
inline constexpr int kNarrowIntegerRows = HWY_TARGET <= HWY_AVX2 ? kMaxTileRows : 3;

template <bool kNarrower, class D, class V>
HWY_INLINE V InRange(D d, V sum, std::int16_t low, std::int16_t high) {
  if constexpr (kNarrower) return hn::Min(hn::Max(sum, hn::Set(d, low)), hn::Set(d, high));
  return sum;
}

/// acc <- saturate(acc + a * b): the product fits 16 bits, the instruction saturates.
template <bool kNarrower, int kRows, int kVectors>
HWY_NOINLINE void RunSaturating(const IntegerLimits& limits,
                                const IntegerWork<std::int16_t>& work) {
  const IntegerLanes<std::int16_t> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V acc[kRows][kVectors];
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v)
      acc[r][v] = hn::LoadU(d, work.sums + (r * kVectors + v) * lanes);
  }
  for (std::int64_t s = 0; s < work.segment_count; ++s) {
    const Segment& segment = work.segments[s];
    const std::int16_t* HWY_RESTRICT b = work.b + segment.k * work.b_step;
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
          const V sum = hn::SaturatedAdd(acc[r][v], hn::Mul(a_lane, b_lane[v]));
          acc[r][v] = InRange<kNarrower>(d, sum, limits.low, limits.high);
        }
      }
      a_index += work.a_step;
      b += work.b_step;
    }
    if (segment.ends_chunk) {
      for (int r = 0; r < kRows; ++r) {
        HWY_UNROLL(2)
        for (int v = 0; v < kVectors; ++v) {
          std::int16_t* total = work.totals + (r * kVectors + v) * lanes;
          const V sum = hn::SaturatedAdd(acc[r][v], hn::LoadU(d, total));
          hn::StoreU(InRange<true>(d, sum, limits.second_low, limits.second_high), d, total);
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

/// Two codes of A, side by side in memory, as one 32-bit word.
HWY_INLINE std::int32_t PairAt(const std::int16_t* codes) {
  std::int32_t pair;
  hwy::CopyBytes<4>(codes, &pair);
  return pair;
}

/// acc + a0 * b0 + a1 * b1 in every 32-bit lane.
template <class D, class V>
HWY_INLINE V AddPairs(D d, std::int32_t a, const std::int16_t* HWY_RESTRICT b, V acc) {
#if HWY_TARGET == HWY_SCALAR
  std::int16_t pair[2];
  hwy::CopyBytes<4>(&a, pair);
  const std::int64_t sum = std::int64_t{hn::GetLane(acc)} + pair[0] * b[0] + pair[1] * b[1];
  return hn::Set(d, static_cast<std::int32_t>(static_cast<std::uint32_t>(sum)));
#else
  const hn::Repartition<std::int16_t, D> d16;
  V unused = hn::Zero(d);
  return hn::ReorderWidenMulAccumulate(d, hn::BitCast(d16, hn::Set(d, a)), hn::LoadU(d16, b), acc,
                                       unused);
#endif
}

template <int kRows, int kVectors>
HWY_NOINLINE void RunPairs(const IntegerLimits& /*limits*/, const IntegerWork<std::int32_t>& work) {
  const IntegerLanes<std::int32_t> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V acc[kRows][kVectors];
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v)
      acc[r][v] = hn::LoadU(d, work.sums + (r * kVectors + v) * lanes);
  }
  for (std::int64_t s = 0; s < work.segment_count; ++s) {
    const Segment& segment = work.segments[s];
    const std::int16_t* HWY_RESTRICT b = work.b + segment.k * work.b_step;
    std::int64_t a_index = segment.a_offset;
    for (std::int32_t i = 0; i < segment.length; ++i) {
      HWY_UNROLL(12)
      for (int r = 0; r < kRows; ++r) {
        const std::int32_t a = PairAt(work.a_rows[r] + a_index);
        HWY_UNROLL(2)
        for (int v = 0; v < kVectors; ++v)
          acc[r][v] = AddPairs(d, a, b + std::int64_t{2} * v * lanes, acc[r][v]);
      }
      a_index += 2;
      b += work.b_step;
    }
  }
  HWY_UNROLL(12)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v)
      hn::StoreU(acc[r][v], d, work.sums + (r * kVectors + v) * lanes);
  }
}

IntegerKernel<std::int16_t> SelectSaturating(std::int64_t n, bool narrower) {
  const int lanes = static_cast<int>(hn::Lanes(IntegerLanes<std::int16_t>()));
  IntegerKernel<std::int16_t> kernel;
  if (n <= lanes) {
    kernel.run = narrower ? &RunSaturating<true, kNarrowIntegerRows, 1>
                          : &RunSaturating<false, kNarrowIntegerRows, 1>;
    kernel.rows = kNarrowIntegerRows;
    kernel.columns = lanes;
  } else {
    kernel.run =
        narrower ? &RunSaturating<true, kIntegerRows, 2> : &RunSaturating<false, kIntegerRows, 2>;
    kernel.rows = kIntegerRows;
    kernel.columns = 2 * lanes;
  }
  return kernel;
}

IntegerKernel<std::int32_t> SelectPairs(std::int64_t n) {
  const int lanes = static_cast<int>(hn::Lanes(IntegerLanes<std::int32_t>()));
  if (n <= lanes) return {&RunPairs<kNarrowIntegerRows, 1>, kNarrowIntegerRows, lanes};
  return {&RunPairs<kIntegerRows, 2>, kIntegerRows, 2 * lanes};
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectSaturating);
HWY_EXPORT(SelectPairs);

IntegerKernel<std::int16_t> select_saturating_tile(std::int64_t n, bool narrower) {
  return HWY_DYNAMIC_DISPATCH(SelectSaturating)(n, narrower);
}
IntegerKernel<std::int32_t> select_pair_tile(std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(SelectPairs)(n);
}

}  // namespace narrowmac
#endif
