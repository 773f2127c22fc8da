#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/quantizers/round_kernel.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h has to be the first header
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "models/quantizers/round_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Doubles = hn::ScalableTag<double>;
using Words = hn::RebindToUnsigned<Doubles>;
using Floats = hn::Rebind<float, Doubles>;
using RandomWords = hn::Rebind<std::uint32_t, Doubles>;
using Vector = hn::Vec<Doubles>;

/// random_mix() and combine_random() of models/numerics/random.h for consecutive elements; the top
/// random_bits.
HWY_INLINE Vector RandomBits(const RoundPlan& plan, std::uint32_t first) {
  const Doubles d;
  const RandomWords w;
  auto x = hn::Xor(hn::Add(hn::Iota(w, 0), hn::Set(w, first)), hn::Set(w, plan.random_key.column));
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Mul(x, hn::Set(w, 0x7feb352dU));
  x = hn::Xor(x, hn::ShiftRight<15>(x));
  x = hn::Mul(x, hn::Set(w, 0x846ca68bU));
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Xor(x, hn::Set(w, plan.random_step));
  x = hn::Mul(x, hn::Set(w, 0xed5ad4bbU));
  x = hn::Xor(x, hn::ShiftRight<15>(x));
  x = hn::Mul(x, hn::Set(w, 0xac4c1b51U));
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::ShiftRightSame(x, 32 - plan.random_bits);
  return hn::PromoteTo(d, hn::BitCast(hn::RebindToSigned<RandomWords>(), x));
}

/// The magnitude in units of the quantum, rounded to an integer.
template <RoundingMode mode>
HWY_INLINE Vector RoundMagnitude(const RoundPlan& plan, Vector units, Vector element,
                                 std::uint32_t first) {
  const Doubles d;
  if constexpr (mode == RoundingMode::NearestEven) {
    return hn::Round(units);
  } else if constexpr (mode == RoundingMode::NearestAway) {
    return hn::Floor(hn::Add(units, hn::Set(d, 0.5)));
  } else if constexpr (mode == RoundingMode::TowardZero) {
    return hn::Floor(units);
  } else if constexpr (mode == RoundingMode::Down) {
    return hn::IfThenElse(hn::Lt(element, hn::Zero(d)), hn::Ceil(units), hn::Floor(units));
  } else {
    const auto steps = hn::Set(d, static_cast<double>(std::uint32_t{1} << plan.random_bits));
    const Vector floor = hn::Floor(units);
    const Vector kept = hn::Floor(hn::Mul(hn::Sub(units, floor), steps));
    const auto carries = hn::Ge(hn::Add(kept, RandomBits(plan, first)), steps);
    return hn::Add(floor, hn::IfThenElseZero(carries, hn::Set(d, 1.0)));
  }
}

/// The quantum of each element of a float format, and its inverse: powers of two, made from
/// exponent fields.
HWY_INLINE void FloatQuantum(const RoundPlan& plan, Vector magnitude, Vector& quantum,
                             Vector& inverse) {
  const Doubles d;
  const Words w;
  constexpr std::uint64_t kFieldUnit = std::uint64_t{1} << 52;
  const auto fraction = hn::Set(w, static_cast<std::uint64_t>(plan.fraction_bits) * kFieldUnit);
  const auto field = hn::And(hn::BitCast(w, magnitude), hn::Set(w, 0x7FF * kFieldUnit));
  const auto binade = hn::Max(hn::BitCast(d, field), hn::Set(d, plan.smallest_binade));
  const auto bits = hn::BitCast(w, binade);
  quantum = hn::BitCast(d, hn::Sub(bits, fraction));
  inverse = hn::BitCast(d, hn::Sub(hn::Add(hn::Set(w, 2046 * kFieldUnit), fraction), bits));
}

/// Stores values that are floats. Highway's own demotion of the targets without vectors clamps
/// infinities.
HWY_INLINE void StoreFloats(Vector values, float* out) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  double lanes[HWY_MAX_BYTES / sizeof(double)];
  hn::StoreU(values, Doubles(), lanes);
  std::transform(lanes, lanes + hn::Lanes(Doubles()), out,
                 [](double value) { return static_cast<float>(value); });
#else
  const Floats f;
  hn::StoreU(hn::DemoteTo(f, values), f, out);
#endif
}

