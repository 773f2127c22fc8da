// Dot units in lanes: the products of a group are scaled by 2^(F - Emax) and cut to integers, which
// are added; the sum is rounded in float64. Compiled once per vector target.
#if defined(NARROWMAC_KERNEL_DOT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NARROWMAC_KERNEL_DOT_INL_H
#undef NARROWMAC_KERNEL_DOT_INL_H
#else
#define NARROWMAC_KERNEL_DOT_INL_H
#endif

#include <hwy/highway.h>

#include <cmath>
#include <limits>

#include "models/numerics/kernel_dot.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Wide = hn::ScalableTag<double>;
using WideInt = hn::RebindToSigned<Wide>;
using WideVector = hn::Vec<Wide>;
using WideIntVector = hn::Vec<WideInt>;

inline constexpr int kDotVectors = 2;
inline constexpr int kMaxLanes = 16;
inline constexpr int kWideFraction = 52;
inline constexpr int kWideBias = 1023;

/// 2^exponent of lanes.
HWY_INLINE WideVector PowerOfTwo(WideIntVector exponent) {
  const Wide d;
  const WideInt di;
  return hn::BitCast(d, hn::ShiftLeft<kWideFraction>(hn::Add(exponent, hn::Set(di, kWideBias))));
}

template <Alignment kAlignment, class D, class V>
HWY_INLINE V RoundedUnits(D /*d*/, V x) {
  if constexpr (kAlignment == Alignment::Down) {
    return hn::Floor(x);
  } else if constexpr (kAlignment == Alignment::NearestEven) {
    return hn::Round(x);
  } else {
    return hn::Trunc(x);
  }
}

/// Sums of aligned products in lanes of T: int32 of float, double of double.
template <Alignment kAlignment>
struct Units32 {
  using D = hn::ScalableTag<float>;
  using DI = hn::RebindToSigned<D>;
  using Sum = hn::Vec<DI>;
  static HWY_INLINE Sum Zero() { return hn::Zero(DI()); }
  static HWY_INLINE Sum Add(Sum sum, hn::Vec<D> x) {
    if constexpr (kAlignment == Alignment::NearestEven) {
      return hn::Add(sum, hn::NearestInt(x));
    } else if constexpr (kAlignment == Alignment::Down) {
      return hn::Add(sum, hn::ConvertTo(DI(), hn::Floor(x)));
    } else {
      return hn::Add(sum, hn::ConvertTo(DI(), x));
    }
  }
  /// Lanes i .. of a sum in memory, as doubles.
  using Stored = std::int32_t;
  static HWY_INLINE void Store(Sum sum, Stored* to) { hn::StoreU(sum, DI(), to); }
  static HWY_INLINE WideVector Load(const Stored* from) {
    const hn::Rebind<std::int32_t, Wide> half;
    return hn::PromoteTo(Wide(), hn::LoadU(half, from));
  }
};

template <Alignment kAlignment>
struct Units64 {
  using D = Wide;
  using Sum = WideVector;
  static HWY_INLINE Sum Zero() { return hn::Zero(D()); }
  static HWY_INLINE Sum Add(Sum sum, WideVector x) {
    return hn::Add(sum, RoundedUnits<kAlignment>(D(), x));
  }
  using Stored = double;
  static HWY_INLINE void Store(Sum sum, Stored* to) { hn::StoreU(sum, D(), to); }
  static HWY_INLINE WideVector Load(const Stored* from) { return hn::LoadU(D(), from); }
};

