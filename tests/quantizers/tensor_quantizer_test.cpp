#include "models/quantizers/tensor_quantizer.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <tbb/global_control.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/random.h"

namespace narrowmac {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kMax = std::numeric_limits<float>::max();

TensorFormat tensor_format(const std::string& format, RoundingMode mode = RoundingMode::NearestEven,
                           Overflow overflow = Overflow::Saturate,
                           Scaling scaling = Scaling::None) {
  TensorFormat result;
  result.conversion.format = NumberFormat::parse(format);
  result.conversion.rounding = {mode, mode == RoundingMode::Stochastic ? 7 : 0};
  result.conversion.overflow = overflow;
  result.scaling = scaling;
  return result;
}

/// Values of every kind for a format: all float exponents, the format's own range, its ties and
/// their neighbours, its subnormals, the edge of overflow, zeros of both signs; and, if wanted,
/// infinities and NaN.
std::vector<float> interesting_values(const NumberFormat& format, bool special, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<float> values{0.0F, -0.0F, kMax, -kMax, 1e-45F, -1e-45F};
  if (special) {
    values.insert(values.end(), {kInfinity, -kInfinity, kNaN, -kNaN});
  }
  const auto add = [&values](double x) {
    const auto value = static_cast<float>(x);
    for (const float near : {value, std::nextafter(value, kMax), std::nextafter(value, -kMax)}) {
      values.push_back(near);
      values.push_back(-near);
    }
  };
  const double unit = format.smallest_value();
  const double last =
      format.max_value() - std::nextafter(static_cast<float>(format.max_value()), 0);
  for (const double edge : {format.max_value(), -format.lowest_value(), format.smallest_normal(),
                            format.max_value() + last, unit}) {
    for (const double factor : {0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0}) {
      add(edge * factor);
    }
  }
  for (int i = 0; i < 2000; ++i) {  // any float
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(generator()));
    values.push_back(std::isfinite(value) ? value : 1.0F);
  }
  const int low = std::ilogb(unit) - 2;
  const int high = std::ilogb(format.max_value()) + 1;
  for (int i = 0; i < 3000; ++i) {  // the format's exponents, significands with few bits: many ties
    const int exponent =
        low + static_cast<int>(generator() % static_cast<unsigned>(high - low + 1));
    const int bits = format.precision() + 1 + static_cast<int>(generator() % 3) - 1;
    const double steps = std::ldexp(1.0, std::min(bits, 24));
    const double significand =
        std::floor((1.0 + static_cast<double>(generator()) * 0x1p-32) * steps) / steps;
    add(std::ldexp(significand, exponent));
  }
  for (float& value : values) {
    value = std::isnan(value) || special || std::isfinite(value) ? value : kMax;
  }
  return values;
}

/// quantize() against convert(), bit by bit, overflows counted.
void expect_like_convert(const std::vector<float>& values, const TensorFormat& format) {
  std::vector<float> codes(values.size());
  const QuantizedTensor result = quantize(values, format, codes, 11, 22);
  const Conversion& to = format.conversion;
  std::int64_t overflowed = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t word =
        random_word(11, 22, -1, static_cast<std::int64_t>(i), RandomLevel::Accumulator, 0);
    const std::uint32_t random = top_random_bits(word, to.rounding.random_bits);
    const double scaled = static_cast<double>(values[i]) / result.scale;
    const double expected = convert(scaled, to, random);
    auto expected_float = static_cast<float>(expected);
    if (std::abs(static_cast<double>(expected_float)) > std::abs(expected)) {
      expected_float = std::nextafter(expected_float, 0.0F);
    }
    ASSERT_EQ(std::bit_cast<std::uint32_t>(codes[i]), std::bit_cast<std::uint32_t>(expected_float))
        << format.describe() << " scale " << result.scale << ": " << values[i] << " gave "
        << codes[i] << ", expected " << expected_float;
    Conversion wide = to;  // the same rounding where nothing overflows
    if (std::isfinite(scaled) && to.format.is_float() && to.format.exponent_bits < 8) {
      wide.format.family = NumberFormat::Family::Float;
      wide.format.exponent_bits = 8;
      wide.format.width = 9 + to.format.fraction_bits;
      wide.overflow = Overflow::Infinity;
      overflowed += std::abs(scaled) >= to.format.smallest_normal() &&
                            std::abs(convert(scaled, wide, random)) > to.format.max_value()
                        ? 1
                        : 0;
    } else if (!std::isfinite(scaled)) {
      ++overflowed;
    }
  }
  if (to.format.is_float() && to.format.exponent_bits < 8) {
    EXPECT_EQ(result.overflowed, overflowed) << format.describe();
  }
}

