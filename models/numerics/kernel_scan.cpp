// What goes once over all operands or outputs, for every vector target, and its run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_scan.cpp"
#include "models/numerics/kernel_scan.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "models/numerics/lane_output.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename Word>
void VisitWord(Word word, ScannedWords<Word>& found) {
  const Word magnitude = word & (std::numeric_limits<Word>::max() >> 1);
  found.largest = std::max(found.largest, magnitude);
  // Zero wraps around to the largest word and so never wins.
  found.smallest_less_one = std::min<Word>(found.smallest_less_one, magnitude - 1);
  found.zeros += magnitude == 0 ? 1 : 0;
}

template <typename Word, typename T>
ScannedWords<Word> ScanRun(const T* data, std::int64_t count) {
  const hn::ScalableTag<T> df;
  const hn::RebindToUnsigned<decltype(df)> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  ScannedWords<Word> found;
  std::int64_t i = 0;
  // Counts of zeros in lanes of a Word must not overflow.
  constexpr std::int64_t kMaxRun = std::int64_t{1} << 30;
  while (count - i >= lanes) {
    const auto magnitude_mask = hn::Set(d, std::numeric_limits<Word>::max() >> 1);
    const auto one = hn::Set(d, Word{1});
    auto largest = hn::Zero(d);
    auto smallest = hn::Set(d, std::numeric_limits<Word>::max());
    auto zeros = hn::Zero(d);
    const std::int64_t end = std::min(count, i + kMaxRun);
    for (; i + lanes <= end; i += lanes) {
      const auto magnitude = hn::And(hn::BitCast(d, hn::LoadU(df, data + i)), magnitude_mask);
      largest = hn::Max(largest, magnitude);
      smallest = hn::Min(smallest, hn::Sub(magnitude, one));
      zeros = hn::Sub(zeros, hn::VecFromMask(d, hn::Eq(magnitude, hn::Zero(d))));
    }
    found.largest = std::max(found.largest, hn::GetLane(hn::MaxOfLanes(d, largest)));
    found.smallest_less_one =
        std::min(found.smallest_less_one, hn::GetLane(hn::MinOfLanes(d, smallest)));
    found.zeros += static_cast<std::int64_t>(hn::GetLane(hn::SumOfLanes(d, zeros)));
  }
  for (; i < count; ++i) VisitWord(std::bit_cast<Word>(data[i]), found);
  return found;
}

ScannedWords<std::uint32_t> ScanFloat32(const float* data, std::int64_t count) {
  return ScanRun<std::uint32_t>(data, count);
}
ScannedWords<std::uint64_t> ScanFloat64(const double* data, std::int64_t count) {
  return ScanRun<std::uint64_t>(data, count);
}

bool StoreLanes(const float* from, std::int64_t count, float factor, Recompute recompute,
                float* to) {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto scale = hn::Set(df, factor);
  const auto magnitude_mask = hn::Set(d, 0x7fffffff);
  const auto largest = hn::Set(d, recompute == Recompute::NotANumber ? 0x7f800000 : 0x7f7fffff);
  // A lane of ones is no number, refused anyway.
  const auto refused = hn::Set(
      d, recompute == Recompute::NonFiniteOrMinusZero ? hwy::LimitsMin<std::int32_t>() : -1);
  auto found = hn::Ne(refused, refused);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto value = hn::LoadU(df, from + i);
    const auto word = hn::BitCast(d, value);
    hn::StoreU(hn::Mul(value, scale), df, to + i);
    found = hn::Or(found,
                   hn::Or(hn::Gt(hn::And(word, magnitude_mask), largest), hn::Eq(word, refused)));
  }
  bool all = hn::AllFalse(d, found);
  for (; i < count; ++i) {
    to[i] = from[i] * factor;
    all = all && is_final(from[i], recompute);
  }
  return all;
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(ScanFloat32);
HWY_EXPORT(ScanFloat64);
HWY_EXPORT(StoreLanes);

ScannedWords<std::uint32_t> scan_words(const float* data, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(ScanFloat32)(data, count);
}
ScannedWords<std::uint64_t> scan_words(const double* data, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(ScanFloat64)(data, count);
}

bool store_lanes(const float* from, std::int64_t count, float factor, Recompute recompute,
                 float* to) {
  return HWY_DYNAMIC_DISPATCH(StoreLanes)(from, count, factor, recompute, to);
}

}  // namespace narrowmac
#endif