HWY_INLINE WideIntVector LoadExponents(const std::int32_t* from) {
  return hn::PromoteTo(WideInt(), hn::LoadU(hn::Rebind<std::int32_t, Wide>(), from));
}
HWY_INLINE WideIntVector LoadExponents(const std::int64_t* from) {
  return hn::LoadU(WideInt(), from);
}
/// Of small whole numbers.
HWY_INLINE void StoreExponents(WideVector exponents, std::int32_t* to) {
  const hn::Rebind<std::int32_t, Wide> half;
  hn::StoreU(hn::DemoteTo(half, exponents), half, to);
}
HWY_INLINE void StoreExponents(WideVector exponents, std::int64_t* to) {
  const Wide d;
  const WideInt di;
  // Beside 1.5 * 2^52 a whole number stands in the last bits.
  const auto magic = hn::Set(d, 0x1.8p52);
  const auto bits = hn::BitCast(di, hn::Add(exponents, magic));
  hn::StoreU(hn::Sub(bits, hn::BitCast(di, magic)), di, to);
}

/// The exponents of accumulators; kNoExponent of zero.
HWY_INLINE WideVector AccumulatorExponents(WideVector sums, const DotDesign& design) {
  const Wide d;
  const hn::RebindToUnsigned<Wide> du;
  const auto field = hn::ShiftRight<kWideFraction>(hn::BitCast(du, hn::Abs(sums)));
  const auto magic = hn::Set(d, 0x1p52);
  const auto number = hn::Sub(hn::BitCast(d, hn::Or(field, hn::BitCast(du, magic))),
                              hn::Set(d, 0x1p52 + kWideBias));
  const auto exponent =
      hn::Max(number, hn::Set(d, static_cast<double>(design.accumulator_min_exponent)));
  return hn::IfThenElse(hn::Eq(sums, hn::Zero(d)), hn::Set(d, static_cast<double>(kNoExponent)),
                        exponent);
}

/// x, exact or with its last bit odd where it is not, rounded to the accumulator's format.
HWY_INLINE WideVector RoundedSum(WideVector x, WideVector random, const DotDesign& design) {
  const Wide d;
  const WideInt di;
  const auto exponent_mask = hn::Set(d, std::numeric_limits<double>::infinity());
  const auto normal = PowerOfTwo(hn::Set(di, std::int64_t{design.accumulator_min_exponent}));
  const auto least = design.subnormals ? normal : hn::Set(d, std::numeric_limits<double>::min());
  const auto binade = hn::Max(hn::And(x, exponent_mask), least);
  // 2^-e from the bits of 2^e.
  const auto inverse = hn::BitCast(
      d,
      hn::Sub(hn::Set(di, 2 * std::int64_t{kWideBias} << kWideFraction), hn::BitCast(di, binade)));
  const auto scale =
      hn::Set(d, static_cast<double>(std::int64_t{1} << design.accumulator_fraction_bits));
  const auto size = hn::Mul(hn::Mul(hn::Abs(x), inverse), scale);
  const auto one = hn::Set(d, 1.0);
  const auto whole = hn::Trunc(size);
  const auto rest = hn::Sub(size, whole);
  auto rounded = whole;
  switch (design.mode) {
    case RoundingMode::NearestEven:
      rounded = hn::Round(size);
      break;
    case RoundingMode::NearestAway:
      rounded = hn::Add(whole, hn::IfThenElseZero(hn::Ge(rest, hn::Set(d, 0.5)), one));
      break;
    case RoundingMode::Down: {
      const auto up = hn::And(hn::Gt(rest, hn::Zero(d)), hn::Lt(x, hn::Zero(d)));
      rounded = hn::Add(whole, hn::IfThenElseZero(up, one));
      break;
    }
    case RoundingMode::Stochastic: {
      const auto steps = hn::Set(d, static_cast<double>(std::int64_t{1} << design.random_bits));
      const auto up = hn::Ge(hn::Add(hn::Trunc(hn::Mul(rest, steps)), random), steps);
      rounded = hn::Add(whole, hn::IfThenElseZero(up, one));
      break;
    }
    default:
      break;
  }
  auto value = hn::Mul(hn::Mul(rounded, binade),
                       hn::Set(d, std::ldexp(1.0, -design.accumulator_fraction_bits)));
  if (!design.subnormals) value = hn::IfThenZeroElse(hn::Lt(value, normal), value);
  value = hn::CopySign(value, x);
  const auto high = hn::Set(d, design.high);
  value = hn::IfThenElse(hn::Gt(value, high), hn::Set(d, design.above_high), value);
  return hn::IfThenElse(hn::Lt(value, hn::Neg(high)), hn::Set(d, design.below_low), value);
}