const RoundingMode kModes[] = {RoundingMode::NearestEven, RoundingMode::NearestAway,
                               RoundingMode::TowardZero, RoundingMode::Down,
                               RoundingMode::Stochastic};

TEST(Quantize, FloatFormatsGiveTheBitsOfConvert) {
  unsigned seed = 1;
  for (const char* name : {"e5m2", "e4m3", "e4m3fn", "bf16", "fp16", "e2m1", "e3m4", "e6m9", "e8m1",
                           "e8m22", "e5m23", "fp32"}) {
    const NumberFormat format = NumberFormat::parse(name);
    const std::vector<float> values = interesting_values(format, true, seed++);
    for (const RoundingMode mode : kModes) {
      for (const Overflow overflow : {Overflow::Infinity, Overflow::Saturate}) {
        for (const bool subnormals : {true, false}) {
          TensorFormat to = tensor_format(name, mode, overflow);
          to.conversion.subnormals = subnormals;
          if (!to.is_identity()) {  // which copies, the payload of a NaN too
            expect_like_convert(values, to);
          }
        }
      }
    }
  }
}

TEST(Quantize, FixedPointFormatsGiveTheBitsOfConvert) {
  unsigned seed = 100;
  for (const char* name : {"int8", "int4", "int2", "uint8", "uint1", "fx8.7", "fx16.-4", "fx16.12",
                           "fx24.0", "fx25.10", "fx32.0", "fx53.20", "ufx12.140", "fx8.-100"}) {
    const std::vector<float> values = interesting_values(NumberFormat::parse(name), false, seed++);
    for (const RoundingMode mode : kModes) {
      expect_like_convert(values, tensor_format(name, mode));
      expect_like_convert(values, tensor_format(name, mode, Overflow::Wrap));
    }
  }
}

TEST(Quantize, ScaledFormatsGiveTheBitsOfConvertOfTheScaledValue) {
  std::mt19937 generator(5);
  std::normal_distribution<float> normal;
  for (const char* name : {"e5m2", "e4m3fn", "bf16", "fp32", "int8", "int4", "fx16.12", "uint8"}) {
    for (const float size : {1e-42F, 1e-30F, 0.003F, 1.0F, 1e7F, 1e37F}) {
      std::vector<float> values(5000);
      for (float& value : values) {
        value = normal(generator) * size;
      }
      for (const RoundingMode mode : kModes) {
        for (const Scaling scaling : {Scaling::MaxAbs, Scaling::Sigma}) {
          expect_like_convert(values, tensor_format(name, mode, Overflow::Saturate, scaling));
        }
      }
    }
  }
}

TEST(Quantize, EveryVectorWidthGivesTheSameBits) {
  const NumberFormat format = NumberFormat::parse("e5m2");
  const std::vector<float> values = interesting_values(format, true, 3);
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    for (const RoundingMode mode : kModes) {
      expect_like_convert(values, tensor_format("e5m2", mode));
      expect_like_convert(values, tensor_format("e5m10", mode, Overflow::Infinity));
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(Quantize, EveryLengthIsRoundedToItsEndAndNotBeyond) {
  for (std::size_t size = 0; size < 70; ++size) {
    const std::vector<float> values(size, 1.3F);
    std::vector<float> codes(size + 1, -7.0F);
    quantize(values, tensor_format("e5m2"), std::span(codes).first(size));
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_EQ(codes[i], 1.25F);
    }
    ASSERT_EQ(codes[size], -7.0F);
  }
}

TEST(Quantize, CodesMayBeTheValuesThemselves) {
  std::vector<float> values = interesting_values(NumberFormat::parse("e4m3"), true, 8);
  std::vector<float> codes(values.size());
  quantize(values, tensor_format("e4m3"), codes);
  quantize(values, tensor_format("e4m3"), values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(codes[i]), std::bit_cast<std::uint32_t>(values[i]));
  }
}

