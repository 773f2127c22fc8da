#include "models/quantizers/tensor_quantizer.h"

#include <fmt/core.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "models/numerics/convert.h"
#include "models/quantizers/round_kernel.h"

namespace narrowmac {

namespace {

/// Elements per task. Sums are formed per block and then over blocks, so that threads cannot change
/// them.
constexpr std::size_t kBlock = std::size_t{1} << 14;
/// Independent partial sums of a block: their number is part of the result, so it is no vector's
/// width.
constexpr std::size_t kLanes = 16;

/// Calls body(block, first, count) for every block, on several threads if there are several blocks.
template <typename Body>
void for_blocks(std::size_t size, const Body& body) {
  const std::size_t blocks = (size + kBlock - 1) / kBlock;
  const auto run = [&](std::size_t block) {
    body(block, block * kBlock, std::min(kBlock, size - block * kBlock));
  };
  if (blocks == 1) {
    run(0);
    return;
  }
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, blocks),
                    [&](const tbb::blocked_range<std::size_t>& range) {
                      for (std::size_t block = range.begin(); block < range.end(); ++block) {
                        run(block);
                      }
                    });
}

/// One value per block, in order.
template <typename Value, typename Function>
std::vector<Value> map_blocks(std::span<const float> values, const Function& function) {
  std::vector<Value> results((values.size() + kBlock - 1) / kBlock);
  for_blocks(values.size(), [&](std::size_t block, std::size_t first, std::size_t count) {
    results[block] = function(values.subspan(first, count));
  });
  return results;
}

constexpr std::uint32_t kInfinityBits = 0x7F800000U;

/// The largest magnitude as bits: from kInfinityBits on if there is an infinity or a NaN.
std::uint32_t largest_bits(std::span<const float> values) {
  std::uint32_t result = 0;
  for (const std::uint32_t bits :
       map_blocks<std::uint32_t>(values, [](std::span<const float> block) {
         return largest_magnitude_bits(block.data(), block.size());
       })) {
    result = std::max(result, bits);
  }
  return result;
}

/// The largest finite magnitude; `largest` is largest_bits(values).
double largest_magnitude(std::span<const float> values, std::uint32_t largest) {
  if (largest < kInfinityBits) {
    return std::bit_cast<float>(largest);
  }
  float result = 0;
  for (const float value : values) {
    result = std::isfinite(value) ? std::max(result, std::abs(value)) : result;
  }
  return result;
}

struct Moments {
  double sum = 0, sum_of_squares = 0, count = 0;
};

/// Squares of floats are exact in double; only the additions round, in an order of their own.
Moments block_moments(std::span<const float> block) {
  std::array<double, kLanes> sum{};
  std::array<double, kLanes> squares{};
  std::array<std::int32_t, kLanes> count{};
  const auto add = [&](std::size_t lane, float value) {
    const bool finite = std::abs(value) <= std::numeric_limits<float>::max();
    const double x = finite ? static_cast<double>(value) : 0.0;
    sum[lane] += x;
    squares[lane] += x * x;
    count[lane] += finite ? 1 : 0;
  };
  std::size_t i = 0;
  for (; i + kLanes <= block.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      add(lane, block[i + lane]);
    }
  }
  for (; i < block.size(); ++i) {
    add(i % kLanes, block[i]);
  }
  Moments result;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    result.sum += sum[lane];
    result.sum_of_squares += squares[lane];
    result.count += count[lane];
  }
  return result;
}

/// The standard deviation about the mean; 0 if the tensor is constant as far as double can tell.
double standard_deviation(std::span<const float> values) {
  Moments total;
  for (const Moments& block : map_blocks<Moments>(values, block_moments)) {
    total.sum += block.sum;
    total.sum_of_squares += block.sum_of_squares;
    total.count += block.count;
  }
  if (total.count == 0) {
    return 0;
  }
  const double mean_of_squares = total.sum_of_squares / total.count;
  const double mean = total.sum / total.count;
  const double variance = mean_of_squares - mean * mean;
  return variance > 0x1p-40 * mean_of_squares ? std::sqrt(variance) : 0.0;
}

/// The smallest power of two that brings `magnitude` within `max_value`, exactly; 1 for zero.
double power_of_two_scale(double magnitude, double max_value) {
  if (magnitude == 0) {
    return 1.0;
  }
  int magnitude_exponent = 0;
  int max_exponent = 0;
  const double magnitude_fraction = std::frexp(magnitude, &magnitude_exponent);
  const double max_fraction = std::frexp(max_value, &max_exponent);
  const int carry = magnitude_fraction > max_fraction ? 1 : 0;
  return std::ldexp(1.0, magnitude_exponent - max_exponent + carry);
}

