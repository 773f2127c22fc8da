#include "sim/cli/exact_number.h"

#include <gtest/gtest.h>

#include <limits>

namespace narrowmac {
namespace {

TEST(ExactNumber, SumsAndProductsLoseNothing) {
  const ExactNumber big(0x1p300);
  const ExactNumber small(-0x1p-300);
  const ExactNumber sum = big + small;
  EXPECT_FALSE(sum.is_double());
  EXPECT_EQ(sum.exponent(), 299);
  EXPECT_EQ(sum.lowest_bit(), -300);
  EXPECT_EQ(sum + ExactNumber(0x1p-300), big);
  const ExactNumber third(1.0 / 3);
  EXPECT_FALSE((third * third).is_double());
  EXPECT_EQ((third * third).to_double(), 1.0 / 3 * (1.0 / 3));
}

TEST(ExactNumber, RoundsToTheNearestDoubleWithTiesToEven) {
  const ExactNumber one(1.0);
  EXPECT_EQ((one + ExactNumber(0x1p-53)).to_double(), 1.0);
  EXPECT_EQ((one + ExactNumber(0x1p-53) + ExactNumber(0x1p-200)).to_double(), 1 + 0x1p-52);
  EXPECT_EQ((one + ExactNumber(0x1.8p-52)).to_double(), 1 + 0x1p-51);
  EXPECT_EQ(ExactNumber(-0.1).to_double(), -0.1);
  EXPECT_EQ((ExactNumber(0x1p1000) * ExactNumber(0x1p1000)).to_double(),
            std::numeric_limits<double>::infinity());
}

TEST(ExactNumber, ZeroIsZero) {
  EXPECT_TRUE(ExactNumber(0.0).is_zero());
  EXPECT_TRUE((ExactNumber(3.0) + ExactNumber(-3.0)).is_zero());
  EXPECT_EQ(ExactNumber(0.0).to_binary(4), "0");
  EXPECT_EQ(ExactNumber(-0.0).to_double(), 0);
}

TEST(ExactNumber, PrintsItsSignificandInBinary) {
  EXPECT_EQ(ExactNumber(8).to_binary(), "1 x 2^3");
  EXPECT_EQ(ExactNumber(8).to_binary(2), "1.00 x 2^3");
  EXPECT_EQ(ExactNumber(-11).to_binary(2), "-1.011 x 2^3");
  EXPECT_EQ(ExactNumber(0.15625).to_binary(), "1.01 x 2^-3");
  EXPECT_EQ((ExactNumber(1) + ExactNumber(0x1p-40)).to_binary(), "1.(39 zeros)1 x 2^0");
}

}  // namespace
}  // namespace narrowmac
