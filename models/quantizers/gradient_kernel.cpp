#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/quantizers/gradient_kernel.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h has to be the first header
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/quantizers/gradient_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Doubles = hn::ScalableTag<double>;
using Floats = hn::Rebind<float, Doubles>;
using Words = hn::Rebind<std::int32_t, Doubles>;
using AllWords = hn::ScalableTag<std::uint32_t>;
using Vector = hn::Vec<Doubles>;

HWY_INLINE Vector Load(const float* in) {
  return hn::PromoteTo(Doubles(), hn::LoadU(Floats(), in));
}
HWY_INLINE Vector Load(const double* in) { return hn::LoadU(Doubles(), in); }

/// Finite values only.
HWY_INLINE void Store(Vector values, float* out) {
  hn::StoreU(hn::DemoteTo(Floats(), values), Floats(), out);
}
HWY_INLINE void Store(Vector values, double* out) { hn::StoreU(values, Doubles(), out); }

template <typename Out>
HWY_INLINE Vector WithinRange(Vector values) {
  const Doubles d;
  constexpr double kLargest = std::numeric_limits<Out>::max();
  return hn::Max(hn::Min(values, hn::Set(d, kLargest)), hn::Set(d, -kLargest));
}

/// body(in, out) for whole vectors; the rest goes through arrays of a vector's size.
template <typename In, typename Out, typename Body>
HWY_INLINE void ForVectors(const In* in, std::size_t count, Out* out, const Body& body) {
  const std::size_t lanes = hn::Lanes(Doubles());
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) body(in + i, out + i, i);
  if (i == count) return;
  HWY_ALIGN In last_in[HWY_MAX_BYTES / sizeof(double)] = {};
  HWY_ALIGN Out last_out[HWY_MAX_BYTES / sizeof(double)] = {};
  std::copy(in + i, in + count, last_in);
  body(last_in, last_out, i);
  std::copy(last_out, last_out + (count - i), out + i);
}

template <typename In>
Extrema FindExtrema(const In* values, std::size_t count) {
  const hn::ScalableTag<In> d;
  const std::size_t lanes = hn::Lanes(d);
  auto least = hn::Set(d, values[0]);
  auto greatest = least;
  const auto infinity = hn::Set(d, std::numeric_limits<In>::infinity());
  auto finite = hn::Eq(hn::Zero(d), hn::Zero(d));
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto value = hn::LoadU(d, values + i);
    finite = hn::And(finite, hn::Lt(hn::Abs(value), infinity));
    least = hn::Min(least, value);
    greatest = hn::Max(greatest, value);
  }
  Extrema found;
  found.finite = hn::AllTrue(d, finite);
  found.least = static_cast<double>(hn::GetLane(hn::MinOfLanes(d, least)));
  found.greatest = static_cast<double>(hn::GetLane(hn::MaxOfLanes(d, greatest)));
  for (; i < count; ++i) {
    const auto value = static_cast<double>(values[i]);
    found.finite = found.finite && std::abs(value) < std::numeric_limits<double>::infinity();
    found.least = std::min(found.least, value);
    found.greatest = std::max(found.greatest, value);
  }
  return found;
}

/// Random words of consecutive elements, less 2^31, because only signed words convert everywhere:
/// random_column_word() and combine_random() of models/numerics/random.h.
HWY_INLINE void DrawWords(const EncodeRule& rule, std::uint32_t first, std::int32_t* words) {
  const AllWords w;
  auto x = hn::Xor(hn::Add(hn::Iota(w, 0), hn::Set(w, first)), hn::Set(w, rule.random_column));
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Mul(x, hn::Set(w, 0x7feb352dU));
  x = hn::Xor(x, hn::ShiftRight<15>(x));
  x = hn::Mul(x, hn::Set(w, 0x846ca68bU));
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Xor(x, hn::Set(w, rule.random_step));
  x = hn::Mul(x, hn::Set(w, 0xed5ad4bbU));
  x = hn::Xor(x, hn::ShiftRight<15>(x));
  x = hn::Mul(x, hn::Set(w, 0xac4c1b51U));
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Xor(x, hn::Set(w, 0x80000000U));
  const hn::RebindToSigned<AllWords> signed_words;
  hn::StoreU(hn::BitCast(signed_words, x), signed_words, words);
}

/// U of elements: (word + 1/2) / 2^32; `words` as DrawWords() gives them.
HWY_INLINE Vector Uniform(const std::int32_t* words) {
  const Doubles d;
  const auto centred = hn::PromoteTo(d, hn::LoadU(Words(), words));
  return hn::Add(hn::Mul(centred, hn::Set(d, 0x1p-32)), hn::Set(d, 0.5 + 0x1p-33));
}