/// One vector of elements; returns how many overflowed or were not finite.
template <RoundingMode mode, bool fixed>
HWY_INLINE std::int64_t RoundVector(const RoundPlan& plan, const float* in, float* out,
                                    std::uint32_t first) {
  const Doubles d;
  const Floats f;
  const Vector element =
      hn::Mul(hn::PromoteTo(d, hn::LoadU(f, in)), hn::Set(d, plan.inverse_scale));
  const Vector magnitude = hn::Abs(element);
  const Vector infinity = hn::Set(d, std::numeric_limits<double>::infinity());
  const auto finite = hn::Lt(magnitude, infinity);
  Vector quantum = hn::Set(d, plan.quantum);
  Vector inverse = hn::Set(d, 1.0 / plan.quantum);
  if constexpr (!fixed) {
    FloatQuantum(plan, magnitude, quantum, inverse);
  }
  const Vector units = RoundMagnitude<mode>(plan, hn::Mul(magnitude, inverse), element, first);
  Vector rounded = hn::CopySign(hn::Mul(units, quantum), element);
  const auto above = hn::Gt(rounded, hn::Set(d, plan.max));
  const auto below = hn::Lt(rounded, hn::Set(d, plan.lowest));
  if constexpr (fixed) {
    rounded = hn::Add(rounded, hn::Zero(d));  // one zero only
  } else {
    const auto flushed = hn::Lt(hn::Abs(rounded), hn::Set(d, plan.flush_below));
    rounded = hn::IfThenElse(flushed, hn::CopySign(hn::Zero(d), element), rounded);
  }
  rounded = hn::IfThenElse(above, hn::Set(d, plan.above), rounded);
  rounded = hn::IfThenElse(below, hn::Set(d, plan.below), rounded);
  const Vector nan = hn::Set(d, std::numeric_limits<double>::quiet_NaN());
  const Vector infinite =
      hn::IfThenElse(hn::Lt(element, hn::Zero(d)), hn::Set(d, plan.minus_infinity),
                     hn::Set(d, plan.plus_infinity));
  const Vector special = hn::IfThenElse(hn::Eq(magnitude, infinity), infinite, nan);
  rounded = hn::IfThenElse(finite, rounded, special);
  StoreFloats(rounded, out);
  const auto lost = hn::Or(hn::Or(above, below), hn::Not(finite));
  return static_cast<std::int64_t>(hn::CountTrue(d, lost));
}

template <RoundingMode mode, bool fixed>
std::int64_t RoundLoop(const RoundPlan& shared_plan, const float* in, std::size_t count, float* out,
                       std::uint32_t first) {
  const RoundPlan plan =
      shared_plan;  // a copy that stores to `out` cannot alias stays in registers
  std::int64_t lost = 0;
  const std::size_t lanes = hn::Lanes(Doubles());
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    lost += RoundVector<mode, fixed>(plan, in + i, out + i, first + static_cast<std::uint32_t>(i));
  }
  if (i < count) {
    HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)] = {};
    std::copy(in + i, in + count, rest);
    lost += RoundVector<mode, fixed>(plan, rest, rest, first + static_cast<std::uint32_t>(i));
    std::copy(rest, rest + (count - i), out + i);
  }
  return lost;
}

/// The constants of the float32 lanes.
struct NarrowPlan {
  float unit;             ///< float: 1.5 * 2^(23 - fraction bits); fixed point: elements to quanta
  float smallest_binade;  ///< float
  float limit;            ///< magnitudes beyond it are as good as it: above the largest value
  float low_limit;        ///< fixed point
  float quantum, flush_below, max, lowest, above, below, plus_infinity, minus_infinity;

  explicit NarrowPlan(const RoundPlan& plan)
      : unit(static_cast<float>(plan.fixed ? plan.inverse_scale / plan.quantum
                                           : std::ldexp(1.5, 23 - plan.fraction_bits))),
        // Below the flushed magnitudes' binade any quantum will do.
        smallest_binade(
            static_cast<float>(plan.flush_below > 0 ? plan.flush_below / 2 : plan.smallest_binade)),
        limit(static_cast<float>(plan.fixed ? plan.max / plan.quantum + 1
                                            : std::exp2(std::ilogb(plan.max) + 1))),
        low_limit(static_cast<float>(plan.lowest / plan.quantum - 1)),
        quantum(static_cast<float>(plan.quantum)),
        flush_below(static_cast<float>(plan.flush_below)),
        max(static_cast<float>(plan.max)),
        lowest(static_cast<float>(plan.lowest)),
        above(static_cast<float>(plan.above)),
        below(static_cast<float>(plan.below)),
        plus_infinity(static_cast<float>(plan.plus_infinity)),
        minus_infinity(static_cast<float>(plan.minus_infinity)) {}
};

