#include "models/numerics/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "tests/numerics/oracle.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"

namespace narrowmac {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Conversion to(const std::string& format, RoundingMode mode = RoundingMode::NearestEven,
              Overflow overflow = Overflow::Infinity, bool subnormals = true) {
  return {NumberFormat::parse(format), {mode, 0}, overflow, subnormals};
}

const char* const kSmallFormats[] = {"e2m1",  "e3m2",  "e2m3",   "e4m3",  "e4m3fn", "e5m2",  "e2m5",
                                     "fx2.0", "fx8.4", "fx5.-3", "fx6.9", "ufx1.0", "ufx8.2"};

TEST(Encode, EveryCodeOfASmallFormatComesBack) {
  for (const char* name : {"e2m1", "e4m3fn", "e5m2", "e3m4", "e5m10", "e8m7", "fx8.4", "fx2.0",
                           "fx16.-4", "ufx1.0", "ufx8.2", "fx6.200"}) {
    const NumberFormat format = NumberFormat::parse(name);
    for (std::uint64_t code = 0; code < (std::uint64_t{1} << format.width); ++code) {
      const double value = decode(code, format);
      ASSERT_TRUE(is_value(value, format)) << name << " code " << code;
      ASSERT_TRUE(std::isnan(value) || encode(value, format) == code) << name << " " << code;
      ASSERT_TRUE(same_bits(decode(encode(value, format), format), value)) << name;
    }
  }
}

TEST(Encode, KnownCodes) {
  EXPECT_EQ(encode(448, NumberFormat::parse("e4m3fn")), 0x7eU);
  EXPECT_EQ(encode(kNaN, NumberFormat::parse("e4m3fn")), 0x7fU);
  EXPECT_EQ(encode(-kInfinity, NumberFormat::parse("e5m2")), 0xfcU);
  EXPECT_EQ(encode(3, NumberFormat::parse("e2m1")), 0x5U);
  EXPECT_EQ(encode(-1.5, NumberFormat::parse("fx8.4")), 0xe8U);
  EXPECT_EQ(encode(1.0, NumberFormat::parse("fp32")), std::bit_cast<std::uint32_t>(1.0F));
}

TEST(Encode, RefusesWhatIsNoValueOfTheFormat) {
  EXPECT_THROW((void)encode(1.1, NumberFormat::parse("e5m2")), Error);
  EXPECT_THROW((void)encode(kInfinity, NumberFormat::parse("e4m3fn")), Error);
  EXPECT_THROW((void)encode(kNaN, NumberFormat::parse("fx8.0")), Error);
  EXPECT_THROW((void)encode(-1, NumberFormat::parse("ufx8.0")), Error);
}

TEST(IsValue, AsksForTheFormatsOwnSpecials) {
  EXPECT_TRUE(is_value(kInfinity, NumberFormat::parse("e5m2")));
  EXPECT_FALSE(is_value(kInfinity, NumberFormat::parse("e4m3fn")));
  EXPECT_TRUE(is_value(kNaN, NumberFormat::parse("e4m3fn")));
  EXPECT_FALSE(is_value(kNaN, NumberFormat::parse("fx8.0")));
  EXPECT_FALSE(is_value(128, NumberFormat::parse("fx8.0")));
  EXPECT_TRUE(is_value(-128, NumberFormat::parse("fx8.0")));
}

TEST(Convert, OverflowFollowsTheRounding) {
  // e5m2: the largest value is 57344, half a unit above it 61440.
  EXPECT_EQ(convert(61439, to("e5m2")), 57344);
  EXPECT_EQ(convert(61440, to("e5m2")), kInfinity);
  EXPECT_EQ(convert(1e6, to("e5m2", RoundingMode::TowardZero)), 57344);
  EXPECT_EQ(convert(1e6, to("e5m2", RoundingMode::Down)), 57344);
  EXPECT_EQ(convert(-57345, to("e5m2", RoundingMode::Down)), -kInfinity);
  EXPECT_EQ(convert(1e6, to("e5m2", RoundingMode::NearestEven, Overflow::Saturate)), 57344);
  EXPECT_EQ(convert(-kInfinity, to("e5m2", RoundingMode::NearestEven, Overflow::Saturate)),
            -kInfinity);
}

TEST(Convert, E4m3fnHasNoInfinity) {
  EXPECT_EQ(convert(464, to("e4m3fn")), 448);  // a tie, and 448 is the even neighbour
  EXPECT_TRUE(std::isnan(convert(464.5, to("e4m3fn"))));
  EXPECT_TRUE(std::isnan(convert(464, to("e4m3fn", RoundingMode::NearestAway))));
  EXPECT_EQ(convert(1e6, to("e4m3fn", RoundingMode::TowardZero)), 448);
  EXPECT_EQ(convert(1e6, to("e4m3fn", RoundingMode::NearestEven, Overflow::Saturate)), 448);
  EXPECT_TRUE(
      std::isnan(convert(kInfinity, to("e4m3fn", RoundingMode::NearestEven, Overflow::Saturate))));
}

TEST(Convert, WithoutSubnormalsRoundsWithUnboundedExponentThenFlushes) {
  const auto flush = [](double x) {
    return convert(x, to("e5m2", RoundingMode::NearestEven, Overflow::Infinity, false));
  };
  const double normal = std::ldexp(1.0, -14);
  EXPECT_TRUE(same_bits(flush(normal * 0.875), 0.0));  // a value of the unbounded format: flushed
  EXPECT_TRUE(same_bits(flush(-normal * 0.93), -0.0));
  EXPECT_EQ(flush(normal * 0.9375), normal);  // the tie between 0.875 and 1 goes up, to even
}

TEST(Convert, FixedPointClampsWrapsOrRefuses) {
  EXPECT_EQ(convert(200, to("fx8.0", RoundingMode::NearestEven, Overflow::Saturate)), 127);
  EXPECT_EQ(convert(200, to("fx8.0", RoundingMode::NearestEven, Overflow::Wrap)), -56);
  EXPECT_EQ(convert(-kInfinity, to("fx8.0", RoundingMode::NearestEven, Overflow::Saturate)), -128);
  EXPECT_EQ(convert(-3, to("ufx8.0", RoundingMode::NearestEven, Overflow::Saturate)), 0);
  EXPECT_TRUE(
      same_bits(convert(-0.25, to("fx8.0", RoundingMode::NearestEven, Overflow::Saturate)), 0.0));
  EXPECT_THROW((void)convert(kInfinity, to("fx8.0", RoundingMode::NearestEven, Overflow::Wrap)),
               Error);
  EXPECT_THROW((void)convert(kNaN, to("fx8.0", RoundingMode::NearestEven, Overflow::Saturate)),
               Error);
}

TEST(Convert, StochasticRoundsUpForTheRightNumberOfRandomWords) {
  Conversion stochastic{
      NumberFormat::parse("fx8.0"), {RoundingMode::Stochastic, 4}, Overflow::Saturate, true};
  const auto ups = [&](double x) {
    int count = 0;
    for (std::uint32_t random = 0; random < 16; ++random) {
      count += convert(x, stochastic, random) == 2 ? 1 : 0;
    }
    return count;
  };
  EXPECT_EQ(ups(1.0), 0);
  EXPECT_EQ(ups(1.0 + 1.0 / 32), 0);  // below 2^-4: cut off
  EXPECT_EQ(ups(1.0 + 1.0 / 16), 1);
  EXPECT_EQ(ups(1.5), 8);
  EXPECT_EQ(ups(1.99), 15);
}

/// Inputs that reach every value of a format of up to 8 bits, every tie and both sides of it, and
/// far beyond.
std::vector<double> inputs_around(const NumberFormat& format) {
  std::vector<double> inputs = {0.0, -0.0, 1e300, -1e300, 5e-324, -5e-324, 1e30, -1e30};
  if (format.is_float()) inputs.insert(inputs.end(), {kInfinity, -kInfinity, kNaN});
  std::vector<double> values;
  for (std::uint64_t code = 0; code < (std::uint64_t{1} << format.width); ++code) {
    const double value = decode(code, format);
    if (std::isfinite(value)) values.push_back(value);
  }
  values.push_back(2 * format.max_value());
  for (const double value : values) {
    const double unit = format.smallest_value();
    for (const double offset : {0.0, 0.25, 0.5, 0.75, 1.0 / 32, 31.0 / 32}) {
      const double size =
          std::fmax(std::fabs(value) * std::ldexp(1.0, -format.precision() + 1), unit);
      for (const double step : {unit, size, size / 2}) {
        for (const double x : {value + offset * step, value - offset * step}) {
          inputs.insert(inputs.end(),
                        {x, std::nextafter(x, kInfinity), std::nextafter(x, -kInfinity)});
        }
      }
    }
  }
  return inputs;
}

TEST(Convert, AgreesWithTheOracleOnEverySmallFormat) {
  std::int64_t comparisons = 0;
  for (const char* name : kSmallFormats) {
    const NumberFormat format = NumberFormat::parse(name);
    const std::vector<double> inputs = inputs_around(format);
    for (int mode = 0; mode <= 4; ++mode) {
      Conversion conversion{format, {static_cast<RoundingMode>(mode), 0}, Overflow::Saturate, true};
      const bool stochastic = conversion.rounding.mode == RoundingMode::Stochastic;
      conversion.rounding.random_bits = stochastic ? 3 : 0;
      for (const int variant : {0, 1, 2, 3}) {
        const Overflow other = format.is_float() ? Overflow::Infinity : Overflow::Wrap;
        conversion.overflow = (variant & 1) != 0 ? other : Overflow::Saturate;
        conversion.subnormals = (variant & 2) == 0;
        for (const double x : inputs) {
          const auto random = static_cast<std::uint32_t>(stochastic ? comparisons % 8 : 0);
          const auto expected = oracle::round(conversion, x, random);
          ASSERT_TRUE(expected.has_value());
          ASSERT_TRUE(same_bits(convert(x, conversion, random), expected->value))
              << name << " mode " << mode << " variant " << variant << " x " << x << ": "
              << convert(x, conversion, random) << ", expected " << expected->value;
          ++comparisons;
        }
      }
    }
  }
  std::printf("%lld comparisons\n", static_cast<long long>(comparisons));
}

TEST(ConvertAll, GivesTheBitsOfConvert) {
  std::vector<float> inputs;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 65537) {
    inputs.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
  for (std::uint32_t top = 0; top < 0x7f80U; ++top) {
    for (const std::int32_t offset : {-1, 0, 1}) {  // every tie of formats with up to 7 bits
      inputs.push_back(std::bit_cast<float>((top << 16) + static_cast<std::uint32_t>(offset)));
    }
  }
  std::int64_t comparisons = 0;
  for (const char* name : {"e2m1", "e4m3fn", "e5m2", "e6m3", "e5m10", "e8m7", "e8m21", "e7m22",
                           "e8m23", "fx8.4", "fx24.10", "ufx8.2"}) {
    for (const bool subnormals : {true, false}) {
      for (const Overflow overflow : {Overflow::Infinity, Overflow::Saturate}) {
        Conversion conversion = to(name, RoundingMode::NearestEven, overflow, subnormals);
        if (conversion.format.is_fixed()) conversion.overflow = Overflow::Saturate;
        std::vector<float> values = inputs;
        if (conversion.format.is_fixed()) {
          for (float& x : values) x = std::isnan(x) ? 0 : x;
        }
        const std::vector<float> before = values;
        convert_all(std::span<float>(values), conversion);
        for (std::size_t i = 0; i < values.size(); ++i) {
          const auto expected =
              static_cast<float>(convert(static_cast<double>(before[i]), conversion));
          ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]), std::bit_cast<std::uint32_t>(expected))
              << name << " of " << before[i];
          ++comparisons;
        }
      }
    }
  }
  std::printf("%lld comparisons\n", static_cast<long long>(comparisons));
}

TEST(ConvertAll, HandlesDoublesAndRefusesStochastic) {
  std::vector<double> values = {1.1, -0.0, 1e9};
  convert_all(std::span<double>(values), to("e5m10"));
  EXPECT_EQ(values[0], 1.099609375);
  EXPECT_TRUE(same_bits(values[1], -0.0));
  EXPECT_EQ(values[2], kInfinity);
  const Conversion stochastic{
      NumberFormat::parse("e5m2"), {RoundingMode::Stochastic, 8}, Overflow::Infinity, true};
  EXPECT_THROW(convert_all(std::span<double>(values), stochastic), Error);
}

}  // namespace
}  // namespace narrowmac
