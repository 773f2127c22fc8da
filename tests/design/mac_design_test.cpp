#include "models/design/mac_design.h"

#include <gtest/gtest.h>

#include "models/design/config.h"
#include "tests/design/expect_error.h"

namespace narrowmac {
namespace {

MacDesign design(std::string_view a, std::string_view b, std::string_view accumulator,
                 Overflow overflow = Overflow::Infinity) {
  MacDesign mac;
  mac.a = NumberFormat::parse(a);
  mac.b = NumberFormat::parse(b);
  mac.accumulator.format = NumberFormat::parse(accumulator);
  mac.accumulator.overflow = overflow;
  return mac;
}

MacDesign chunked(std::string_view accumulator, std::int64_t length, std::string_view second) {
  MacDesign mac = design("e5m2", "e5m2", accumulator);
  mac.chunk.emplace();
  mac.chunk->length = length;
  mac.chunk->accumulator.format = NumberFormat::parse(second);
  return mac;
}

MacDesign parse_back(const std::string& toml) {
  return parse_mac(ConfigTable::parse(toml, "printed").table("mac"));
}

TEST(MacDesign, DescribesItselfInOneLine) {
  EXPECT_EQ(describe(design("e5m2", "e5m2", "e6m9")), "e5m2 x e5m2 -> e6m9 nearest-even");
  EXPECT_EQ(describe(chunked("e6m9", 64, "e6m9")),
            "e5m2 x e5m2 -> e6m9 nearest-even, chunk 64 -> e6m9");
  EXPECT_EQ(describe(chunked("e6m9", 0, "fp32")),
            "e5m2 x e5m2 -> e6m9 nearest-even, chunk of the array's rows -> e8m23");
  EXPECT_EQ(describe(design("int8", "uint4", "fx16.0", Overflow::Wrap)),
            "fx8.0 x ufx4.0 -> fx16.0 nearest-even wrap");
  MacDesign mac = chunked("e6m5", 32, "e6m9");
  mac.accumulator.rounding = {RoundingMode::Stochastic, 8};
  mac.accumulator.subnormals = false;
  mac.product.emplace();
  mac.product->format = NumberFormat::parse("e6m7");
  mac.product->rounding = {RoundingMode::TowardZero, 0};
  EXPECT_EQ(describe(mac),
            "e5m2 x e5m2 -> product e6m7 toward-zero -> e6m5 stochastic(8 bits) no-subnormals, "
            "chunk 32 -> e6m9 nearest-even");
}

TEST(MacDesign, PrintedTomlSpellsOutEveryDefault) {
  EXPECT_EQ(to_toml(design("bf16", "e5m2", "fp32")),
            "[mac]\na = \"e8m7\"\nb = \"e5m2\"\nproduct = \"exact\"\naccumulator = \"e8m23\"\n"
            "rounding = \"nearest-even\"\noverflow = \"infinity\"\nsubnormals = true\n");
}

TEST(MacDesign, PrintedTomlParsesBackToTheSameDesign) {
  std::vector<MacDesign> designs = {design("e5m2", "e4m3fn", "e6m9"),
                                    design("int8", "uint8", "fx24.0", Overflow::Saturate),
                                    design("int8", "int8", "fx16.-8", Overflow::Wrap),
                                    chunked("e6m3", 64, "e6m9"), chunked("e6m3", 0, "e6m9")};
  for (const RoundingMode mode : {RoundingMode::NearestEven, RoundingMode::NearestAway,
                                  RoundingMode::TowardZero, RoundingMode::Down}) {
    MacDesign mac = chunked("e6m5", 16, "bf16");
    mac.accumulator.rounding.mode = mode;
    mac.accumulator.overflow = Overflow::Saturate;
    mac.product.emplace();
    mac.product->format = NumberFormat::parse("fx20.8");
    mac.product->rounding.mode = RoundingMode::Down;
    mac.product->overflow = Overflow::Saturate;
    designs.push_back(mac);
  }
  MacDesign random = chunked("e6m5", 16, "fx40.20");
  random.accumulator.rounding = {RoundingMode::Stochastic, 24};
  random.accumulator.subnormals = false;
  random.product.emplace();
  random.product->format = NumberFormat::parse("e6m4");
  random.product->rounding = {RoundingMode::Stochastic, 24};
  random.product->subnormals = false;
  random.chunk->accumulator.rounding = {RoundingMode::Stochastic, 1};
  random.chunk->accumulator.overflow = Overflow::Wrap;
  designs.push_back(random);
  random.accumulator.rounding = {};  // the product alone draws random bits
  designs.push_back(random);
  for (const MacDesign& mac : designs) {
    validate(mac);
    EXPECT_EQ(parse_back(to_toml(mac)), mac) << to_toml(mac);
  }
}

TEST(MacDesign, OperandsAreRoundedToNearestEvenWithTheDesignsOverflow) {
  MacDesign mac = design("e5m2", "int8", "e6m9");
  mac.accumulator.rounding.mode = RoundingMode::Down;
  EXPECT_EQ(mac.operand_conversion(mac.a).rounding.mode, RoundingMode::NearestEven);
  EXPECT_EQ(mac.operand_conversion(mac.a).format, mac.a);
  EXPECT_EQ(mac.operand_conversion(mac.a).overflow, Overflow::Infinity);
  EXPECT_EQ(mac.operand_conversion(mac.b).overflow, Overflow::Saturate);
  mac.accumulator.overflow = Overflow::Saturate;
  EXPECT_EQ(mac.operand_conversion(mac.a).overflow, Overflow::Saturate);
  mac.accumulator.subnormals = false;
  EXPECT_FALSE(mac.operand_conversion(mac.a).subnormals);
}

TEST(MacDesign, FloatOperandsBecomeInfinityWhereTheAccumulatorWraps) {
  const MacDesign mac = design("e5m2", "e5m2", "fx40.20", Overflow::Wrap);
  EXPECT_EQ(mac.operand_conversion(mac.a).overflow, Overflow::Infinity);
}

TEST(MacDesign, ImpossibleDesignsAreRefusedWithTheReason) {
  const auto reason = [](const MacDesign& mac) { return message_of([&] { validate(mac); }); };
  EXPECT_EQ(reason(design("e5m2", "e5m2", "uint16", Overflow::Saturate)),
            "accumulator 'ufx16.0': unsigned formats are for operands only; accepted: a float or a "
            "signed fixed-point format");
  EXPECT_EQ(reason(design("int8", "int8", "fx24.0", Overflow::Infinity)),
            "accumulator 'fx24.0' has no infinity: overflow must be 'saturate' or 'wrap'");
  EXPECT_EQ(reason(design("e5m2", "e5m2", "e6m9", Overflow::Wrap)),
            "accumulator 'e6m9' is a float, which cannot wrap: overflow must be 'infinity' or "
            "'saturate'");
  MacDesign mac = design("e5m2", "e5m2", "e6m9");
  mac.accumulator.rounding.mode = RoundingMode::Stochastic;
  EXPECT_EQ(reason(mac), "accumulator: rounding 'stochastic' needs random_bits in 1..24");
  mac.accumulator.rounding.random_bits = 25;
  EXPECT_EQ(reason(mac), "accumulator: random_bits = 25; accepted: 1..24");
  mac.accumulator.rounding = {RoundingMode::Down, 8};
  EXPECT_EQ(reason(mac),
            "accumulator: random_bits = 8 without rounding 'stochastic', which alone uses it");
  EXPECT_EQ(reason(chunked("e6m9", -1, "e6m9")), "chunk length = -1; accepted: at least 1");
  EXPECT_EQ(reason(chunked("e6m9", 64, "fx24.0")),
            "chunk accumulator 'fx24.0' has no infinity: overflow must be 'saturate' or 'wrap'");
  mac = design("uint8", "uint8", "fx24.0", Overflow::Saturate);
  mac.product.emplace();
  mac.product->format = NumberFormat::parse("uint16");
  mac.product->overflow = Overflow::Saturate;
  EXPECT_EQ(reason(mac).substr(0, 50), "product 'ufx16.0': unsigned formats are for operan");
  mac = design("e5m2", "e5m2", "e6m9");
  mac.a.exponent_bits = 9;  // no text gives this value
  EXPECT_NE(reason(mac).find("9 exponent bits"), std::string::npos);
}

TEST(MacDesign, AnAccumulatorThatHoldsEveryProductGivesNoWarning) {
  EXPECT_TRUE(warnings(design("e5m2", "e5m2", "e6m2")).empty());
  EXPECT_TRUE(warnings(design("int8", "int8", "fx16.0", Overflow::Saturate)).empty());
  EXPECT_TRUE(warnings(design("uint8", "int8", "fx16.0", Overflow::Saturate)).empty());
  EXPECT_TRUE(warnings(chunked("e6m2", 64, "e6m9")).empty());
}

TEST(MacDesign, AnAccumulatorThatCannotHoldOneProductIsWarnedAbout) {
  // 57344^2 = 3.3e9 against 57344.
  EXPECT_EQ(warnings(design("e5m2", "e5m2", "e5m2")),
            std::vector<std::string>{
                "the accumulator e5m2 cannot hold one product: its values lie in -57344..57344, "
                "products in -3.28833e+09..3.28833e+09"});
  // -128 * -128 = 16384 is one more than 15 bits hold; without the sign bit's asymmetry it would
  // fit.
  EXPECT_EQ(warnings(design("int8", "int8", "fx15.0", Overflow::Wrap)).size(), 1U);
  EXPECT_EQ(warnings(design("uint8", "uint8", "fx16.0", Overflow::Wrap)).size(), 1U);  // 65025
  // A format that no double can hold the product of.
  EXPECT_EQ(warnings(design("fx53.-256", "fx53.-256", "fp32")).size(), 1U);
}

TEST(MacDesign, ARoundedProductBoundsWhatTheAccumulatorMustHold) {
  MacDesign mac = design("e5m2", "e5m2", "e5m2", Overflow::Saturate);
  mac.product.emplace();
  mac.product->format = NumberFormat::parse("e5m2");
  mac.product->overflow = Overflow::Saturate;
  const std::vector<std::string> found = warnings(mac);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].substr(0, 51), "the product format e5m2 cannot hold one product: it");
}

TEST(MacDesign, TheChunkAccumulatorIsWarnedAboutByItsOwnName) {
  const std::vector<std::string> found = warnings(chunked("e6m9", 64, "e5m9"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].substr(0, 27), "the chunk accumulator e5m9 ");
}

TEST(MacDesign, AnAccumulatorTooCoarseForAnyProductIsWarnedAbout) {
  EXPECT_EQ(warnings(design("int4", "int4", "fx16.-8", Overflow::Saturate)),
            std::vector<std::string>{"the accumulator fx16.-8 is too coarse for any product: its "
                                     "smallest value is 256, the largest product 64"});
  EXPECT_TRUE(warnings(design("int8", "int8", "fx16.-8", Overflow::Saturate)).empty());
}

}  // namespace
}  // namespace narrowmac
