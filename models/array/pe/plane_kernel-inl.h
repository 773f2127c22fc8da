// One clock edge of an array whose PE registers are planes. Compiled once per vector target: hence
// the guard that toggles.
#if defined(NARROWMAC_PLANE_KERNEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NARROWMAC_PLANE_KERNEL_INL_H
#undef NARROWMAC_PLANE_KERNEL_INL_H
#else
#define NARROWMAC_PLANE_KERNEL_INL_H
#endif

#include "models/array/pe/plane_kernel.h"
#include "models/numerics/kernel_directed-inl.h"
#include "models/numerics/kernel_stochastic-inl.h"
#include "models/numerics/kernel_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

/// acc + a b, rounded to nearest even as the level's plan says.
template <LaneRounding kRounding, LaneBound kBound, typename T>
struct NearestPe {
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  static constexpr bool kRandom = false;
  StepVectors<D> k;
  HWY_INLINE explicit NearestPe(const LaneStep<T>& step) : k(D(), step) {}
  HWY_INLINE V Next(D d, V a, V b, V acc) const { return Step<kRounding, kBound>(d, a, b, acc, k); }
};

/// The same for the other roundings that draw no random bits.
template <LaneIncrement kIncrement, typename T>
struct DirectedPe {
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  static constexpr bool kRandom = false;
  DirectedVectors<D> k;
  HWY_INLINE explicit DirectedPe(const LaneStep<T>& step) : k(D(), step) {}
  HWY_INLINE V Next(D d, V a, V b, V acc) const {
    const auto none = hn::Zero(hn::RebindToUnsigned<D>());
    return DirectedFrom<kIncrement, true>(d, DirectedSum<kIncrement, true>(d, a, b, acc, k), none,
                                          k);
  }
};

/// Stochastic rounding.
template <typename T>
struct RandomPe {
  using D = Lanes<T>;
  using DU = hn::RebindToUnsigned<D>;
  using V = hn::Vec<D>;
  using W = hn::Vec<DU>;
  static constexpr bool kRandom = true;
  DirectedVectors<D> k;
  RandomPlace<D> place;
  HWY_INLINE explicit RandomPe(const LaneStep<T>& step) : k(D(), step), place(step) {}
  /// The bits of a word that this step draws, in their place.
  HWY_INLINE W Bits(W column, W step, W field) const {
    const W word = Combined(DU(), column, step);
    return hn::And(hn::Shr(hn::Shl(word, field), place.right), k.added);
  }
  HWY_INLINE V Next(D d, V a, V b, V acc, W bits) const {
    return DirectedFrom<LaneIncrement::Random, true>(d, hn::MulAdd(a, b, acc), bits, k);
  }
};

/// The sums of the PEs at `at`, which get the column words from `above` places before.
template <class Pe, typename T, class V>
HWY_INLINE V NextSum(const Pe& pe, const PlaneClock<T>& clock, std::int64_t at, std::int64_t above,
                     V a, V b, V acc) {
  const Lanes<T> d;
  if constexpr (Pe::kRandom) {
    const hn::RebindToUnsigned<Lanes<T>> du;
    const PlaneRandom<T>& random = clock.random;
    const auto step = hn::LoadU(du, random.steps + at - random.steps_move);
    const auto field = hn::LoadU(du, random.fields + at - random.steps_move);
    const auto column = hn::LoadU(du, random.columns + at - above);
    hn::StoreU(step, du, random.steps + at);
    hn::StoreU(field, du, random.fields + at);
    hn::StoreU(column, du, random.columns + at);
    return pe.Next(d, a, b, acc, pe.Bits(column, step, field));
  } else {
    (void)clock, (void)at, (void)above;
    return pe.Next(d, a, b, acc);
  }
}

// Rows from the bottom up and columns from the east: every register is read by its neighbour
// before it is overwritten.

template <class Pe, typename T>
HWY_NOINLINE void ClockOutputStationary(const LaneStep<T>& step, const PlaneClock<T>& clock) {
  const Lanes<T> d;
  const Pe pe(step);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t r = clock.height - 1; r >= 0; --r) {
    T* west = clock.west + r * clock.stride;
    T* north = clock.north + r * clock.stride;
    T* sums = clock.sums + r * clock.stride;
    for (std::int64_t c = clock.columns - lanes; c >= 0; c -= lanes) {
      const auto a = hn::LoadU(d, west + c - 1);
      const auto b = hn::LoadU(d, north - clock.stride + c);
      const auto sum = NextSum(pe, clock, r * clock.stride + c, 0, a, b, hn::LoadU(d, sums + c));
      hn::StoreU(a, d, west + c);
      hn::StoreU(b, d, north + c);
      hn::StoreU(sum, d, sums + c);
    }
  }
}

