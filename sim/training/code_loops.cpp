#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/training/code_loops.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h has to be the first header
#include <hwy/highway.h>

#include "sim/training/code_loops.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::loops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// body(tag, i) for all i: whole vectors, then single elements.
template <class Body>
HWY_INLINE void ForCodes(std::int64_t size, const Body& body) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) body(d, i);
  const hn::CappedTag<float, 1> single;
  for (; i < size; ++i) body(single, i);
}

void CorrectCodes(const CodeCorrection& shared_by, std::int64_t rows, std::int64_t channels,
                  float* values) {
  const CodeCorrection by = shared_by;  // stores to `values` cannot alias a copy
  const auto correct = [&by, values](auto d, std::int64_t i, float addend,
                                     const float* table) HWY_ATTR {
    const auto sum = hn::Add(hn::LoadU(d, values + i), hn::Set(d, addend));
    auto value = hn::Mul(sum, hn::Set(d, by.scale));
    if (table != nullptr) {
      value = hn::Add(value, hn::Mul(hn::LoadU(d, table), hn::Set(d, by.factor)));
    }
    hn::StoreU(value, d, values + i);
  };
  if (by.row_addends == nullptr && by.table == nullptr) {
    const float scale = by.scale;
    ForCodes(rows * channels, [values, scale](auto d, std::int64_t i) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::LoadU(d, values + i), hn::Set(d, scale)), d, values + i);
    });
    return;
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t first = row * channels;
    const float addend = by.row_addends == nullptr ? 0.0F : by.row_addends[row];
    const float* table = by.table;
    if (table != nullptr && !by.same_row) table += first;
    ForCodes(channels, [&correct, first, addend, table](auto d, std::int64_t c) HWY_ATTR {
      correct(d, first + c, addend, table == nullptr ? nullptr : table + c);
    });
  }
}

void AddScaled(const float* table, float factor, std::int64_t size, float* values) {
  ForCodes(size, [table, factor, values](auto d, std::int64_t i) HWY_ATTR {
    const auto product = hn::Mul(hn::LoadU(d, table + i), hn::Set(d, factor));
    hn::StoreU(hn::Add(hn::LoadU(d, values + i), product), d, values + i);
  });
}

/// Four parts of every sum, whatever the processor's vectors.
void ChannelSums(const float* codes, std::int64_t rows, std::int64_t channels, float* sums) {
  const hn::CappedTag<float, 4> d;
  const std::size_t lanes = hn::Lanes(d);
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = codes + row * channels;
    HWY_ALIGN float part[4] = {};
    const std::int64_t whole = channels / 4 * 4;
    for (std::size_t lane = 0; lane < 4; lane += lanes) {
      auto parts = hn::Zero(d);
      for (std::int64_t c = 0; c < whole; c += 4) {
        parts = hn::Add(parts, hn::LoadU(d, from + c + lane));
      }
      hn::StoreU(parts, d, part + lane);
    }
    float sum = (part[0] + part[1]) + (part[2] + part[3]);
    for (std::int64_t c = whole; c < channels; ++c) sum += from[c];
    sums[row] = sum;
  }
}

void AddToDouble(const float* codes, std::int64_t size, double* sums) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> floats;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto code = hn::PromoteTo(d, hn::LoadU(floats, codes + i));
    hn::StoreU(hn::Add(hn::LoadU(d, sums + i), code), d, sums + i);
  }
  for (; i < size; ++i) sums[i] += static_cast<double>(codes[i]);
}

}  // namespace narrowmac::loops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac::loops {

HWY_EXPORT(CorrectCodes);
HWY_EXPORT(AddScaled);
HWY_EXPORT(ChannelSums);
HWY_EXPORT(AddToDouble);

void correct_codes(const CodeCorrection& by, std::int64_t rows, std::int64_t channels,
                   float* values) {
  HWY_DYNAMIC_DISPATCH(CorrectCodes)(by, rows, channels, values);
}
void add_scaled(const float* table, float factor, std::int64_t size, float* values) {
  HWY_DYNAMIC_DISPATCH(AddScaled)(table, factor, size, values);
}
void channel_sums(const float* codes, std::int64_t rows, std::int64_t channels, float* sums) {
  HWY_DYNAMIC_DISPATCH(ChannelSums)(codes, rows, channels, sums);
}
void add_to_double(const float* codes, std::int64_t size, double* sums) {
  HWY_DYNAMIC_DISPATCH(AddToDouble)(codes, size, sums);
}

}  // namespace narrowmac::loops
#endif