double scale_of(const std::vector<float>& values, const TensorFormat& format) {
  std::vector<float> codes(values.size());
  return quantize(values, format, codes).scale;
}

TEST(MaxAbsScale, IsTheSmallestPowerOfTwoThatHoldsTheLargestMagnitude) {
  const TensorFormat int8 =
      tensor_format("int8", RoundingMode::NearestEven, Overflow::Saturate, Scaling::MaxAbs);
  EXPECT_EQ(scale_of({0.5F, -127.0F}, int8), 1.0);  // exactly at the boundary
  EXPECT_EQ(scale_of({std::nextafter(127.0F, 128.0F)}, int8), 2.0);
  EXPECT_EQ(scale_of({-128.0F}, int8), 2.0);  // the scale is symmetric: 127 counts, not -128
  EXPECT_EQ(scale_of({63.5F}, int8), 0.5);
  EXPECT_EQ(scale_of({1.0F}, int8), 0x1p-6);
  EXPECT_EQ(scale_of({254.0F}, int8), 2.0);
  EXPECT_EQ(scale_of({1e-45F}, int8), 0x1p-155);
  const TensorFormat e5m2 =
      tensor_format("e5m2", RoundingMode::NearestEven, Overflow::Saturate, Scaling::MaxAbs);
  EXPECT_EQ(scale_of({57344.0F}, e5m2), 1.0);
  EXPECT_EQ(scale_of({57345.0F}, e5m2), 2.0);
}

TEST(MaxAbsScale, OfAZeroOrEmptyTensorIsOne) {
  const TensorFormat int8 =
      tensor_format("int8", RoundingMode::NearestEven, Overflow::Saturate, Scaling::MaxAbs);
  EXPECT_EQ(scale_of({}, int8), 1.0);
  EXPECT_EQ(scale_of({0.0F, -0.0F, 0.0F}, int8), 1.0);
}

TEST(MaxAbsScale, IgnoresWhatIsNotFinite) {
  EXPECT_EQ(scale_of({1.0F, kInfinity, kNaN}, tensor_format("e4m3", RoundingMode::NearestEven,
                                                            Overflow::Saturate, Scaling::MaxAbs)),
            0x1p-7);  // 240 * 2^-7 = 1.875 holds 1, 240 * 2^-8 does not
}

TEST(SigmaScale, HoldsKStandardDeviationsAndSaturatesBeyond) {
  TensorFormat format =
      tensor_format("int8", RoundingMode::NearestEven, Overflow::Saturate, Scaling::Sigma);
  // Mean 1, deviation 1: 127 scale >= 4 gives 2^-4 (7.9); 127 scale >= 3.9 as well; 2^-5
  // gives 3.97.
  const std::vector<float> values{0.0F, 2.0F, 0.0F, 2.0F};
  EXPECT_EQ(scale_of(values, format), 0x1p-4);
  format.sigmas = 3.9;
  EXPECT_EQ(scale_of(values, format), 0x1p-5);
  format.sigmas = 0.5;
  std::vector<float> codes(values.size());
  const QuantizedTensor result = quantize(values, format, codes);
  EXPECT_EQ(result.scale, 0x1p-7);
  EXPECT_EQ(result.overflowed, 2);
  EXPECT_EQ(codes, (std::vector<float>{0, 127, 0, 127}));
}

TEST(SigmaScale, OfAConstantTensorIsThatOfItsMagnitude) {
  const TensorFormat format =
      tensor_format("int8", RoundingMode::NearestEven, Overflow::Saturate, Scaling::Sigma);
  EXPECT_EQ(scale_of(std::vector<float>(100000, 0.1F), format), 0x1p-10);
  EXPECT_EQ(scale_of(std::vector<float>(100000, 0.0F), format), 1.0);
}