template <class Pe, typename T>
HWY_NOINLINE void ClockOperandStationary(const LaneStep<T>& step, const PlaneClock<T>& clock) {
  const Lanes<T> d;
  const Pe pe(step);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t r = clock.height - 1; r >= 0; --r) {
    T* west = clock.west + r * clock.stride;
    const T* held = clock.north + r * clock.stride;
    T* sums = clock.sums + r * clock.stride;
    for (std::int64_t c = clock.columns - lanes; c >= 0; c -= lanes) {
      const auto a = hn::LoadU(d, west + c - 1);
      const auto psum = hn::LoadU(d, sums - clock.stride + c);
      const auto sum =
          NextSum(pe, clock, r * clock.stride + c, clock.stride, a, hn::LoadU(d, held + c), psum);
      hn::StoreU(sum, d, sums + c);
      hn::StoreU(a, d, west + c);
    }
  }
}

template <typename T>
void AddRandom(const LaneStep<T>& step, const RandomAdditions<T>& work) {
  const Lanes<T> d;
  const hn::RebindToUnsigned<Lanes<T>> du;
  const RandomPe<T> pe(step);
  const auto one = hn::Set(d, T{1});
  const auto field = hn::Set(du, LaneWord<T>{work.field});
  for (int i = 0; i < work.count; i += static_cast<int>(hn::Lanes(d))) {
    const auto bits =
        pe.Bits(hn::LoadU(du, work.columns + i), hn::LoadU(du, work.steps + i), field);
    const auto total = hn::LoadU(d, work.totals + i);
    hn::StoreU(pe.Next(d, one, hn::LoadU(d, work.sums + i), total, bits), d, work.totals + i);
  }
}

template <class Pe, typename T>
PlaneKernel<T> KernelOf() {
  return {&ClockOutputStationary<Pe, T>, &ClockOperandStationary<Pe, T>, &AddRandom<T>};
}

template <LaneBound kBound, typename T>
PlaneKernel<T> NearestKernel(LaneRounding rounding) {
  switch (rounding) {
    case LaneRounding::Significand:
      return KernelOf<NearestPe<LaneRounding::Significand, kBound, T>, T>();
    case LaneRounding::Repaired:
      return KernelOf<NearestPe<LaneRounding::Repaired, kBound, T>, T>();
    case LaneRounding::Gradual:
      return KernelOf<NearestPe<LaneRounding::Gradual, kBound, T>, T>();
    case LaneRounding::Flush:
      return KernelOf<NearestPe<LaneRounding::Flush, kBound, T>, T>();
    case LaneRounding::RepairedFlush:
      return KernelOf<NearestPe<LaneRounding::RepairedFlush, kBound, T>, T>();
    case LaneRounding::Quantum:
      return KernelOf<NearestPe<LaneRounding::Quantum, kBound, T>, T>();
    default:
      return KernelOf<NearestPe<LaneRounding::None, kBound, T>, T>();
  }
}

template <typename T>
PlaneKernel<T> DirectedKernel(LaneIncrement increment) {
  switch (increment) {
    case LaneIncrement::Half:
      return KernelOf<DirectedPe<LaneIncrement::Half, T>, T>();
    case LaneIncrement::Negative:
      return KernelOf<DirectedPe<LaneIncrement::Negative, T>, T>();
    case LaneIncrement::Random:
      return KernelOf<RandomPe<T>, T>();
    case LaneIncrement::Aligned:
      return KernelOf<DirectedPe<LaneIncrement::Aligned, T>, T>();
    default:
      return KernelOf<DirectedPe<LaneIncrement::None, T>, T>();
  }
}

template <typename T>
PlaneKernel<T> SelectPlaneKernel(const LaneStep<T>& step) {
  if (step.rounding == LaneRounding::Directed) return DirectedKernel<T>(step.increment);
  if (step.clamp) return NearestKernel<LaneBound::Clamp, T>(step.rounding);
  if (step.to_infinity) return NearestKernel<LaneBound::Infinity, T>(step.rounding);
  return NearestKernel<LaneBound::None, T>(step.rounding);
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
