#include "models/numerics/convert.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "models/design/error.h"
#include "models/numerics/exact_value.h"

namespace narrowmac {
namespace {

constexpr std::uint32_t kSignBit = 0x80000000U;
constexpr std::uint32_t kFloatInfinity = 0x7f800000U;
constexpr std::uint32_t kFloatNaN = 0x7fc00000U;
/// Elements per task: large enough that a task pays, small enough to share one layer's tensor.
constexpr std::size_t kGrain = 1U << 14;

double convert_to(const RoundingTarget& target, double x, std::uint32_t random) {
  if (std::isfinite(x)) return round_double(target, x, random).value;
  const bool clamps =
      !target.is_float && std::isinf(x) && target.conversion.overflow == Overflow::Saturate;
  if (clamps) return x > 0 ? target.max_value : target.lowest_value;
  return round_to(target, unpack(x), random).value;
}

/// float32 to a float format of at most 21 fraction bits, nearest even, as integer operations that
/// a compiler turns into vector code. Proven against convert() in tests/numerics/convert_test.cpp.
class FloatNarrowing {
 public:
  explicit FloatNarrowing(const Conversion& to) {
    const NumberFormat& format = to.format;
    const int fraction = format.fraction_bits;
    dropped_ = static_cast<std::uint32_t>(23 - fraction);
    below_half_ = (1U << (dropped_ - 1)) - 1;
    keep_ = ~((1U << dropped_) - 1);
    max_ = bits_of(format.max_value());
    normal_ = bits_of(format.smallest_normal());
    // 2^(emin - Y + 23): adding and subtracting it rounds magnitudes below 2^emin to multiples of
    // 2^(emin - Y).
    magic_ = static_cast<float>(std::ldexp(1.0, format.min_exponent() - fraction + 23));
    // The smallest magnitude that rounds, with unbounded exponent, to 2^emin: the tie goes there,
    // being even.
    flush_below_ =
        to.subnormals
            ? 0U
            : bits_of(std::ldexp(2.0 - std::ldexp(1.0, -fraction - 1), format.min_exponent() - 1));
    gradual_ = to.subnormals ? ~0U : 0U;
    const bool finite = format.family == NumberFormat::Family::FiniteFloat;
    infinity_ = finite ? kFloatNaN : kFloatInfinity;
    overflow_ = to.overflow == Overflow::Saturate ? max_ : infinity_;
  }

  static bool covers(const Conversion& to) {
    return to.format.is_float() && to.format.fraction_bits <= 21 &&
           to.rounding.mode == RoundingMode::NearestEven && to.overflow != Overflow::Wrap;
  }

  void apply(float* values, std::size_t count) const {
    const FloatNarrowing self = *this;  // no float in memory can be one of its members: vector code
    for (std::size_t i = 0; i < count; ++i) values[i] = self.one(values[i]);
  }

 private:
  std::uint32_t dropped_ = 0, below_half_ = 0, keep_ = 0, max_ = 0, normal_ = 0, flush_below_ = 0;
  std::uint32_t gradual_ = 0, infinity_ = 0, overflow_ = 0;
  float magic_ = 0;

  static std::uint32_t bits_of(double x) {
    return std::bit_cast<std::uint32_t>(static_cast<float>(x));
  }
  static std::uint32_t mask(bool condition) { return 0U - static_cast<std::uint32_t>(condition); }
  static std::uint32_t select(std::uint32_t condition, std::uint32_t yes, std::uint32_t no) {
    return (condition & yes) | (~condition & no);
  }

