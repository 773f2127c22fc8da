#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "models/design/config.h"
#include "tests/design/expect_error.h"

namespace narrowmac {
namespace {

const std::string kOperands = "[mac]\na = 'e5m2'\nb = 'e5m2'\n";

MacDesign parse(const std::string& text) {
  return parse_mac(ConfigTable::parse(text, "mac.toml").table("mac"));
}

std::string refusal(const std::string& text) {
  return message_of([&] { (void)parse(text); });
}

/// The design of [mac.FWD] over [mac].
MacDesign parse_pass(const std::string& mac, const std::string& pass) {
  const ConfigTable root = ConfigTable::parse(mac + "[mac.FWD]\n" + pass, "run.toml");
  const MacDesign general = parse_mac(root.table("mac"));
  return parse_mac(root.table("mac").table("FWD"), &general);
}

TEST(ParseMac, DefaultsAreThoseOfTheContract) {
  const MacDesign mac = parse(kOperands + "accumulator = 'e6m9'\n");
  EXPECT_EQ(mac.a.to_string(), "e5m2");
  EXPECT_FALSE(mac.product.has_value());
  EXPECT_FALSE(mac.chunk.has_value());
  EXPECT_EQ(mac.accumulator.rounding, (Rounding{RoundingMode::NearestEven, 0}));
  EXPECT_EQ(mac.accumulator.overflow, Overflow::Infinity);
  EXPECT_TRUE(mac.accumulator.subnormals);
}

TEST(ParseMac, OperandsAndAccumulatorAreRequired) {
  EXPECT_EQ(refusal("[mac]\nb = 'e5m2'\naccumulator = 'e6m9'\n"), "mac.toml:1: mac.a: is missing");
  EXPECT_EQ(refusal("[mac]\na = 'e5m2'\naccumulator = 'e6m9'\n"), "mac.toml:1: mac.b: is missing");
  EXPECT_EQ(refusal(kOperands), "mac.toml:1: mac.accumulator: is missing");
  EXPECT_EQ(refusal(kOperands + "acumulator = 'e6m9'\n"),
            "mac.toml:1: mac.accumulator: is missing; is 'acumulator' meant?");
}

TEST(ParseMac, AnUnknownFormatIsNamedWithItsKey) {
  EXPECT_EQ(refusal(kOperands + "accumulator = 'e6m'\n").substr(0, 67),
            "mac.toml:4: mac.accumulator: number format 'e6m': not a format; acc");
  EXPECT_EQ(refusal(kOperands + "accumulator = 'e6m9'\nproduct = 'full'\n").substr(0, 57),
            "mac.toml:5: mac.product: number format 'full': not a form");
}

TEST(ParseMac, AFixedPointAccumulatorNeedsItsOverflowSaid) {
  const std::string fixed = kOperands + "accumulator = 'fx24.0'\n";
  EXPECT_EQ(refusal(fixed),
            "mac.toml:1: mac.overflow: must be set for the fixed-point accumulator 'fx24.0'; "
            "accepted: saturate, wrap");
  EXPECT_EQ(refusal(fixed + "overflow = 'infinity'\n"),
            "mac.toml:5: mac.overflow: found 'infinity', but the accumulator 'fx24.0' has none; "
            "accepted: saturate, wrap");
  EXPECT_EQ(parse(fixed + "overflow = 'wrap'\n").accumulator.overflow, Overflow::Wrap);
}

TEST(ParseMac, AFloatCannotWrap) {
  EXPECT_EQ(refusal(kOperands + "accumulator = 'e6m9'\noverflow = 'wrap'\n"),
            "mac.toml:5: mac.overflow: found 'wrap', but the accumulator 'e6m9' is a float; "
            "accepted: infinity, saturate");
}

TEST(ParseMac, RandomBitsGoWithStochasticRounding) {
  const std::string base = kOperands + "accumulator = 'e6m9'\n";
  EXPECT_EQ(refusal(base + "rounding = 'stochastic'\n"),
            "mac.toml:1: mac.random_bits: must be set for stochastic rounding; accepted: 1..24");
  EXPECT_EQ(refusal(base + "random_bits = 8\n"),
            "mac.toml:5: mac.random_bits: is set, but nothing here rounds stochastically; accepted "
            "with rounding = \"stochastic\"");
  EXPECT_EQ(refusal(base + "rounding = 'stochastic'\nrandom_bits = 25\n"),
            "mac.toml:6: mac.random_bits: found 25; accepted: 1..24");
  EXPECT_EQ(parse(base + "rounding = 'stochastic'\nrandom_bits = 8\n").accumulator.rounding,
            (Rounding{RoundingMode::Stochastic, 8}));
}

TEST(ParseMac, WhatDoesNotExistIsRefusedWithWhatDoes) {
  const std::string base = kOperands + "accumulator = 'e6m9'\n";
  EXPECT_EQ(refusal(base + "rounding = 'upward'\n"),
            "mac.toml:5: mac.rounding: found 'upward'; accepted: nearest-even, "
            "nearest-away, toward-zero, down, stochastic, truncate-aligned");
  EXPECT_EQ(refusal(base + "overflow = 'clip'\n"),
            "mac.toml:5: mac.overflow: found 'clip'; accepted: infinity, saturate, wrap");
  EXPECT_EQ(refusal(base + "subnormals = 'no'\n"),
            "mac.toml:5: mac.subnormals: expected true or false, found the string 'no'");
}

TEST(ParseMac, UnsignedFormatsAreForOperandsOnly) {
  EXPECT_EQ(refusal(kOperands + "accumulator = 'uint16'\noverflow = 'wrap'\n"),
            "mac.toml:4: mac.accumulator: 'ufx16.0' is unsigned, which is for operands only; "
            "accepted: a float or a signed fixed-point format");
  EXPECT_EQ(refusal(kOperands + "accumulator = 'e6m9'\nproduct = 'uint8'\n"),
            "mac.toml:5: mac.product: 'ufx8.0' is unsigned, which is for operands only; accepted: "
            "exact, a float or a signed fixed-point format");
  EXPECT_NO_THROW((void)parse("[mac]\na = 'uint8'\nb = 'int8'\naccumulator = 'fp32'\n"));
}

TEST(ParseMac, TheProductsOverflowIsTheDesignsWhereItsFamilyHasIt) {
  const auto overflow = [](const std::string& accumulator, const std::string& design,
                           const std::string& product) {
    return parse(kOperands + "accumulator = '" + accumulator + "'\noverflow = '" + design +
                 "'\nproduct = '" + product + "'\n")
        .product->overflow;
  };
  EXPECT_EQ(overflow("e6m9", "infinity", "e6m5"), Overflow::Infinity);
  EXPECT_EQ(overflow("e6m9", "saturate", "e6m5"), Overflow::Saturate);
  EXPECT_EQ(overflow("e6m9", "infinity", "fx20.4"), Overflow::Saturate);
  EXPECT_EQ(overflow("fx30.4", "wrap", "fx20.4"), Overflow::Wrap);
  EXPECT_EQ(overflow("fx30.4", "wrap", "e6m5"), Overflow::Infinity);
}

TEST(ParseMac, TheProductHasItsOwnRoundingAndSharesRandomBitsAndSubnormals) {
  const std::string base = kOperands + "accumulator = 'e6m9'\nsubnormals = false\n";
  MacDesign mac = parse(base + "product = 'e6m5'\nrounding = 'down'\n");
  EXPECT_EQ(mac.product->rounding.mode, RoundingMode::NearestEven);
  EXPECT_FALSE(mac.product->subnormals);
  mac = parse(base + "product = 'e6m5'\nproduct_rounding = 'stochastic'\nrandom_bits = 4\n");
  EXPECT_EQ(mac.product->rounding, (Rounding{RoundingMode::Stochastic, 4}));
  EXPECT_EQ(mac.accumulator.rounding, (Rounding{RoundingMode::NearestEven, 0}));
  EXPECT_EQ(refusal(base + "product_rounding = 'down'\n"),
            "mac.toml:6: mac.product_rounding: is set, but the product is exact; accepted where "
            "product names a format");
}

TEST(ParseMac, AChunkSharesTheFirstLevelsRulesUnlessItSaysOtherwise) {
  const std::string base = kOperands +
                           "accumulator = 'e6m5'\nrounding = 'stochastic'\nrandom_bits = 8\n"
                           "overflow = 'saturate'\nsubnormals = false\n[mac.chunk]\nlength = 64\n"
                           "accumulator = 'e6m9'\n";
  MacDesign mac = parse(base);
  Conversion expected = mac.accumulator;
  expected.format = NumberFormat::parse("e6m9");
  EXPECT_EQ(mac.chunk->accumulator, expected);
  EXPECT_EQ(mac.chunk->length, 64);
  mac = parse(base + "rounding = 'toward-zero'\noverflow = 'infinity'\nsubnormals = true\n");
  EXPECT_EQ(mac.chunk->accumulator.rounding, (Rounding{RoundingMode::TowardZero, 0}));
  EXPECT_EQ(mac.chunk->accumulator.overflow, Overflow::Infinity);
  EXPECT_TRUE(mac.chunk->accumulator.subnormals);
  EXPECT_EQ(parse(base + "random_bits = 3\n").chunk->accumulator.rounding.random_bits, 3);
}

TEST(ParseMac, AChunkMayLeaveItsLengthToTheArray) {
  EXPECT_EQ(
      parse(kOperands + "accumulator = 'e6m5'\n[mac.chunk]\naccumulator = 'e6m9'\n").chunk->length,
      0);
}

TEST(ParseMac, AnImpossibleChunkIsRefused) {
  const std::string base = kOperands + "accumulator = 'e6m5'\n[mac.chunk]\n";
  EXPECT_EQ(refusal(base + "length = 0\naccumulator = 'e6m9'\n"),
            "mac.toml:6: mac.chunk.length: found 0; accepted: at least 1");
  EXPECT_EQ(refusal(base + "length = 64\n"), "mac.toml:5: mac.chunk.accumulator: is missing");
  EXPECT_EQ(refusal(base + "length = 64\naccumulator = 'fx24.0'\n"),
            "mac.toml:5: mac.chunk.overflow: must be set, because the inherited 'infinity' is "
            "impossible for the accumulator 'fx24.0'; accepted: saturate, wrap");
  EXPECT_NO_THROW((void)parse(base + "length = 64\naccumulator = 'fx24.0'\noverflow = 'wrap'\n"));
  EXPECT_EQ(refusal(kOperands + "accumulator = 'e6m5'\nchunk = true\n"),
            "mac.toml:5: mac.chunk: found true; accepted: false, or a table");
}

TEST(ParseMac, APassInheritsEveryKeyThatItDoesNotSet) {
  const std::string base = kOperands +
                           "accumulator = 'e6m5'\nproduct = 'e6m4'\nproduct_rounding = 'down'\n"
                           "rounding = 'stochastic'\nrandom_bits = 8\noverflow = 'saturate'\n"
                           "subnormals = false\n[mac.chunk]\nlength = 64\naccumulator = 'e6m9'\n";
  const MacDesign general = parse(base);
  EXPECT_EQ(parse_pass(base, ""), general);
  MacDesign expected = general;
  expected.accumulator.format = NumberFormat::parse("e6m3");
  EXPECT_EQ(parse_pass(base, "accumulator = 'e6m3'\n"), expected)
      << "the chunk keeps its accumulator";
  expected = general;
  expected.chunk->length = 32;
  EXPECT_EQ(parse_pass(base, "chunk.length = 32\n"), expected);
  expected = general;
  expected.product.reset();
  EXPECT_EQ(parse_pass(base, "product = 'exact'\n"), expected);
  expected = general;
  expected.b = NumberFormat::parse("e4m3");
  EXPECT_EQ(parse_pass(base, "b = 'e4m3'\n"), expected);
}

TEST(ParseMac, AnInheritedChunkFollowsTheFirstLevelWhereItSharedItsRules) {
  const std::string base = kOperands +
                           "accumulator = 'e6m5'\n[mac.chunk]\nlength = 64\n"
                           "accumulator = 'e6m9'\n";
  EXPECT_EQ(parse_pass(base, "rounding = 'down'\n").chunk->accumulator.rounding.mode,
            RoundingMode::Down);
  EXPECT_EQ(parse_pass(base + "rounding = 'nearest-away'\n", "rounding = 'down'\n")
                .chunk->accumulator.rounding.mode,
            RoundingMode::NearestAway);
}

TEST(ParseMac, FalseRemovesAnInheritedChunk) {
  const std::string base = kOperands +
                           "accumulator = 'e6m5'\n[mac.chunk]\nlength = 64\n"
                           "accumulator = 'e6m9'\n";
  EXPECT_FALSE(parse_pass(base, "chunk = false\n").chunk.has_value());
}

TEST(ParseMac, APassThatStopsRoundingStochasticallyLosesTheInheritedRandomBits) {
  const std::string base =
      kOperands + "accumulator = 'e6m5'\nrounding = 'stochastic'\nrandom_bits = 8\n";
  EXPECT_EQ(parse_pass(base, "rounding = 'down'\n").accumulator.rounding,
            (Rounding{RoundingMode::Down, 0}));
  EXPECT_EQ(parse_pass(base, "random_bits = 4\n").accumulator.rounding.random_bits, 4);
}

TEST(ParseMac, AnInheritedOverflowThatTheNewFamilyLacksMustBeReplaced) {
  const std::string base = kOperands + "accumulator = 'e6m5'\n";
  EXPECT_EQ(message_of([&] { (void)parse_pass(base, "accumulator = 'fx24.0'\n"); }),
            "run.toml:5: mac.FWD.overflow: must be set, because the inherited 'infinity' is "
            "impossible for the accumulator 'fx24.0'; accepted: saturate, wrap");
}

TEST(ParseMac, AnInheritedChunkThatBecomesImpossibleIsRefused) {
  const std::string base = kOperands +
                           "accumulator = 'e6m5'\noverflow = 'saturate'\n[mac.chunk]\n"
                           "length = 64\naccumulator = 'e6m9'\n";
  EXPECT_NE(message_of([&] {
              (void)parse_pass(base, "accumulator = 'fx24.0'\noverflow = 'wrap'\n");
            }).find("mac.FWD.chunk: inherited, but "),
            std::string::npos);
}

TEST(ParseMac, OperandsKnownFromElsewhereMustNotBeSet) {
  const Operands operands{NumberFormat::parse("e4m3"), NumberFormat::parse("e5m2")};
  const auto parse_with = [&](const std::string& text) {
    return parse_mac(ConfigTable::parse(text, "run.toml").table("mac"), nullptr, &operands);
  };
  const MacDesign mac = parse_with("[mac]\naccumulator = 'e6m9'\n");
  EXPECT_EQ(mac.a, operands.a);
  EXPECT_EQ(mac.b, operands.b);
  EXPECT_EQ(
      message_of([&] { (void)parse_with("[mac]\naccumulator = 'e6m9'\nb = 'e5m2'\n"); }),
      "run.toml:3: mac.b: must not be set here: the operand formats follow from [formats] (FWD "
      "activation and weight, BWD gradient and weight, GRAD activation and gradient)");
}

TEST(ParseArray, DefaultsWithoutATable) {
  EXPECT_EQ(parse_array(ConfigTable::parse("", "f")), ArrayDesign{});
}

TEST(ParseArray, ReadsArrayAndMemory) {
  const ArrayDesign array = parse_array(ConfigTable::parse(
      "[array]\nrows = 8\ncolumns = 16\ndataflow = 'is'\npsum = 'chained'\nfidelity = "
      "'transaction'\n"
      "[memory]\noperand_scratchpad_bytes = 1024\npsum_scratchpad_bytes = 2048\n"
      "scratchpad_bytes_per_cycle = 32\ndram_bytes_per_cycle = 0.5\ndram_latency_cycles = 7\n",
      "f"));
  EXPECT_EQ(array.rows, 8);
  EXPECT_EQ(array.columns, 16);
  EXPECT_EQ(array.dataflow, Dataflow::InputStationary);
  EXPECT_EQ(array.psum, Psum::Chained);
  EXPECT_EQ(array.fidelity, Fidelity::Transaction);
  EXPECT_EQ(*array.memory, (MemoryDesign{1024, 2048, 32, 0.5, 7}));
}

TEST(ParseArray, RefusesWhatNoArrayCouldBe) {
  const auto refused = [](const std::string& text) {
    return message_of([&] { (void)parse_array(ConfigTable::parse(text, "f")); });
  };
  EXPECT_EQ(refused("[array]\nrows = 0\n"), "f:2: array.rows: found 0; accepted: 1..65536");
  EXPECT_EQ(refused("[array]\nrows = 32.0\n"),
            "f:2: array.rows: expected an integer, found the float 32.0");
  EXPECT_EQ(refused("[array]\ndataflow = 'rs'\n"),
            "f:2: array.dataflow: found 'rs'; accepted: os, ws, is");
  EXPECT_EQ(refused("[array]\nfidelity = 'rtl'\n"),
            "f:2: array.fidelity: found 'rtl'; accepted: functional, transaction, cycle");
  EXPECT_EQ(refused("[memory]\ndram_bytes_per_cycle = 0\n"),
            "f:2: memory.dram_bytes_per_cycle: found 0; accepted: above 0");
  EXPECT_EQ(refused("[memory]\ndram_latency_cycles = -1\n").substr(0, 38),
            "f:2: memory.dram_latency_cycles: found");
}

TEST(OrderTest, IsWhatTheTablesSayUnlessItIsNamed) {
  const std::string head = kOperands + "accumulator = 'e6m9'\n";
  const std::string dot = "[mac.dot]\nterms = 4\nfraction_bits = 13\n";
  EXPECT_EQ(parse(head).order(), MacOrder::Sequential);
  EXPECT_EQ(parse(head + "[mac.chunk]\nlength = 4\naccumulator = 'e6m9'\n").order(),
            MacOrder::Chunk);
  EXPECT_EQ(parse(head + dot).order(), MacOrder::Dot);
  EXPECT_EQ(parse(head + "order = 'dot'\n" + dot).order(), MacOrder::Dot);
  EXPECT_EQ(parse(head + "order = 'exact'\n").order(), MacOrder::Exact);
  EXPECT_EQ(refusal(head + "order = 'exact'\n" + dot),
            "mac.toml:5: mac.order: found \"exact\", but there is a table [dot]; accepted with it: "
            "\"dot\"");
  EXPECT_EQ(refusal(head + "order = 'chunk'\n"),
            "mac.toml:5: mac.order: found \"chunk\", which needs a table [chunk] beside it");
  EXPECT_NE(refusal(head + "[mac.dot]\nfraction_bits = 13\n")
                .find("mac.dot.terms: is missing; accepted: 1..4096"),
            std::string::npos);
  EXPECT_NE(refusal(head + "order = 'pairwise'\n").find("sequential, chunk, dot, exact"),
            std::string::npos);
}

TEST(OrderTest, DotNeedsTermsAndFractionBitsFloatsAndExactProducts) {
  const std::string head = kOperands + "accumulator = 'e6m9'\n";
  const MacDesign mac = parse(head + "[mac.dot]\nterms = 4\nfraction_bits = 13\n");
  EXPECT_EQ(*mac.dot, (Dot{4, 13, DotAccumulator::Aligned, Alignment::TowardZero}));
  const MacDesign other = parse(head +
                                "[mac.dot]\nterms = 8\nfraction_bits = 0\naccumulator = "
                                "'separate'\nalignment = 'nearest-even'\n");
  EXPECT_EQ(*other.dot, (Dot{8, 0, DotAccumulator::Separate, Alignment::NearestEven}));
  EXPECT_NE(refusal(head + "[mac.dot]\nterms = 4\n").find("mac.dot.fraction_bits"),
            std::string::npos);
  EXPECT_NE(refusal(head + "[mac.dot]\nfraction_bits = 4\n").find("mac.dot.terms"),
            std::string::npos);
  const std::string dot = "[mac.dot]\nterms = 4\nfraction_bits = 13\n";
  EXPECT_NE(refusal(head + "product = 'fp16'\n" + dot).find("found product 'e5m10'"),
            std::string::npos);
  EXPECT_NE(refusal(head + "rounding = 'truncate-aligned'\n" + dot).find("truncate-aligned"),
            std::string::npos);
  EXPECT_NE(
      refusal("[mac]\na = 'int8'\nb = 'e5m2'\naccumulator = 'fp32'\n" + dot).find("found 'fx8.0'"),
      std::string::npos);
  EXPECT_NE(refusal(head + "[mac.chunk]\nlength = 4\naccumulator = 'e6m9'\n" + dot)
                .find("one of [chunk] and [dot]"),
            std::string::npos);
}

TEST(OrderTest, PassReplacesAnInheritedOrder) {
  const std::string head = kOperands + "accumulator = 'e6m9'\n";
  const auto pass = [&](const std::string& base, const std::string& own) {
    const MacDesign inherited = parse(base);
    return parse_mac(ConfigTable::parse("[mac]\n" + own, "mac.toml").table("mac"), &inherited)
        .order();
  };
  const std::string dot = head + "[mac.dot]\nterms = 4\nfraction_bits = 13\n";
  const std::string chunk = head + "[mac.chunk]\nlength = 4\naccumulator = 'e6m9'\n";
  EXPECT_EQ(pass(dot, ""), MacOrder::Dot);
  EXPECT_EQ(pass(dot, "dot = false\n"), MacOrder::Sequential);
  EXPECT_EQ(pass(dot, "order = 'exact'\n"), MacOrder::Exact);
  EXPECT_EQ(pass(dot, "order = 'sequential'\n"), MacOrder::Sequential);
  EXPECT_EQ(pass(chunk, "order = 'exact'\n"), MacOrder::Exact);
  EXPECT_EQ(pass(chunk, "[mac.dot]\nterms = 4\nfraction_bits = 13\n"), MacOrder::Dot);
  EXPECT_EQ(pass(head + "order = 'exact'\n", "[mac.chunk]\nlength = 4\naccumulator = 'e6m9'\n"),
            MacOrder::Chunk);
  EXPECT_EQ(pass(head + "order = 'exact'\n", "chunk = false\n"), MacOrder::Exact);
}

TEST(OrderTest, TextParsesBackToTheSameDesign) {
  const std::string head = kOperands + "accumulator = 'e6m9'\n";
  for (const std::string& text :
       {head + "order = 'exact'\n", head + "[mac.dot]\nterms = 4\nfraction_bits = 13\n",
        head + "[mac.dot]\nterms = 1\nfraction_bits = 64\nalignment = 'down'\naccumulator = "
               "'separate'\n",
        head + "rounding = 'truncate-aligned'\nguard_bits = 3\n"}) {
    const MacDesign mac = parse(text);
    EXPECT_EQ(parse(to_toml(mac)), mac) << text;
  }
}

TEST(TruncateAlignedTest, GuardBitsBelongToItAlone) {
  const std::string head = kOperands + "accumulator = 'e6m9'\n";
  const MacDesign mac = parse(head + "rounding = 'truncate-aligned'\nguard_bits = 2\n");
  EXPECT_EQ(mac.accumulator.rounding, (Rounding{RoundingMode::TruncateAligned, 0, 2}));
  EXPECT_EQ(parse(head + "rounding = 'truncate-aligned'\n").accumulator.rounding.guard_bits, 0);
  EXPECT_NE(refusal(head + "guard_bits = 2\n").find("the rounding is 'nearest-even'"),
            std::string::npos);
  EXPECT_NE(refusal(head + "rounding = 'truncate-aligned'\nguard_bits = 65\n").find("0..64"),
            std::string::npos);
  EXPECT_NE(refusal("[mac]\na = 'int8'\nb = 'int8'\naccumulator = 'fx16.0'\noverflow = 'wrap'\n"
                    "rounding = 'truncate-aligned'\n")
                .find("is for floats"),
            std::string::npos);
  EXPECT_NE(refusal(head + "product = 'fp16'\nproduct_rounding = 'truncate-aligned'\n")
                .find("mac.product_rounding"),
            std::string::npos);
}

TEST(SpecialValuesTest, AreDroppedOnlyWhereEveryFloatSaturates) {
  const std::string head = kOperands + "accumulator = 'e6m9'\nspecial_values = false\n";
  const MacDesign mac = parse(head + "overflow = 'saturate'\n");
  EXPECT_FALSE(mac.special_values);
  EXPECT_EQ(parse(to_toml(mac)), mac);
  EXPECT_TRUE(parse(kOperands + "accumulator = 'e6m9'\n").special_values);
  EXPECT_NE(refusal(head).find("the accumulator 'e6m9' overflows"), std::string::npos);
  EXPECT_NE(refusal(head + "overflow = 'saturate'\n[mac.chunk]\nlength = 4\naccumulator = 'fp32'\n"
                           "overflow = 'infinity'\n")
                .find("the chunk accumulator 'e8m23' overflows"),
            std::string::npos);
}

TEST(SpecialValuesTest, WithoutThemOperandsSaturateBesideAWrappingAccumulator) {
  const MacDesign mac =
      parse(kOperands + "accumulator = 'fx16.4'\noverflow = 'wrap'\nspecial_values = false\n");
  EXPECT_EQ(mac.operand_conversion(mac.a).overflow, Overflow::Saturate);
}

class MacFileTest : public testing::Test {
 protected:
  MacFile read(const std::string& text) {
    path_ = std::filesystem::path(testing::TempDir()) /
            ("narrowmac_mac_file_test_" + std::to_string(::getpid()) + ".toml");
    std::ofstream(path_) << text;
    return read_mac_file(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::filesystem::path path_;
};

TEST_F(MacFileTest, HoldsAMacAndPerhapsAnArray) {
  EXPECT_FALSE(read(kOperands + "accumulator = 'e6m9'\n").array.has_value());
  EXPECT_EQ(read(kOperands + "accumulator = 'e6m9'\n[array]\nrows = 4\n").array->rows, 4);
}

TEST_F(MacFileTest, RefusesKeysOfNobody) {
  const std::string message =
      message_of([&] { (void)read(kOperands + "accumulator = 'e6m9'\nsticky_bits = 2\n"); });
  EXPECT_EQ(message,
            path_.string() +
                ":5: mac.sticky_bits: unknown key; accepted: a, accumulator, b, chunk, "
                "dot, guard_bits, order, "
                "overflow, product, product_rounding, random_bits, rounding, special_values, "
                "subnormals");
  EXPECT_NE(message_of([&] {
              (void)read(kOperands + "accumulator = 'e6m9'\n[mac.dots]\nterms = 4\n");
            }).find("mac.dots: unknown key"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              (void)read(kOperands + "accumulator = 'e6m9'\n[memory]\n");
            }).find("memory: is set without an [array]"),
            std::string::npos);
}

}  // namespace
}  // namespace narrowmac