template <bool stochastic, typename In>
HWY_INLINE void Encode(const EncodeRule& rule, const In* from, const std::int32_t* words,
                       float* to) {
  const Doubles d;
  const auto scaled = hn::Mul(Load(from), hn::Set(d, rule.factor));
  auto code = hn::Mul(hn::Sub(scaled, hn::Set(d, rule.zero)), hn::Set(d, rule.inverse_step));
  if constexpr (stochastic) {
    code = hn::Floor(hn::Add(code, Uniform(words)));
  } else {
    code = hn::Round(code);
  }
  Store(hn::Max(hn::Min(code, hn::Set(d, rule.largest)), hn::Set(d, rule.least)), to);
}

/// A vector of words serves several vectors of doubles.
template <bool stochastic, typename In>
void EncodeLoop(const EncodeRule& shared_rule, const In* in, std::size_t count, std::uint32_t first,
                float* codes) {
  const EncodeRule rule = shared_rule;  // stores to `codes` cannot alias a copy
  const std::size_t words = hn::Lanes(AllWords()), lanes = hn::Lanes(Doubles());
  HWY_ALIGN std::int32_t random[HWY_MAX_BYTES / sizeof(std::int32_t)] = {};
  const auto encode = [&rule, &random, words, lanes](const In* from, std::uint32_t element,
                                                     float* to) HWY_ATTR {
    if (stochastic) DrawWords(rule, element, random);
    for (std::size_t i = 0; i < words; i += lanes) {
      Encode<stochastic>(rule, from + i, random + i, to + i);
    }
  };
  std::size_t i = 0;
  for (; i + words <= count; i += words) {
    encode(in + i, first + static_cast<std::uint32_t>(i), codes + i);
  }
  if (i == count) return;
  HWY_ALIGN In last_in[HWY_MAX_BYTES / sizeof(std::int32_t)] = {};
  HWY_ALIGN float last_codes[HWY_MAX_BYTES / sizeof(std::int32_t)] = {};
  std::copy(in + i, in + count, last_in);
  encode(last_in, first + static_cast<std::uint32_t>(i), last_codes);
  std::copy(last_codes, last_codes + (count - i), codes + i);
}

template <typename In>
void EncodeRun(const EncodeRule& rule, const In* in, std::size_t count, std::uint32_t first,
               float* codes) {
  if (rule.stochastic) {
    EncodeLoop<true>(rule, in, count, first, codes);
  } else {
    EncodeLoop<false>(rule, in, count, first, codes);
  }
}

template <typename Out>
void DecodeRun(const AffineRow& shared_row, const float* in, std::size_t count, double factor,
               Out* out) {
  const AffineRow row = shared_row;
  ForVectors(in, count, out, [&row, factor](const float* from, Out* to, std::size_t) HWY_ATTR {
    const Doubles d;
    const auto value = hn::Add(hn::Mul(Load(from), hn::Set(d, row.slope)), hn::Set(d, row.shift));
    Store(WithinRange<Out>(hn::Mul(value, hn::Set(d, factor))), to);
  });
}

template <typename In>
void AddWeighted(const AffineRow& row, const In* in, std::size_t count, double weight,
                 double* sums) {
  const Doubles d;
  const auto slope = hn::Set(d, row.slope);
  const auto shift = hn::Set(d, row.shift);
  const auto factor = hn::Set(d, weight);
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto value = hn::Add(hn::Mul(Load(in + i), slope), shift);
    hn::StoreU(hn::Add(hn::LoadU(d, sums + i), hn::Mul(value, factor)), d, sums + i);
  }
  for (; i < count; ++i) sums[i] += (static_cast<double>(in[i]) * row.slope + row.shift) * weight;
}

template <typename In, typename Out>
void ReflectRun(const AffineRow& shared_row, const ReflectRule& shared_rule, const In* in,
                std::size_t count, const double* sums, Out* out) {
  const AffineRow row = shared_row;
  const ReflectRule rule = shared_rule;
  const std::size_t lanes = hn::Lanes(Doubles());
  const std::size_t whole = count / lanes * lanes;
  const auto reflect = [&row, &rule](const In* from, const double* sum, Out* to) HWY_ATTR {
    const Doubles d;
    const auto value = hn::Add(hn::Mul(Load(from), hn::Set(d, row.slope)), hn::Set(d, row.shift));
    const auto reflected = hn::Sub(hn::Mul(value, hn::Set(d, rule.scale)),
                                   hn::Mul(hn::LoadU(d, sum), hn::Set(d, rule.weight)));
    const auto moved = hn::Add(reflected, hn::Set(d, rule.offset));
    Store(WithinRange<Out>(hn::Mul(moved, hn::Set(d, rule.factor))), to);
  };
  for (std::size_t i = 0; i < whole; i += lanes) reflect(in + i, sums + i, out + i);
  if (whole == count) return;
  HWY_ALIGN In last_in[HWY_MAX_BYTES / sizeof(double)] = {};
  HWY_ALIGN double last_sums[HWY_MAX_BYTES / sizeof(double)] = {};
  HWY_ALIGN Out last_out[HWY_MAX_BYTES / sizeof(double)] = {};
  std::copy(in + whole, in + count, last_in);
  std::copy(sums + whole, sums + count, last_sums);
  reflect(last_in, last_sums, last_out);
  std::copy(last_out, last_out + (count - whole), out + whole);
}