  [[nodiscard]] float one(float x) const {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t size = bits & ~kSignBit;
    const std::uint32_t odd = (size >> dropped_) & 1U;
    const std::uint32_t normal = (size + below_half_ + odd) & keep_;
    const float gradual = (std::bit_cast<float>(size) + magic_) - magic_;
    // Below 2^emin: gradual underflow; or, where that is off, 2^emin or zero.
    const std::uint32_t flushed = select(mask(size < flush_below_), 0U, normal_);
    const std::uint32_t small = select(gradual_, std::bit_cast<std::uint32_t>(gradual), flushed);
    std::uint32_t result = select(mask(size < normal_), small, normal);
    result = select(mask(result > max_), overflow_, result);
    result = select(mask(size == kFloatInfinity), infinity_, result);
    result = select(mask(size > kFloatInfinity), kFloatNaN, result);
    const std::uint32_t sign = select(mask(result == kFloatNaN), 0U, bits & kSignBit);
    return std::bit_cast<float>(result | sign);
  }
};

template <typename Number>
void convert_span(std::span<Number> values, const RoundingTarget& target) {
  for (Number& value : values) {
    value = static_cast<Number>(convert_to(target, static_cast<double>(value), 0));
  }
}

void refuse_stochastic(const Conversion& to) {
  if (to.rounding.mode == RoundingMode::Stochastic) {
    throw Error(
        "stochastic rounding of a whole span needs random words: expected another rounding");
  }
}

/// Calls body(first, count) over pieces of `size` elements, on several threads if it pays.
template <typename Body>
void for_pieces(std::size_t size, const Body& body) {
  if (size <= 2 * kGrain) {
    body(std::size_t{0}, size);
    return;
  }
  tbb::parallel_for(tbb::blocked_range<std::size_t>(0, size, kGrain),
                    [&](const tbb::blocked_range<std::size_t>& range) {
                      body(range.begin(), range.end() - range.begin());
                    });
}

}  // namespace

double convert(double x, const Conversion& to, std::uint32_t random_word) {
  return convert_to(RoundingTarget(to), x, random_word);
}

void convert_all(std::span<float> values, const Conversion& to) {
  refuse_stochastic(to);
  if (FloatNarrowing::covers(to)) {
    const FloatNarrowing narrowing(to);
    for_pieces(values.size(), [&](std::size_t first, std::size_t count) {
      narrowing.apply(values.data() + first, count);
    });
    return;
  }
  const RoundingTarget target(to);
  for_pieces(values.size(), [&](std::size_t first, std::size_t count) {
    convert_span(values.subspan(first, count), target);
  });
}

void convert_all(std::span<double> values, const Conversion& to) {
  refuse_stochastic(to);
  const RoundingTarget target(to);
  for_pieces(values.size(), [&](std::size_t first, std::size_t count) {
    convert_span(values.subspan(first, count), target);
  });
}

bool is_value(double x, const NumberFormat& format) {
  if (std::isnan(x)) return format.is_float();
  if (std::isinf(x)) return format.has_infinity();
  return convert(x, {format, {}, Overflow::Saturate, true}) == x;
}

std::uint64_t encode(double value, const NumberFormat& format) {
  if (!is_value(value, format)) {
    throw Error(std::to_string(value) + " is no value of " + format.to_string());
  }
  if (format.is_fixed()) {
    const auto units = static_cast<std::int64_t>(std::ldexp(value, format.fraction_bits));
    return static_cast<std::uint64_t>(units) & ((std::uint64_t{1} << format.width) - 1);
  }
  const int fraction_bits = format.fraction_bits;
  const std::uint64_t top_exponent = (std::uint64_t{1} << format.exponent_bits) - 1;
  if (std::isnan(value)) {
    const std::uint64_t quiet = format.family == NumberFormat::Family::FiniteFloat
                                    ? (std::uint64_t{1} << fraction_bits) - 1
                                    : std::uint64_t{1} << (fraction_bits - 1);
    return (top_exponent << fraction_bits) | quiet;
  }
  const std::uint64_t sign = std::signbit(value) ? std::uint64_t{1} << (format.width - 1) : 0;
  if (std::isinf(value)) return sign | (top_exponent << fraction_bits);
  const double size = std::fabs(value);
  if (size == 0) return sign;
  const int exponent = std::max(std::ilogb(size), format.min_exponent());
  const auto significand = static_cast<std::uint64_t>(std::ldexp(size, fraction_bits - exponent));
  // A subnormal has no hidden bit and the exponent field 0: adding does both.
  const auto field = static_cast<std::uint64_t>(exponent - format.min_exponent());
  return sign | ((field << fraction_bits) + significand);
}

double decode(std::uint64_t code, const NumberFormat& format) {
  const std::uint64_t low = code & ((std::uint64_t{1} << format.width) - 1);
  const bool top_bit = (low >> (format.width - 1)) != 0;
  if (format.is_fixed()) {
    const bool negative = top_bit && format.family == NumberFormat::Family::Signed;
    const auto units = static_cast<std::int64_t>(low) -
                       (negative ? static_cast<std::int64_t>(std::uint64_t{1} << format.width) : 0);
    return std::ldexp(static_cast<double>(units), -format.fraction_bits);
  }
  const int fraction_bits = format.fraction_bits;
  const std::uint64_t fraction = low & ((std::uint64_t{1} << fraction_bits) - 1);
  const auto top_exponent = (1 << format.exponent_bits) - 1;
  const auto field =
      static_cast<int>((low >> fraction_bits) & static_cast<std::uint64_t>(top_exponent));
  const double sign = top_bit ? -1.0 : 1.0;
  if (field == top_exponent) {
    if (format.family == NumberFormat::Family::Float) {
      if (fraction != 0) return std::numeric_limits<double>::quiet_NaN();
      return sign * std::numeric_limits<double>::infinity();
    }
    if (fraction == (std::uint64_t{1} << fraction_bits) - 1) {
      return std::numeric_limits<double>::quiet_NaN();
    }
  }
  const std::uint64_t hidden = field == 0 ? 0 : std::uint64_t{1} << fraction_bits;
  const int exponent = std::max(field, 1) - format.bias() - fraction_bits;
  return sign * std::ldexp(static_cast<double>(fraction | hidden), exponent);
}

}  // namespace narrowmac
