#include "models/theory/mac_theory.h"

#include <gtest/gtest.h>

#include "models/theory/accumulation_length.h"

namespace narrowmac {
namespace {

MacDesign design(const std::string& operand, const std::string& accumulator) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse(operand);
  mac.accumulator.format = NumberFormat::parse(accumulator);
  return mac;
}

TEST(MacTheory, AProductHasTheBitsOfBothSignificandsLessOne) {
  EXPECT_EQ(product_mantissa(design("e5m2", "e6m9")), 5);  // 3 x 3 bits: 6, one of them hidden
  EXPECT_EQ(product_mantissa(design("e4m3", "e6m9")), 7);
  EXPECT_EQ(product_mantissa(design("bf16", "fp32")), 15);
  EXPECT_EQ(product_mantissa(design("int8", "fp32")), 13);  // 7 x 7 bits
}

TEST(MacTheory, ARoundedProductHasTheBitsOfItsFormat) {
  MacDesign mac = design("bf16", "fp32");
  mac.product = Conversion{NumberFormat::parse("e8m10"), {}, Overflow::Infinity, true};
  EXPECT_EQ(product_mantissa(mac), 10);
  mac.product->format = NumberFormat::parse("fp32");
  EXPECT_EQ(product_mantissa(mac), 15);
}

TEST(MacTheory, EachLevelOfAChunkedMacLosesWithItsOwnMantissa) {
  MacDesign mac = design("e5m2", "e6m7");
  AccumulationOrder order;
  order.chunk = Chunk{64, {}};
  order.chunk->accumulator.format = NumberFormat::parse("e6m9");
  const auto loss = predicted_loss(mac, order, 65536, 1);
  const double first = swamping_loss(7, 5, 64);
  const double second = swamping_loss(9, 7, 1024);  // a chunk's sum has the first level's 7 bits
  ASSERT_TRUE(loss);
  EXPECT_NEAR(*loss / (first + second - first * second), 1, 1e-12);
  Accumulation sum;
  sum.length = 65536;
  sum.chunk = 64;
  EXPECT_EQ(predicted_mantissa(mac, order, 65536, 1), minimum_mantissa(sum));
}

TEST(MacTheory, AFixedPointAccumulatorHasNoMantissa) {
  const MacDesign fixed = design("int8", "int32");
  EXPECT_FALSE(predicted_loss(fixed, {}, 64, 1));
  EXPECT_FALSE(predicted_mantissa(fixed, {}, 64, 1));
  AccumulationOrder order;
  order.chunk = Chunk{64, {}};
  order.chunk->accumulator.format = NumberFormat::parse("int32");
  EXPECT_FALSE(predicted_loss(design("int8", "e6m9"), order, 640, 1));
}

TEST(MacTheory, SaysNothingOfDotUnitsAndExactSums) {
  AccumulationOrder dot, exact;
  dot.dot = Dot{4, 13, DotAccumulator::Aligned, Alignment::TowardZero};
  exact.exact = true;
  EXPECT_FALSE(predicted_loss(design("e5m2", "e6m9"), dot, 64, 1));
  EXPECT_FALSE(predicted_mantissa(design("e5m2", "e6m9"), exact, 64, 1));
}

TEST(MacTheory, WideOperandsAreWithinTheTheorysRange) {
  EXPECT_TRUE(predicted_loss(design("fx53.0", "fp32"), {}, 64, 1));
}

}  // namespace
}  // namespace narrowmac