/// acc + addend, with the last bit odd where it is not exact.
HWY_INLINE WideVector OddSum(WideVector acc, WideVector addend) {
  const Wide d;
  const WideInt di;
  const auto sum = hn::Add(acc, addend);
  const auto part = hn::Sub(sum, acc);
  const auto error = hn::Add(hn::Sub(acc, hn::Sub(sum, part)), hn::Sub(addend, part));
  const auto bits = hn::BitCast(di, sum);
  // One up if the error leads away from zero, else one down; bits are those of the magnitude.
  const auto outward = hn::Xor(hn::BitCast(di, error), bits);
  const auto step = hn::Or(hn::BroadcastSignBit(outward), hn::Set(di, 1));
  const auto odd = hn::And(bits, hn::Set(di, 1));
  const auto moves =
      hn::And(hn::Ne(error, hn::Zero(d)), hn::RebindMask(d, hn::Eq(odd, hn::Zero(di))));
  return hn::IfThenElse(moves, hn::BitCast(d, hn::Add(bits, step)), sum);
}

/// A group's sum of units of 2^(top - F) into accumulators.
template <Alignment kAlignment>
HWY_INLINE WideVector FinishGroup(WideVector acc, WideVector units, WideIntVector top,
                                  WideVector random, const DotDesign& design) {
  const WideInt di;
  // Groups of zeros have no exponent; any will do.
  const auto quantum_exponent =
      hn::Sub(hn::Max(top, hn::Set(di, -900)), hn::Set(di, design.fraction_bits));
  const auto quantum = PowerOfTwo(quantum_exponent);
  if (design.separate) return RoundedSum(OddSum(acc, hn::Mul(units, quantum)), random, design);
  const auto scale = PowerOfTwo(hn::Neg(quantum_exponent));
  const auto aligned = RoundedUnits<kAlignment>(Wide(), hn::Mul(acc, scale));
  return RoundedSum(hn::Mul(hn::Add(aligned, units), quantum), random, design);
}

template <typename T>
void Exponents(const T* values, std::int64_t count, int min_exponent, LaneExponent<T>* exponents) {
  using Integer = LaneExponent<T>;
  constexpr int kFraction = std::numeric_limits<T>::digits - 1;
  constexpr Integer kBias = std::numeric_limits<T>::max_exponent - 1;
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::RebindToUnsigned<decltype(d)> du;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto bias = hn::Set(di, kBias);
  const auto least = hn::Set(di, static_cast<Integer>(min_exponent));
  const auto none = hn::Set(di, Integer{kNoExponent});
  const auto of = [&](auto x) HWY_ATTR {
    const auto bits = hn::BitCast(di, hn::Abs(x));
    const auto field = hn::BitCast(di, hn::ShiftRight<kFraction>(hn::BitCast(du, bits)));
    const auto exponent = hn::Max(hn::Sub(field, bias), least);
    return hn::IfThenElse(hn::Eq(bits, hn::Zero(di)), none, exponent);
  };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(of(hn::LoadU(d, values + i)), di, exponents + i);
  }
  T rest[kMaxLanes] = {};
  Integer found[kMaxLanes];
  for (std::int64_t j = i; j < count; ++j) rest[j - i] = values[j];
  if (i < count) hn::StoreU(of(hn::LoadU(d, rest)), di, found);
  for (std::int64_t j = i; j < count; ++j) exponents[j] = found[j - i];
}