// HWY_EXPORT wants one name per function.
Extrema FindExtrema32(const float* values, std::size_t count) { return FindExtrema(values, count); }
Extrema FindExtrema64(const double* values, std::size_t count) {
  return FindExtrema(values, count);
}
void EncodeRun32(const EncodeRule& rule, const float* in, std::size_t count, std::uint32_t first,
                 float* codes) {
  EncodeRun(rule, in, count, first, codes);
}
void EncodeRun64(const EncodeRule& rule, const double* in, std::size_t count, std::uint32_t first,
                 float* codes) {
  EncodeRun(rule, in, count, first, codes);
}
void DecodeRun32(const AffineRow& row, const float* in, std::size_t count, double factor,
                 float* out) {
  DecodeRun(row, in, count, factor, out);
}
void DecodeRun64(const AffineRow& row, const float* in, std::size_t count, double factor,
                 double* out) {
  DecodeRun(row, in, count, factor, out);
}
void AddWeighted32(const AffineRow& row, const float* in, std::size_t count, double weight,
                   double* sums) {
  AddWeighted(row, in, count, weight, sums);
}
void AddWeighted64(const AffineRow& row, const double* in, std::size_t count, double weight,
                   double* sums) {
  AddWeighted(row, in, count, weight, sums);
}
void ReflectRun32To64(const AffineRow& row, const ReflectRule& rule, const float* in,
                      std::size_t count, const double* sums, double* out) {
  ReflectRun(row, rule, in, count, sums, out);
}
void ReflectRun64To64(const AffineRow& row, const ReflectRule& rule, const double* in,
                      std::size_t count, const double* sums, double* out) {
  ReflectRun(row, rule, in, count, sums, out);
}
void ReflectRun32To32(const AffineRow& row, const ReflectRule& rule, const float* in,
                      std::size_t count, const double* sums, float* out) {
  ReflectRun(row, rule, in, count, sums, out);
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(FindExtrema32);
HWY_EXPORT(FindExtrema64);
HWY_EXPORT(EncodeRun32);
HWY_EXPORT(EncodeRun64);
HWY_EXPORT(DecodeRun32);
HWY_EXPORT(DecodeRun64);
HWY_EXPORT(AddWeighted32);
HWY_EXPORT(AddWeighted64);
HWY_EXPORT(ReflectRun32To64);
HWY_EXPORT(ReflectRun64To64);
HWY_EXPORT(ReflectRun32To32);

Extrema find_extrema(const float* values, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(FindExtrema32)(values, count);
}
Extrema find_extrema(const double* values, std::size_t count) {
  return HWY_DYNAMIC_DISPATCH(FindExtrema64)(values, count);
}
void encode_run(const EncodeRule& rule, const float* in, std::size_t count, std::uint32_t first,
                float* codes) {
  HWY_DYNAMIC_DISPATCH(EncodeRun32)(rule, in, count, first, codes);
}
void encode_run(const EncodeRule& rule, const double* in, std::size_t count, std::uint32_t first,
                float* codes) {
  HWY_DYNAMIC_DISPATCH(EncodeRun64)(rule, in, count, first, codes);
}
void decode_run(const AffineRow& row, const float* in, std::size_t count, double factor,
                float* out) {
  HWY_DYNAMIC_DISPATCH(DecodeRun32)(row, in, count, factor, out);
}
void decode_run(const AffineRow& row, const float* in, std::size_t count, double factor,
                double* out) {
  HWY_DYNAMIC_DISPATCH(DecodeRun64)(row, in, count, factor, out);
}
void add_weighted(const AffineRow& row, const float* in, std::size_t count, double weight,
                  double* sums) {
  HWY_DYNAMIC_DISPATCH(AddWeighted32)(row, in, count, weight, sums);
}
void add_weighted(const AffineRow& row, const double* in, std::size_t count, double weight,
                  double* sums) {
  HWY_DYNAMIC_DISPATCH(AddWeighted64)(row, in, count, weight, sums);
}
void reflect_run(const AffineRow& row, const ReflectRule& rule, const float* in, std::size_t count,
                 const double* sums, double* out) {
  HWY_DYNAMIC_DISPATCH(ReflectRun32To64)(row, rule, in, count, sums, out);
}
void reflect_run(const AffineRow& row, const ReflectRule& rule, const double* in, std::size_t count,
                 const double* sums, double* out) {
  HWY_DYNAMIC_DISPATCH(ReflectRun64To64)(row, rule, in, count, sums, out);
}
void reflect_run(const AffineRow& row, const ReflectRule& rule, const float* in, std::size_t count,
                 const double* sums, float* out) {
  HWY_DYNAMIC_DISPATCH(ReflectRun32To32)(row, rule, in, count, sums, out);
}

}  // namespace narrowmac
#endif