TEST(Quantize, ThreadsChangeNothing) {
  std::mt19937 generator(17);
  std::normal_distribution<float> normal;
  std::vector<float> values(200'001);
  for (float& value : values) {
    value = normal(generator);
  }
  for (const Scaling scaling : {Scaling::None, Scaling::MaxAbs, Scaling::Sigma}) {
    const TensorFormat format =
        tensor_format("fx8.6", RoundingMode::Stochastic, Overflow::Saturate, scaling);
    std::vector<float> one(values.size());
    std::vector<float> four(values.size());
    QuantizedTensor first;
    QuantizedTensor second;
    {
      const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 1);
      first = quantize(values, format, one, 3, 4);
    }
    {
      const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 4);
      second = quantize(values, format, four, 3, 4);
    }
    EXPECT_EQ(one, four);
    EXPECT_EQ(first.scale, second.scale);
    EXPECT_EQ(first.overflowed, second.overflowed);
  }
}

TEST(Quantize, StochasticRoundingIsUnbiasedAndDiffersBetweenTensors) {
  TensorFormat format = tensor_format("int8", RoundingMode::Stochastic);
  format.conversion.rounding.random_bits = 24;
  const std::vector<float> values(100'000, 0.3F);
  std::vector<float> codes(values.size());
  std::vector<float> others(values.size());
  quantize(values, format, codes, 1, 1);
  quantize(values, format, others, 1, 2);
  double sum = 0;
  for (const float code : codes) {
    ASSERT_TRUE(code == 0.0F || code == 1.0F);
    sum += code;
  }
  EXPECT_NEAR(sum / 100'000, 0.3, 0.006);  // four standard errors
  EXPECT_NE(codes, others);
}

TEST(Quantize, OverflowedElementsAreCounted) {
  std::vector<float> codes(6);
  const std::vector<float> values{1.0F, 1e6F, -1e6F, kInfinity, kNaN, 57344.0F};
  EXPECT_EQ(quantize(values, tensor_format("e5m2"), codes).overflowed, 4);
  EXPECT_EQ(codes[1], 57344.0F);
  EXPECT_EQ(codes[3], kInfinity);
  EXPECT_EQ(quantize(values, TensorFormat{}, codes).overflowed, 2);  // fp32: not finite
  const std::vector<float> fixed{127.4F, 127.6F, -128.4F, -129.0F, 0.0F, 300.0F};
  EXPECT_EQ(quantize(fixed, tensor_format("int8"), codes).overflowed, 3);
  EXPECT_EQ(codes, (std::vector<float>{127, 127, -128, -128, 0, 127}));
  EXPECT_EQ(quantize(fixed, tensor_format("int8", RoundingMode::NearestEven, Overflow::Wrap), codes)
                .overflowed,
            3);
  EXPECT_EQ(codes, (std::vector<float>{127, -128, -128, 127, 0, 44}));
  EXPECT_EQ(
      quantize(std::vector<float>{-1.0F, 3.0F}, tensor_format("uint8"), std::span(codes).first(2))
          .overflowed,
      1);
  EXPECT_EQ(codes[0], 0.0F);
}

TEST(Quantize, IdentityCopies) {
  const std::vector<float> values = interesting_values(NumberFormat{}, true, 4);
  std::vector<float> codes(values.size());
  ASSERT_TRUE(TensorFormat{}.is_identity());
  EXPECT_EQ(quantize(values, TensorFormat{}, codes).scale, 1.0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(codes[i]), std::bit_cast<std::uint32_t>(values[i]));
  }
}

TEST(Quantize, WhatCannotBeIsRefused) {
  std::vector<float> codes(2);
  EXPECT_THROW(quantize(std::vector<float>{1, kNaN}, tensor_format("int8"), codes), Error);
  EXPECT_THROW(quantize(std::vector<float>{1, -kInfinity}, tensor_format("int8"), codes), Error);
  EXPECT_THROW(quantize(std::vector<float>{1}, tensor_format("int8"), codes), Error);
  const std::vector<float> values{1, 2};
  EXPECT_THROW(quantize(values, tensor_format("fx8.200"), codes), Error);
  EXPECT_THROW(quantize(values, tensor_format("fx8.-140"), codes), Error);
  EXPECT_THROW(quantize(values, tensor_format("e5m2", RoundingMode::Down, Overflow::Wrap), codes),
               Error);
  EXPECT_THROW(
      quantize(values, tensor_format("int8", RoundingMode::Down, Overflow::Infinity), codes),
      Error);
}

}  // namespace
}  // namespace narrowmac