/// The random numbers of a group's roundings, in the order of the tile.
template <typename T>
HWY_NOINLINE void DrawRandom(const DotDesign& design, const DotWork<T>& work, int columns,
                             std::int64_t group, double* random) {
  const int draws = draws_per_word(design.random_bits);
  for (int r = 0; r < kDotRows; ++r) {
    const std::uint32_t step = random_step_word(work.keys[r], group / draws);
    for (int c = 0; c < columns; ++c) {
      const std::uint32_t column = random_column_word(work.keys[r], work.first_column + c);
      random[r * columns + c] =
          random_bits_of_step(combine_random(column, step), group, design.random_bits);
    }
  }
}

template <typename T, class D, class I>
struct DotVectors {
  I top[kDotRows][kDotVectors];
  hn::Vec<D> scale[kDotRows][kDotVectors];
};

template <typename T, Alignment kAlignment>
HWY_NOINLINE void RunDot(const DotDesign& design, const DotWork<T>& work) {
  using Units =
      std::conditional_t<std::is_same_v<T, float>, Units32<kAlignment>, Units64<kAlignment>>;
  using D = hn::ScalableTag<T>;
  using DI = hn::RebindToSigned<D>;
  using Exponent = LaneExponent<T>;
  constexpr int kFraction = std::numeric_limits<T>::digits - 1;
  constexpr Exponent kBias = std::numeric_limits<T>::max_exponent - 1;
  const D d;
  const DI di;
  const Wide wide;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto wide_lanes = static_cast<std::int64_t>(hn::Lanes(wide));
  const std::int64_t columns = kDotVectors * lanes;
  const std::int64_t outputs = kDotRows * columns;
  const auto scale_field = hn::Set(di, static_cast<Exponent>(design.fraction_bits + kBias));
  const auto least_top = hn::Set(di, static_cast<Exponent>(design.fraction_bits - kBias));
  Exponent tops[kDotRows * kDotVectors * kMaxLanes];
  typename Units::Stored units[kDotRows * kDotVectors * kMaxLanes];
  double random[kDotRows * kDotVectors * kMaxLanes] = {};
  std::int64_t group = work.first_group;
  for (std::int64_t k = 0; k < work.length; k += design.terms, ++group) {
    const std::int64_t count = HWY_MIN(design.terms, work.length - k);
    DotVectors<T, D, hn::Vec<DI>> tile;
    if (design.separate) {
      HWY_UNROLL(2)
      for (int r = 0; r < kDotRows; ++r) {
        HWY_UNROLL(2)
        for (int v = 0; v < kDotVectors; ++v)
          tile.top[r][v] = hn::Set(di, Exponent{2 * kNoExponent});
      }
    } else {
      for (std::int64_t i = 0; i < outputs; i += wide_lanes) {
        StoreExponents(AccumulatorExponents(hn::LoadU(wide, work.sums + i), design), tops + i);
      }
      HWY_UNROLL(2)
      for (int r = 0; r < kDotRows; ++r) {
        HWY_UNROLL(2)
        for (int v = 0; v < kDotVectors; ++v)
          tile.top[r][v] = hn::LoadU(di, tops + (r * kDotVectors + v) * lanes);
      }
    }
    const Exponent* HWY_RESTRICT b_exponents = work.b_exponents + k * columns;
    for (std::int64_t t = 0; t < count; ++t) {
      HWY_UNROLL(2)
      for (int r = 0; r < kDotRows; ++r) {
        const auto a = hn::Set(di, work.a_exponents[r * work.a_stride + k + t]);
        HWY_UNROLL(2)
        for (int v = 0; v < kDotVectors; ++v) {
          tile.top[r][v] =
              hn::Max(tile.top[r][v], hn::Add(a, hn::LoadU(di, b_exponents + v * lanes)));
        }
      }
      b_exponents += columns;
    }
    typename Units::Sum sums[kDotRows][kDotVectors];
    HWY_UNROLL(2)
    for (int r = 0; r < kDotRows; ++r) {
      HWY_UNROLL(2)
      for (int v = 0; v < kDotVectors; ++v) {
        const auto top = hn::Max(tile.top[r][v], least_top);
        tile.scale[r][v] = hn::BitCast(d, hn::ShiftLeft<kFraction>(hn::Sub(scale_field, top)));
        sums[r][v] = Units::Zero();
        hn::StoreU(tile.top[r][v], di, tops + (r * kDotVectors + v) * lanes);
      }
    }
    const T* HWY_RESTRICT b = work.b + k * work.b_step;
    for (std::int64_t t = 0; t < count; ++t) {
      HWY_UNROLL(2)
      for (int r = 0; r < kDotRows; ++r) {
        const auto a = hn::Set(d, work.a[r * work.a_stride + k + t]);
        HWY_UNROLL(2)
        for (int v = 0; v < kDotVectors; ++v) {
          const auto product = hn::Mul(a, hn::LoadU(d, b + v * lanes));
          sums[r][v] = Units::Add(sums[r][v], hn::Mul(product, tile.scale[r][v]));
        }
      }
      b += work.b_step;
    }
    HWY_UNROLL(2)
    for (int r = 0; r < kDotRows; ++r) {
      HWY_UNROLL(2)
      for (int v = 0; v < kDotVectors; ++v)
        Units::Store(sums[r][v], units + (r * kDotVectors + v) * lanes);
    }
    if (design.random_bits > 0) {
      DrawRandom(design, work, static_cast<int>(columns), group, random);
    }
    for (std::int64_t i = 0; i < outputs; i += wide_lanes) {
      const auto acc = hn::LoadU(wide, work.sums + i);
      const auto next =
          FinishGroup<kAlignment>(acc, Units::Load(units + i), LoadExponents(tops + i),
                                  hn::LoadU(wide, random + i), design);
      hn::StoreU(next, wide, work.sums + i);
    }
  }
}

