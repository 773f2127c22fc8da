// The observing kernels: the bits of kernel_tile-inl.h along lists of non-zero factors, with what
// each step loses.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_observe.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h has to be the first header
#include <hwy/highway.h>

#include "models/numerics/kernel_count-inl.h"
#include "models/numerics/kernel_observe.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

/// counter + 1 where the mask is set.
template <class D, class V, class M>
HWY_INLINE V Counted(D d, V counter, M mask) {
#if HWY_TARGET <= HWY_AVX3
  return hn::IfThenElse(mask, hn::Add(counter, hn::Set(d, 1)), counter);
#else
  return hn::Sub(counter, hn::VecFromMask(d, mask));
#endif
}

/// How a step that changed the accumulator is known to be exact.
enum class ExactTest {
  /// rounded - P gives acc back: enough if accumulator and product together have at most L - 1
  /// bits.
  /// docs/numerics.md has the proof.
  Addend,
  Both,  ///< and rounded - acc gives P back
};

/// Steps that changed the accumulator, and of them those that were not exact.
template <class D>
struct LossCounters {
  using Words = hn::RebindToSigned<D>;
  hn::Vec<Words> changed, partial;

  HWY_INLINE LossCounters() : changed(hn::Zero(Words())), partial(hn::Zero(Words())) {}

  template <ExactTest kTest, class V>
  HWY_INLINE void Count(V a, V b, V acc, V rounded) {
    const Words words;
    const auto moved = hn::Ne(rounded, acc);
    auto inexact = hn::Ne(hn::NegMulAdd(a, b, rounded), acc);
    if constexpr (kTest == ExactTest::Both) {
      inexact = hn::Or(inexact, hn::Ne(hn::Sub(rounded, acc), hn::Mul(a, b)));
    }
    changed = Counted(words, changed, hn::RebindMask(words, moved));
    partial = Counted(words, partial, hn::RebindMask(words, hn::And(moved, inexact)));
  }
  static HWY_INLINE std::int64_t Total(hn::Vec<Words> counter) {
    return static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(Words(), counter)));
  }
};

/// The exact sums of one vector of outputs: one or two vectors of double.
template <typename T>
inline constexpr int kWideParts = static_cast<int>(hn::MaxLanes(Lanes<T>()) /
                                                   hn::MaxLanes(hn::ScalableTag<double>()));

template <LaneRounding kRounding, ExactTest kTest, int kVectors, typename T>
HWY_NOINLINE void Observe(const LaneStep<T>& first, const LaneStep<T>& second,
                          const CountingLimits<T>& second_limits, const ObservedWork<T>& work,
                          LaneCounts& counts) {
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  const D d;
  const hn::ScalableTag<double> wide;
  const StepVectors<D> k(d, first);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto wide_lanes = static_cast<std::int64_t>(hn::Lanes(wide));
  constexpr int kWide = kVectors * kWideParts<T>;
  V acc[kVectors];
  hn::Vec<decltype(wide)> exact[kWide];
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) acc[v] = hn::LoadU(d, work.sums + v * lanes);
  HWY_UNROLL(8)
  for (int v = 0; v < kWide; ++v) exact[v] = hn::LoadU(wide, work.exact + v * wide_lanes);
  LossCounters<D> loss;
  CountVectors<D> chunks(d);
  std::int64_t nonzeros = 0;
  for (std::int64_t r = 0; r < work.run_count; ++r) {
    const ObservedRun& run = work.runs[r];
    for (std::int32_t i = run.begin; i < run.end; ++i) {
      const ObservedFactor<T>& factor = work.factors[i];
      const T* HWY_RESTRICT b = work.vectors + factor.k * (kVectors * lanes);
      const double* HWY_RESTRICT b_wide = work.wide_vectors + factor.k * (kVectors * lanes);
      const V a_lane = hn::Set(d, factor.value);
      const auto a_wide = hn::Set(wide, static_cast<double>(factor.value));
      nonzeros += work.nonzeros[factor.k];
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        const V b_lane = hn::LoadU(d, b + v * lanes);
        const V rounded = RoundedSum<kRounding>(d, a_lane, b_lane, acc[v], k);
        loss.template Count<kTest>(a_lane, b_lane, acc[v], rounded);
        acc[v] = rounded;
      }
      HWY_UNROLL(8)
      for (int v = 0; v < kWide; ++v) {
        exact[v] = hn::MulAdd(a_wide, hn::LoadU(wide, b_wide + v * wide_lanes), exact[v]);
      }
    }
    if (!run.ends_chunk) continue;
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      T* total = work.totals + v * lanes;
      hn::StoreU(
          CountedAddChunk(d, acc[v], hn::LoadU(d, total), second,
                          hn::FirstN(d, static_cast<std::size_t>(lanes)), second_limits, chunks),
          d, total);
      acc[v] = hn::Zero(d);
    }
  }
  counts.steps += nonzeros;
  counts.nonzero_products += nonzeros;
  counts.full_swamped += nonzeros - LossCounters<D>::Total(loss.changed);
  counts.partial_swamped += LossCounters<D>::Total(loss.partial);
  chunks.Empty(d, counts, false);
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) hn::StoreU(acc[v], d, work.sums + v * lanes);
  HWY_UNROLL(8)
  for (int v = 0; v < kWide; ++v) hn::StoreU(exact[v], wide, work.exact + v * wide_lanes);
}

