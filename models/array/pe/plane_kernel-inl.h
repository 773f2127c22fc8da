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
#include "models/numerics/kernel_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

/// acc + a b, rounded to nearest even as the level's plan says.
template <LaneRounding kRounding, LaneBound kBound, typename T>
struct NearestPe {
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  StepVectors<D> k;
  HWY_INLINE explicit NearestPe(const LaneStep<T>& step) : k(D(), step) {}
  HWY_INLINE V Next(D d, V a, V b, V acc) const { return Step<kRounding, kBound>(d, a, b, acc, k); }
};

/// The same for the other roundings that draw no random bits.
template <LaneIncrement kIncrement, typename T>
struct DirectedPe {
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  DirectedVectors<D> k;
  HWY_INLINE explicit DirectedPe(const LaneStep<T>& step) : k(D(), step) {}
  HWY_INLINE V Next(D d, V a, V b, V acc) const {
    const auto none = hn::Zero(hn::RebindToUnsigned<D>());
    return DirectedFrom<kIncrement, true>(d, hn::MulAdd(a, b, acc), none, k);
  }
};

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
      const auto sum = pe.Next(d, a, b, hn::LoadU(d, sums + c));
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
      hn::StoreU(pe.Next(d, a, hn::LoadU(d, held + c), psum), d, sums + c);
      hn::StoreU(a, d, west + c);
    }
  }
}

template <class Pe, typename T>
PlaneKernel<T> KernelOf() {
  return {&ClockOutputStationary<Pe, T>, &ClockOperandStationary<Pe, T>};
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
    case LaneIncrement::None:
      return KernelOf<DirectedPe<LaneIncrement::None, T>, T>();
    default:
      return {};
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