/// As RoundVector, to nearest even in float32 lanes.
template <bool fixed, class D>
HWY_INLINE std::int64_t RoundNarrow(D d, const NarrowPlan& plan, const float* in, float* out) {
  const auto element = hn::LoadU(d, in);
  const auto magnitude = hn::Abs(element);
  const auto infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  const auto finite = hn::Lt(magnitude, infinity);
  auto rounded = element;
  if constexpr (fixed) {
    const auto units = hn::Mul(element, hn::Set(d, plan.unit));
    const auto near = hn::Max(hn::Min(units, hn::Set(d, plan.limit)), hn::Set(d, plan.low_limit));
    const auto magic = hn::Set(d, 0x1.8p23F);
    rounded = hn::Mul(hn::Sub(hn::Add(near, magic), magic), hn::Set(d, plan.quantum));
    rounded = hn::Add(rounded, hn::Zero(d));  // one zero only
  } else {
    const auto near = hn::Min(magnitude, hn::Set(d, plan.limit));
    const auto binade = hn::Max(hn::And(near, infinity), hn::Set(d, plan.smallest_binade));
    const auto magic = hn::Mul(binade, hn::Set(d, plan.unit));
    rounded = hn::Sub(hn::Add(near, magic), magic);
    rounded = hn::IfThenZeroElse(hn::Lt(rounded, hn::Set(d, plan.flush_below)), rounded);
    rounded = hn::CopySignToAbs(rounded, element);
  }
  const auto above = hn::Gt(rounded, hn::Set(d, plan.max));
  const auto below = hn::Lt(rounded, hn::Set(d, plan.lowest));
  const auto lost = hn::Or(hn::Or(above, below), hn::Not(finite));
  if (HWY_LIKELY(hn::AllFalse(d, lost))) {
    hn::StoreU(rounded, d, out);
    return 0;
  }
  rounded = hn::IfThenElse(above, hn::Set(d, plan.above), rounded);
  rounded = hn::IfThenElse(below, hn::Set(d, plan.below), rounded);
  const auto infinite =
      hn::IfThenElse(hn::Lt(element, hn::Zero(d)), hn::Set(d, plan.minus_infinity),
                     hn::Set(d, plan.plus_infinity));
  const auto nan = hn::Set(d, std::numeric_limits<float>::quiet_NaN());
  const auto special = hn::IfThenElse(hn::Eq(magnitude, infinity), infinite, nan);
  hn::StoreU(hn::IfThenElse(finite, rounded, special), d, out);
  return static_cast<std::int64_t>(hn::CountTrue(d, lost));
}

template <bool fixed>
std::int64_t RoundNarrowLoop(const RoundPlan& shared_plan, const float* in, std::size_t count,
                             float* out) {
  const NarrowPlan plan(shared_plan);
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> single;
  const std::size_t lanes = hn::Lanes(d);
  std::int64_t lost = 0;
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) lost += RoundNarrow<fixed>(d, plan, in + i, out + i);
  for (; i < count; ++i) lost += RoundNarrow<fixed>(single, plan, in + i, out + i);
  return lost;
}

template <RoundingMode mode>
std::int64_t RoundMode(const RoundPlan& plan, const float* in, std::size_t count, float* out,
                       std::uint32_t first) {
  return plan.fixed ? RoundLoop<mode, true>(plan, in, count, out, first)
                    : RoundLoop<mode, false>(plan, in, count, out, first);
}

std::int64_t RoundBlock(const RoundPlan& plan, const float* in, std::size_t count, float* out,
                        std::uint32_t first) {
  if (plan.in_float32) {
    return plan.fixed ? RoundNarrowLoop<true>(plan, in, count, out)
                      : RoundNarrowLoop<false>(plan, in, count, out);
  }
  switch (plan.mode) {
    case RoundingMode::NearestEven:
      return RoundMode<RoundingMode::NearestEven>(plan, in, count, out, first);
    case RoundingMode::NearestAway:
      return RoundMode<RoundingMode::NearestAway>(plan, in, count, out, first);
    case RoundingMode::TowardZero:
    case RoundingMode::TruncateAligned:  // of one value there is nothing to align
      return RoundMode<RoundingMode::TowardZero>(plan, in, count, out, first);
    case RoundingMode::Down:
      return RoundMode<RoundingMode::Down>(plan, in, count, out, first);
    case RoundingMode::Stochastic:
      return RoundMode<RoundingMode::Stochastic>(plan, in, count, out, first);
  }
  return 0;
}

std::uint32_t LargestMagnitudeBits(const float* values, std::size_t count) {
  const hn::ScalableTag<float> f;
  const hn::RebindToSigned<decltype(f)> w;  // magnitudes are positive as signed words, too
  const std::size_t lanes = hn::Lanes(f);
  auto largest = hn::Zero(w);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    largest = hn::Max(largest, hn::BitCast(w, hn::Abs(hn::LoadU(f, values + i))));
  }
  auto result = static_cast<std::uint32_t>(hn::GetLane(hn::MaxOfLanes(w, largest)));
  for (; i < count; ++i) {
    result = std::max(result, std::bit_cast<std::uint32_t>(values[i]) & 0x7FFFFFFFU);
  }
  return result;
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(RoundBlock);
HWY_EXPORT(LargestMagnitudeBits);

std::uint32_t largest_magnitude_bits(const float* values, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(LargestMagnitudeBits)(values, count);
}

std::int64_t round_block(const RoundPlan& plan, const float* in, std::size_t count, float* out,
                         std::uint32_t first) {
  return HWY_DYNAMIC_DISPATCH(RoundBlock)(plan, in, count, out, first);
}

}  // namespace narrowmac
#endif