template <typename T>
DotKernel<T> SelectDot(Alignment alignment) {
  const int columns = kDotVectors * static_cast<int>(hn::Lanes(hn::ScalableTag<T>()));
  switch (alignment) {
    case Alignment::Down:
      return {&RunDot<T, Alignment::Down>, &Exponents<T>, columns};
    case Alignment::NearestEven:
      return {&RunDot<T, Alignment::NearestEven>, &Exponents<T>, columns};
    default:
      return {&RunDot<T, Alignment::TowardZero>, &Exponents<T>, columns};
  }
}

inline constexpr int kSumRows = 4;
inline constexpr int kSumVectors = 2;

inline void RunSums(const double* const* a_rows, std::int64_t a_step, const double* b,
                    std::int64_t b_step, std::int64_t length, double* sums) {
  const Wide d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  WideVector sum[kSumRows][kSumVectors];
  HWY_UNROLL(4)
  for (int r = 0; r < kSumRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kSumVectors; ++v)
      sum[r][v] = hn::LoadU(d, sums + (r * kSumVectors + v) * lanes);
  }
  for (std::int64_t k = 0; k < length; ++k) {
    WideVector b_lane[kSumVectors];
    HWY_UNROLL(2)
    for (int v = 0; v < kSumVectors; ++v) b_lane[v] = hn::LoadU(d, b + v * lanes);
    HWY_UNROLL(4)
    for (int r = 0; r < kSumRows; ++r) {
      const auto a = hn::Set(d, a_rows[r][k * a_step]);
      HWY_UNROLL(2)
      for (int v = 0; v < kSumVectors; ++v) sum[r][v] = hn::MulAdd(a, b_lane[v], sum[r][v]);
    }
    b += b_step;
  }
  HWY_UNROLL(4)
  for (int r = 0; r < kSumRows; ++r) {
    HWY_UNROLL(2)
    for (int v = 0; v < kSumVectors; ++v)
      hn::StoreU(sum[r][v], d, sums + (r * kSumVectors + v) * lanes);
  }
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
