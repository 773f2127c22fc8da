#include "models/numerics/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/mac_stepper.h"
#include "tests/numerics/oracle.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"

namespace narrowmac {
namespace {

namespace random = random_design;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

MacDesign design(const std::string& a, const std::string& b, const std::string& accumulator,
                 RoundingMode mode = RoundingMode::NearestEven,
                 Overflow overflow = Overflow::Infinity) {
  MacDesign mac;
  mac.a = NumberFormat::parse(a);
  mac.b = NumberFormat::parse(b);
  mac.accumulator = {NumberFormat::parse(accumulator), {mode, 0}, overflow, true};
  return mac;
}

// The counter-examples of lanes that look wide enough: a float32 (or float64) lane rounds twice.

TEST(MacStep, E5m2IntoE6m3RoundsOnceWhereFloat32LanesRoundTwice) {
  // 1.5625 + 2^-30 lies just above the tie of 1.5 and 1.625; in 24 bits it is the tie.
  EXPECT_EQ(mac_step(design("e5m2", "e5m2", "e6m3"), std::ldexp(1.0, -30), 1.25, 1.25).value,
            1.625);
}

TEST(MacStep, ProductOfSixBitsIntoSixteenRoundsOnceWhereAWeakerLaneRuleFails) {
  // p = 16, q = 6: acc = 2^-16 (1 + 2^-15), P = 1. Above the tie of 1 and 1 + 2^-15 by 2^-31.
  const double acc = std::ldexp(1.0 + std::ldexp(1.0, -15), -16);
  EXPECT_EQ(mac_step(design("e5m2", "e5m2", "e8m15"), acc, 1, 1).value, 1 + std::ldexp(1.0, -15));
}

TEST(MacStep, TheAccumulatorMaySwallowTheProduct) {
  const StepOutcome outcome = mac_step(design("e5m2", "e5m2", "e6m3"), 16, 0.5, 0.5);
  EXPECT_EQ(outcome.value, 16);
  EXPECT_TRUE(outcome.inexact);
}

TEST(MacStep, ZerosKeepTheirSignAsIeeeSays) {
  const MacDesign nearest = design("e5m2", "e5m2", "e6m9");
  EXPECT_TRUE(same_bits(mac_step(nearest, 0.0, -1, 0.0).value, 0.0));
  EXPECT_TRUE(same_bits(mac_step(nearest, -0.0, -1, 0.0).value, -0.0));
  EXPECT_TRUE(same_bits(mac_step(nearest, -1, 1, 1).value, 0.0));
  const MacDesign down = design("e5m2", "e5m2", "e6m9", RoundingMode::Down);
  EXPECT_TRUE(same_bits(mac_step(down, 0.0, -1, 0.0).value, -0.0));
  EXPECT_TRUE(same_bits(mac_step(down, 0.0, 1, 0.0).value, 0.0));
  EXPECT_TRUE(same_bits(mac_step(down, -1, 1, 1).value, -0.0));
}

TEST(MacStep, InfinitiesAndNaNFollowIeee) {
  const MacDesign mac = design("e5m2", "e5m2", "e6m9");
  EXPECT_EQ(mac_step(mac, 1, kInfinity, 2).value, kInfinity);
  EXPECT_TRUE(std::isnan(mac_step(mac, 1, kInfinity, 0).value));
  EXPECT_TRUE(std::isnan(mac_step(mac, -kInfinity, kInfinity, 2).value));
  EXPECT_TRUE(std::isnan(mac_step(design("e5m2", "e5m2", "e4m3fn"), 1, kInfinity, 2).value));
}

TEST(MacStep, InfinityIntoFixedPointIsAnError) {
  const MacDesign mac =
      design("e5m2", "e5m2", "fx16.4", RoundingMode::NearestEven, Overflow::Saturate);
  EXPECT_THROW((void)mac_step(mac, 1, kInfinity, 2), Error);
}

TEST(MacStep, UnsignedTimesSignedWrapsModuloTheWidth) {
  const MacDesign mac =
      design("ufx8.0", "fx8.0", "fx16.0", RoundingMode::NearestEven, Overflow::Wrap);
  // 255 * 127 = 32385; 32385 + 1000 = 33385 = 65536 - 32151
  EXPECT_EQ(mac_step(mac, 1000, 255, 127).value, -32151);
  EXPECT_TRUE(mac_step(mac, 1000, 255, 127).overflow);
}

TEST(MacStep, ALargeMultipleOfTheModulusLeavesAWrappingAccumulator) {
  const MacDesign mac =
      design("fx2.-200", "fx2.-200", "fx8.0", RoundingMode::NearestEven, Overflow::Wrap);
  const double big = std::ldexp(1.0, 200);
  EXPECT_EQ(mac_step(mac, 77, big, big).value, 77);
  EXPECT_TRUE(mac_step(mac, 77, big, big).overflow);
}

TEST(MacStep, ARoundedProductIsRoundedBeforeTheSum) {
  MacDesign mac = design("e5m2", "e5m2", "e8m23");
  mac.product = Conversion{NumberFormat::parse("e5m2"), {}, Overflow::Infinity, true};
  EXPECT_EQ(mac_step(mac, 0, 1.25, 1.25).value, 1.5);  // 1.5625 without
}

void expect_step(const MacDesign& mac, double acc, double a, double b, std::uint32_t sum,
                 std::uint32_t product) {
  const auto expected = oracle::step(mac, acc, a, b, sum, product);
  if (!expected) {
    ASSERT_THROW((void)mac_step(mac, acc, a, b, sum, product), Error);
    return;
  }
  const StepOutcome outcome = mac_step(mac, acc, a, b, sum, product);
  ASSERT_TRUE(same_bits(outcome.value, expected->value))
      << describe(mac) << " acc " << acc << " a " << a << " b " << b << ": " << outcome.value
      << ", expected " << expected->value;
  ASSERT_EQ(outcome.inexact, expected->inexact) << describe(mac) << acc << " " << a << " " << b;
  ASSERT_EQ(outcome.overflow, expected->overflow) << describe(mac) << acc << " " << a << " " << b;
  ASSERT_EQ(outcome.underflow, expected->underflow) << describe(mac) << acc << " " << a << " " << b;
}

TEST(MacStep, AgreesWithTheOracleOverTheWholeSpaceOfDesigns) {
  random::Generator generator(20240601);
  std::int64_t comparisons = 0;
  for (int i = 0; i < 6000; ++i) {
    const MacDesign mac = random::any_design(generator);
    const Conversion& accumulator = mac.accumulator;
    const int product_bits = mac.product ? mac.product->rounding.random_bits : 0;
    for (int j = 0; j < 40; ++j) {
      const auto values = random::kValues[random::integer(generator, 0, 4)];
      Conversion flushed = accumulator;
      flushed.rounding = {};
      const double acc = convert(random::any_value(generator, accumulator.format, values), flushed);
      const double a = random::any_operand_value(generator, mac, mac.a, values);
      const double b = random::any_operand_value(generator, mac, mac.b, values);
      const auto sum = top_random_bits(static_cast<std::uint32_t>(generator()),
                                       accumulator.rounding.random_bits);
      const auto product = top_random_bits(static_cast<std::uint32_t>(generator()), product_bits);
      expect_step(mac, acc, a, b, sum, product);
      if (HasFatalFailure()) return;
      ++comparisons;
    }
  }
  std::printf("%lld comparisons\n", static_cast<long long>(comparisons));
}

/// Every product of two operand formats once, and one pair that gives it.
std::vector<std::pair<double, double>> every_product(const NumberFormat& a, const NumberFormat& b) {
  std::vector<std::pair<double, double>> pairs;
  std::set<double> seen;
  for (std::uint64_t i = 0; i < (std::uint64_t{1} << a.width); ++i) {
    for (std::uint64_t j = 0; j < (std::uint64_t{1} << b.width); ++j) {
      const double x = decode(i, a);
      const double y = decode(j, b);
      const double product = x * y;
      if (product == 0 || !std::isfinite(product) || seen.insert(product).second) {
        pairs.emplace_back(x, y);
      }
    }
  }
  return pairs;
}

TEST(MacStep, AgreesWithTheOracleOnEveryAccumulatorAndProductOfSmallFormats) {
  const char* const cases[][3] = {{"e3m2", "e2m1", "e2m1"},    {"e3m2", "e2m1", "e3m2"},
                                  {"e3m2", "e2m1", "e4m3fn"},  {"e2m2", "e2m2", "e5m2"},
                                  {"fx4.1", "fx4.2", "fx6.2"}, {"fx3.0", "ufx3.1", "fx8.1"},
                                  {"e2m2", "fx3.0", "e4m3"},   {"e2m2", "e2m2", "fx7.1"}};
  std::int64_t comparisons = 0;
  for (const auto& names : cases) {
    MacDesign mac = design(names[0], names[1], names[2]);
    const NumberFormat& format = mac.accumulator.format;
    const auto pairs = every_product(mac.a, mac.b);
    for (int mode = 0; mode <= 4; ++mode) {
      mac.accumulator.rounding = {static_cast<RoundingMode>(mode), mode == 4 ? 2 : 0};
      for (const int variant : {0, 1}) {
        const Overflow other = format.is_float() ? Overflow::Infinity : Overflow::Wrap;
        mac.accumulator.overflow = variant == 0 ? Overflow::Saturate : other;
        mac.accumulator.subnormals = variant == 0 || format.is_fixed();
        for (std::uint64_t code = 0; code < (std::uint64_t{1} << format.width); ++code) {
          const double acc = decode(code, format);
          for (const auto& [a, b] : pairs) {
            expect_step(mac, acc, a, b, mode == 4 ? static_cast<std::uint32_t>(comparisons % 4) : 0,
                        0);
            if (HasFatalFailure()) return;
            ++comparisons;
          }
        }
      }
    }
  }
  std::printf("%lld comparisons\n", static_cast<long long>(comparisons));
}

TEST(Adder, ThroughDoubleGivesTheBitsOfTheIntegers) {
  random::Generator generator(7);
  std::int64_t comparisons = 0;
  for (int i = 0; i < 20000; ++i) {
    MacDesign mac = random::any_design(generator);
    const Adder adder(mac.accumulator);
    const Conversion flushed{
        mac.accumulator.format, {}, mac.accumulator.overflow, mac.accumulator.subnormals};
    for (int j = 0; j < 100; ++j) {
      const auto values = random::kValues[random::integer(generator, 1, 4)];
      const double acc = convert(random::any_value(generator, flushed.format, values), flushed);
      const double scale = std::ldexp(1.0, random::integer(generator, -60, 60));
      const double addend =
          random::any_value(generator, mac.a,
                            values == random::Values::AnyCode ? random::Values::Finite : values) *
          (random::chance(generator, 50) ? scale : 1.0);
      const auto bits =
          top_random_bits(static_cast<std::uint32_t>(generator()), adder.random_bits());
      const StepOutcome fast = adder.add(acc, addend, bits);
      const StepOutcome plain = adder.add_exactly(acc, unpack(addend), bits);
      if (!std::isfinite(acc)) continue;
      ASSERT_TRUE(same_bits(fast.value, plain.value))
          << describe(mac) << " " << acc << " + " << addend << ": " << fast.value << ", expected "
          << plain.value;
      ASSERT_EQ(fast.inexact, plain.inexact) << describe(mac) << " " << acc << " + " << addend;
      ASSERT_EQ(fast.overflow, plain.overflow) << describe(mac) << " " << acc << " + " << addend;
      ASSERT_EQ(fast.underflow, plain.underflow) << describe(mac) << " " << acc << " + " << addend;
      ++comparisons;
    }
  }
  std::printf("%lld comparisons\n", static_cast<long long>(comparisons));
}

TEST(AddStep, AgreesWithTheOracle) {
  random::Generator generator(11);
  for (int i = 0; i < 50000; ++i) {
    const MacDesign mac = random::any_design(generator);
    const Conversion& to = mac.accumulator;
    const auto values = random::kValues[random::integer(generator, 0, 4)];
    const Conversion flushed{to.format, {}, to.overflow, to.subnormals};
    const double acc = convert(random::any_value(generator, to.format, values), flushed);
    const double addend = random::any_value(generator, mac.b, values);
    const auto bits =
        top_random_bits(static_cast<std::uint32_t>(generator()), to.rounding.random_bits);
    const auto expected = oracle::add(to, acc, addend, bits);
    if (!expected) {
      ASSERT_THROW((void)add_step(to, acc, addend, bits), Error);
    } else {
      ASSERT_TRUE(same_bits(add_step(to, acc, addend, bits).value, expected->value))
          << describe(mac);
    }
  }
}

}  // namespace
}  // namespace narrowmac