/// One k of a panel; returns how many of its elements are not zero.
template <typename T>
std::int32_t PackVectors(const T* from, std::int64_t valid, std::int64_t columns, T* to,
                         double* wide) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<T, decltype(d)> narrow;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t nonzeros = 0;
  std::int64_t c = 0;
  for (; c + lanes <= valid; c += lanes) {
    const auto values = hn::LoadU(narrow, from + c);
    hn::StoreU(values, narrow, to + c);
    if constexpr (sizeof(T) == sizeof(double)) {
      hn::StoreU(values, d, wide + c);
    } else {
      hn::StoreU(hn::PromoteTo(d, values), d, wide + c);
    }
    nonzeros += static_cast<std::int64_t>(hn::CountTrue(narrow, hn::Ne(values, hn::Zero(narrow))));
  }
  for (; c < columns; ++c) {
    to[c] = c < valid ? from[c] : T{0};
    wide[c] = static_cast<double>(to[c]);
    nonzeros += to[c] != 0 ? 1 : 0;
  }
  return static_cast<std::int32_t>(nonzeros);
}

// Four vectors and their exact sums fit 32 registers, two fit 16.
inline constexpr int kObservedVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;

template <LaneRounding kRounding, ExactTest kTest, typename T>
ObservingKernel<T> ObservingOf(std::int64_t n) {
  const int lanes = static_cast<int>(hn::Lanes(Lanes<T>()));
  if (n <= lanes) return {&Observe<kRounding, kTest, 1, T>, &PackVectors<T>, lanes};
  return {&Observe<kRounding, kTest, kObservedVectors, T>, &PackVectors<T>,
          kObservedVectors * lanes};
}

template <typename T>
ObservingKernel<T> SelectObserving(LaneRounding rounding, bool addend_test, std::int64_t n) {
  switch (rounding) {
    case LaneRounding::None:
      return ObservingOf<LaneRounding::None, ExactTest::Both, T>(n);
    case LaneRounding::Significand:
      return addend_test ? ObservingOf<LaneRounding::Significand, ExactTest::Addend, T>(n)
                         : ObservingOf<LaneRounding::Significand, ExactTest::Both, T>(n);
    case LaneRounding::Repaired:
      return addend_test ? ObservingOf<LaneRounding::Repaired, ExactTest::Addend, T>(n)
                         : ObservingOf<LaneRounding::Repaired, ExactTest::Both, T>(n);
    default:
      return {};
  }
}

ObservingKernel<float> SelectObservingFloat32(LaneRounding rounding, bool addend_test,
                                              std::int64_t n) {
  return SelectObserving<float>(rounding, addend_test, n);
}
ObservingKernel<double> SelectObservingFloat64(LaneRounding rounding, bool addend_test,
                                               std::int64_t n) {
  return SelectObserving<double>(rounding, addend_test, n);
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectObservingFloat32);
HWY_EXPORT(SelectObservingFloat64);

template <>
ObservingKernel<float> select_observing_kernel(const LaneStep<float>& first, int bits,
                                               int addend_bits, std::int64_t n) {
  if (first.clamp || first.to_infinity) return {};
  return HWY_DYNAMIC_DISPATCH(SelectObservingFloat32)(first.rounding, bits + addend_bits < 24, n);
}
template <>
ObservingKernel<double> select_observing_kernel(const LaneStep<double>& first, int bits,
                                                int addend_bits, std::int64_t n) {
  if (first.clamp || first.to_infinity) return {};
  return HWY_DYNAMIC_DISPATCH(SelectObservingFloat64)(first.rounding, bits + addend_bits < 53, n);
}

}  // namespace narrowmac
#endif