double find_scale(std::span<const float> values, const TensorFormat& format,
                  std::uint32_t largest) {
  const double max_value = format.conversion.format.max_value();
  if (format.scaling == Scaling::Sigma) {
    const double deviation = standard_deviation(values);
    if (deviation > 0) {
      return power_of_two_scale(format.sigmas * deviation, max_value);
    }
  }
  return power_of_two_scale(largest_magnitude(values, largest), max_value);
}

[[noreturn]] void refuse_not_finite(std::span<const float> values, const NumberFormat& format) {
  const auto* const it = std::find_if_not(values.data(), values.data() + values.size(),
                                          [](float value) { return std::isfinite(value); });
  throw Error(fmt::format("value {} at index {} of a tensor; accepted by {}: finite values", *it,
                          it - values.data(), format.to_string()));
}

/// Copies; returns how many values are not finite.
std::int64_t copy_all(std::span<const float> values, std::span<float> codes) {
  if (codes.data() != values.data()) {
    std::copy(values.begin(), values.end(), codes.begin());
  }
  if (largest_bits(values) < kInfinityBits) {
    return 0;
  }
  return std::count_if(values.begin(), values.end(),
                       [](float value) { return !std::isfinite(value); });
}

/// Wrapping conversions, element by element through convert().
std::int64_t wrap_all(std::span<const float> values, const Conversion& to, double scale,
                      const RandomRowKey& key, std::span<float> codes) {
  std::vector<std::int64_t> overflowed((values.size() + kBlock - 1) / kBlock);
  Conversion clamping = to;
  clamping.overflow = Overflow::Saturate;
  const std::uint32_t step = random_step_word(key, 0);
  for_blocks(values.size(), [&](std::size_t block, std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) {
      const std::uint32_t word =
          combine_random(random_column_word(key, static_cast<std::int64_t>(i)), step);
      const std::uint32_t random = top_random_bits(word, to.rounding.random_bits);
      const double x = static_cast<double>(values[i]) / scale;
      const double code = convert(x, to, random);
      overflowed[block] += code != convert(x, clamping, random) ? 1 : 0;
      codes[i] = static_cast<float>(code);
    }
  });
  std::int64_t result = 0;
  for (const std::int64_t count : overflowed) {
    result += count;
  }
  return result;
}

std::int64_t round_all(std::span<const float> values, const RoundPlan& plan,
                       std::span<float> codes) {
  std::vector<std::int64_t> overflowed((values.size() + kBlock - 1) / kBlock);
  for_blocks(values.size(), [&](std::size_t block, std::size_t first, std::size_t count) {
    overflowed[block] = round_block(plan, values.data() + first, count, codes.data() + first,
                                    static_cast<std::uint32_t>(first));
  });
  std::int64_t result = 0;
  for (const std::int64_t count : overflowed) {
    result += count;
  }
  return result;
}

void check(std::span<const float> values, const TensorFormat& format, std::span<float> codes) {
  if (codes.size() != values.size()) {
    throw Error(
        fmt::format("{} codes for {} values; accepted: as many", codes.size(), values.size()));
  }
  const NumberFormat& number = format.conversion.format;
  if (!fits_tensor(number)) {
    throw Error(fmt::format("{} has values beyond the range of fp32, which tensors are kept in",
                            number.to_string()));
  }
  const bool wraps = format.conversion.overflow == Overflow::Wrap;
  if (number.is_float() ? wraps : format.conversion.overflow == Overflow::Infinity) {
    throw Error(fmt::format("overflow {} with {}; accepted: saturate, {}",
                            to_string(format.conversion.overflow), number.to_string(),
                            number.is_float() ? "infinity" : "wrap"));
  }
}

}  // namespace

QuantizedTensor quantize(std::span<const float> values, const TensorFormat& format,
                         std::span<float> codes, std::uint64_t seed, std::uint64_t tensor_number) {
  check(values, format, codes);
  QuantizedTensor result;
  if (values.empty()) {
    return result;
  }
  if (format.is_identity()) {
    result.overflowed = copy_all(values, codes);
    return result;
  }
  const Conversion& to = format.conversion;
  if (to.format.is_fixed() || format.scaling != Scaling::None) {
    const std::uint32_t largest = largest_bits(values);
    if (to.format.is_fixed() && largest >= kInfinityBits) {
      refuse_not_finite(values, to.format);
    }
    if (format.scaling != Scaling::None) {
      result.scale = find_scale(values, format, largest);
    }
  }
  const RandomRowKey key = tensor_random_key(seed, tensor_number);
  result.overflowed = can_plan(to) ? round_all(values, make_plan(to, result.scale, key), codes)
                                   : wrap_all(values, to, result.scale, key, codes);
  return result;
}

}  // namespace narrowmac
