#include "models/design/number_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/design/expect_error.h"

namespace narrowmac {
namespace {

std::string refusal(std::string_view text) {
  return message_of([&] { (void)NumberFormat::parse(text); });
}

TEST(NumberFormat, EveryFloatPrintsAsItIsRead) {
  for (int x = 2; x <= 8; ++x) {
    for (int y = 1; y <= 23; ++y) {
      const std::string text = "e" + std::to_string(x) + "m" + std::to_string(y);
      const NumberFormat format = NumberFormat::parse(text);
      EXPECT_EQ(format.to_string(), text);
      EXPECT_EQ(format.exponent_bits, x);
      EXPECT_EQ(format.fraction_bits, y);
      EXPECT_EQ(format.width, 1 + x + y);
      EXPECT_EQ(format.precision(), y + 1);
    }
  }
}

TEST(NumberFormat, EveryFixedPointFormatPrintsAsItIsRead) {
  for (int w = 1; w <= 53; ++w) {
    for (int f = -256; f <= 256; ++f) {
      const std::string tail = std::to_string(w) + "." + std::to_string(f);
      ASSERT_EQ(NumberFormat::parse("ufx" + tail).to_string(), "ufx" + tail);
      if (w == 1) continue;  // a sign alone is no number
      ASSERT_EQ(NumberFormat::parse("fx" + tail).to_string(), "fx" + tail);
    }
  }
}

TEST(NumberFormat, AliasesAreTheFormatsTheyName) {
  EXPECT_EQ(NumberFormat::parse("fp32"), NumberFormat::parse("e8m23"));
  EXPECT_EQ(NumberFormat::parse("fp16"), NumberFormat::parse("e5m10"));
  EXPECT_EQ(NumberFormat::parse("bf16"), NumberFormat::parse("e8m7"));
  EXPECT_EQ(NumberFormat::parse("int8"), NumberFormat::parse("fx8.0"));
  EXPECT_EQ(NumberFormat::parse("uint8"), NumberFormat::parse("ufx8.0"));
  EXPECT_EQ(NumberFormat::parse("bf16").to_string(), "e8m7");
  EXPECT_EQ(NumberFormat::parse("uint1").to_string(), "ufx1.0");
}

TEST(NumberFormat, TheFiniteOnlyVariantIsNotTheFloatOfTheSameBits) {
  const NumberFormat finite = NumberFormat::parse("e4m3fn");
  EXPECT_NE(finite, NumberFormat::parse("e4m3"));
  EXPECT_EQ(finite.to_string(), "e4m3fn");
  EXPECT_FALSE(finite.has_infinity());
  EXPECT_EQ(finite.max_value(), 448);
  EXPECT_EQ(finite.width, 8);
}

TEST(NumberFormat, TheTopExponentOfAFloatIsInfinityAndNaN) {
  EXPECT_EQ(NumberFormat::parse("e2m1").max_value(), 3);
  EXPECT_EQ(NumberFormat::parse("e4m3").max_value(), 240);
  EXPECT_EQ(NumberFormat::parse("e5m2").max_value(), 57344);
  EXPECT_EQ(NumberFormat::parse("e5m2").lowest_value(), -57344);
  EXPECT_EQ(NumberFormat::parse("fp16").max_value(), 65504);
  EXPECT_EQ(NumberFormat::parse("fp32").max_value(), std::numeric_limits<float>::max());
}

TEST(NumberFormat, SubnormalsReachDownToTheQuantumOfTheSmallestExponent) {
  const NumberFormat e5m2 = NumberFormat::parse("e5m2");
  EXPECT_EQ(e5m2.bias(), 15);
  EXPECT_EQ(e5m2.min_exponent(), -14);
  EXPECT_EQ(e5m2.smallest_normal(), std::ldexp(1.0, -14));
  EXPECT_EQ(e5m2.smallest_value(), std::ldexp(1.0, -16));
  const NumberFormat fp32 = NumberFormat::parse("fp32");
  EXPECT_EQ(fp32.smallest_value(), std::numeric_limits<float>::denorm_min());
}

TEST(NumberFormat, FixedPointIsACodeTimesAPowerOfTwo) {
  const NumberFormat fine = NumberFormat::parse("fx8.10");
  EXPECT_EQ(fine.max_value(), 127.0 / 1024);
  EXPECT_EQ(fine.lowest_value(), -0.125);
  EXPECT_EQ(fine.smallest_value(), 1.0 / 1024);
  const NumberFormat coarse = NumberFormat::parse("fx16.-8");
  EXPECT_EQ(coarse.max_value(), 32767.0 * 256);
  EXPECT_EQ(coarse.smallest_value(), 256);
  const NumberFormat without_sign = NumberFormat::parse("uint8");
  EXPECT_EQ(without_sign.max_value(), 255);
  EXPECT_EQ(without_sign.lowest_value(), 0);
  EXPECT_EQ(NumberFormat::parse("fx53.0").max_value(), std::ldexp(1.0, 52) - 1);
}

TEST(NumberFormat, FitsFloat32OnlyIfEveryValueDoes) {
  EXPECT_TRUE(NumberFormat::parse("fp32").fits_float32());
  EXPECT_TRUE(NumberFormat::parse("e4m3fn").fits_float32());
  EXPECT_TRUE(NumberFormat::parse("fx25.0").fits_float32());  // -2^24 and 24-bit magnitudes
  EXPECT_FALSE(NumberFormat::parse("fx26.0").fits_float32());
  EXPECT_TRUE(NumberFormat::parse("uint24").fits_float32());
  EXPECT_FALSE(NumberFormat::parse("uint25").fits_float32());
  EXPECT_TRUE(NumberFormat::parse("fx8.149").fits_float32());   // unit 2^-149
  EXPECT_FALSE(NumberFormat::parse("fx8.150").fits_float32());  // below float32's last subnormal
  EXPECT_TRUE(NumberFormat::parse("fx8.-120").fits_float32());  // lowest value -2^127
  EXPECT_FALSE(NumberFormat::parse("fx8.-121").fits_float32());
  EXPECT_TRUE(NumberFormat::parse("ufx8.-120").fits_float32());
  EXPECT_FALSE(NumberFormat::parse("ufx8.-121").fits_float32());
}

TEST(NumberFormat, RefusalsNameTextReasonAndWhatIsAccepted) {
  EXPECT_EQ(
      refusal("e9m3"),
      "number format 'e9m3': 9 exponent bits; accepted: eXmY with X in 2..8 and Y in 1..23, "
      "e4m3fn, fxW.F with W in 2..53 and F in -256..256, ufxW.F with W in 1..53, intW, uintW, "
      "fp32, fp16, bf16");
  EXPECT_NE(refusal("e5m24").find("'e5m24': 24 fraction bits"), std::string::npos);
  EXPECT_NE(refusal("fx54.0").find("'fx54.0': 54 bits"), std::string::npos);
  EXPECT_NE(refusal("fx1.0").find("'fx1.0': 1 bits"), std::string::npos);
  EXPECT_NE(refusal("fx16.257").find("257 fraction bits"), std::string::npos);
  EXPECT_NE(refusal("fx16").find("the '.F' is missing"), std::string::npos);
  EXPECT_NE(refusal("float8").find("'float8': not a format"), std::string::npos);
}

TEST(NumberFormat, OnlyTheCanonicalSpellingIsAccepted) {
  for (const std::string_view text : {"",
                                      " ",
                                      "e5m2 ",
                                      " e5m2",
                                      "E5M2",
                                      "e05m2",
                                      "e5m02",
                                      "e+5m2",
                                      "e5m+2",
                                      "e-5m2",
                                      "e5m",
                                      "em2",
                                      "e5",
                                      "e5m2fn",
                                      "e4m3fnuz",
                                      "e4m3FN",
                                      "e5m2m2",
                                      "e99999999999m2",
                                      "e5m99999999999",
                                      "fx16.",
                                      "fx.4",
                                      "fx016.4",
                                      "fx16.04",
                                      "fx16.+4",
                                      "fx16.-0",
                                      "fx16.--4",
                                      "fx16.4.4",
                                      "fx16.-",
                                      "fx+16.4",
                                      "fx99999999999.0",
                                      "fx16.99999999999",
                                      "fx-16.4",
                                      "ufx",
                                      "ufx0.0",
                                      "ufx54.0",
                                      "int",
                                      "int1",
                                      "int08",
                                      "int8.0",
                                      "int54",
                                      "uint0",
                                      "uint54",
                                      "uint-8",
                                      "fp8",
                                      "fp64",
                                      "bf8",
                                      "e1m2",
                                      "e2m0",
                                      "e9m1",
                                      "fx16.-257",
                                      "exact",
                                      "e5m2\n"}) {
    EXPECT_THROW((void)NumberFormat::parse(text), Error) << "'" << text << "'";
  }
  EXPECT_THROW((void)NumberFormat::parse(std::string_view("e5m2\0", 5)), Error);
}

}  // namespace
}  // namespace narrowmac
