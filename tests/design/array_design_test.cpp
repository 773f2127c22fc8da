#include "models/design/array_design.h"

#include <gtest/gtest.h>

#include "models/design/config.h"
#include "tests/design/expect_error.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kAnyLength = std::numeric_limits<std::int64_t>::max();

/// e5m2 operands into e6m9; `length` -1: no chunk, 0: a chunk without a length.
MacDesign mac_with_chunk(std::int64_t length) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse("e6m9");
  if (length < 0) return mac;
  mac.chunk.emplace();
  mac.chunk->length = length;
  mac.chunk->accumulator.format = NumberFormat::parse("fp32");
  return mac;
}

ArrayDesign array_of(int rows, Dataflow dataflow, Psum psum) {
  ArrayDesign array;
  array.rows = rows;
  array.columns = 16;
  array.dataflow = dataflow;
  array.psum = psum;
  return array;
}

struct OrderCase {
  Dataflow dataflow;
  Psum psum;
  std::int64_t chunk_length;  ///< -1: no [mac.chunk], 0: without a length
  std::int64_t length;        ///< expected: 0 sequential, otherwise the chunk's length
  std::int64_t max_length;    ///< expected
};

TEST(AccumulationOrder, FollowsMacAndArrayTogether) {
  constexpr auto os = Dataflow::OutputStationary;
  constexpr auto ws = Dataflow::WeightStationary;
  constexpr auto is = Dataflow::InputStationary;
  const OrderCase cases[] = {
      // os: the MAC's own order, whatever psum says and however many rows there are
      {os, Psum::Buffer, -1, 0, kAnyLength},
      {os, Psum::Buffer, 64, 64, kAnyLength},
      {os, Psum::Chained, 64, 64, kAnyLength},
      // buffered: one chunk per fold of 32 rows; without a second accumulator one fold only
      {ws, Psum::Buffer, -1, 0, 32},
      {ws, Psum::Buffer, 0, 32, kAnyLength},
      {ws, Psum::Buffer, 32, 32, kAnyLength},
      {is, Psum::Buffer, -1, 0, 32},
      {is, Psum::Buffer, 0, 32, kAnyLength},
      {is, Psum::Buffer, 32, 32, kAnyLength},
      // chained: the psum re-enters at the top, so the sum is sequential and the chunk is ignored
      {ws, Psum::Chained, -1, 0, kAnyLength},
      {ws, Psum::Chained, 0, 0, kAnyLength},
      {ws, Psum::Chained, 64, 0, kAnyLength},
      {is, Psum::Chained, -1, 0, kAnyLength},
      {is, Psum::Chained, 64, 0, kAnyLength},
  };
  for (const OrderCase& expected : cases) {
    const MacDesign mac = mac_with_chunk(expected.chunk_length);
    const ArrayDesign array = array_of(32, expected.dataflow, expected.psum);
    SCOPED_TRACE(describe(mac) + " on " + describe(array));
    const AccumulationOrder order = accumulation_order(mac, array);
    EXPECT_EQ(order.max_length, expected.max_length);
    ASSERT_EQ(order.chunk.has_value(), expected.length != 0);
    if (!order.chunk) continue;
    EXPECT_EQ(order.chunk->length, expected.length);
    EXPECT_EQ(order.chunk->accumulator, mac.chunk->accumulator);
  }
}

TEST(AccumulationOrder, OfTheMacAloneIsThatOfAnOutputStationaryArray) {
  for (const std::int64_t length : {std::int64_t{-1}, std::int64_t{64}}) {
    const MacDesign mac = mac_with_chunk(length);
    EXPECT_EQ(accumulation_order(mac),
              accumulation_order(mac, array_of(8, Dataflow::OutputStationary, Psum::Buffer)));
  }
}

TEST(AccumulationOrder, RefusesAChunkLengthOtherThanTheRowCountOfABufferedArray) {
  const auto refusal = [](Dataflow dataflow) {
    return message_of([&] {
      (void)accumulation_order(mac_with_chunk(64), array_of(32, dataflow, Psum::Buffer));
    });
  };
  EXPECT_EQ(refusal(Dataflow::WeightStationary),
            "chunk length 64 on a ws array of 32 rows with psum 'buffer': each column adds the 32 "
            "products of one fold, so the length must be 32 or be left out");
  EXPECT_EQ(refusal(Dataflow::InputStationary).substr(0, 29), "chunk length 64 on a is array");
}

TEST(AccumulationOrder, RefusesAChunkWithoutLengthWhereNoArraySuppliesIt) {
  const std::string expected =
      "the chunk has no length: only a weight- or input-stationary array with psum 'buffer' "
      "supplies it (its row count); set length in [mac.chunk]";
  EXPECT_EQ(message_of([] { (void)accumulation_order(mac_with_chunk(0)); }), expected);
  EXPECT_EQ(message_of([] {
              (void)accumulation_order(mac_with_chunk(0),
                                       array_of(32, Dataflow::OutputStationary, Psum::Buffer));
            }),
            expected);
}

TEST(AccumulationOrder, OneFoldIsTheLongestSumWithoutASecondAccumulator) {
  const AccumulationOrder order = accumulation_order(
      mac_with_chunk(-1), array_of(32, Dataflow::WeightStationary, Psum::Buffer));
  EXPECT_NO_THROW(check_length(order, 0));
  EXPECT_NO_THROW(check_length(order, 32));
  EXPECT_EQ(message_of([&] { check_length(order, 33); }),
            "K = 33 products on an array whose columns add 32 products per fold: the folds' sums "
            "need a second accumulator; add [mac.chunk] with an accumulator, or use psum 'chained' "
            "or dataflow 'os'");
}

TEST(ArrayDesign, SidesAndMemoryMustBePossible) {
  ArrayDesign array;
  EXPECT_NO_THROW(validate(array));
  array.rows = 0;
  EXPECT_EQ(message_of([&] { validate(array); }), "array rows = 0; accepted: 1..65536");
  array.rows = 1;
  array.columns = 65537;
  EXPECT_EQ(message_of([&] { validate(array); }), "array columns = 65537; accepted: 1..65536");
  array.columns = 1;
  array.adder_latency = 0;
  EXPECT_EQ(message_of([&] { validate(array); }), "array adder_latency = 0; accepted: 1..64");
  array.adder_latency = 64;
  array.multiplier_latency = -1;
  EXPECT_EQ(message_of([&] { validate(array); }), "array multiplier_latency = -1; accepted: 0..64");
  array.multiplier_latency = 0;
  array.interleave = 65;
  EXPECT_EQ(message_of([&] { validate(array); }), "array interleave = 65; accepted: 1..64");
  array.interleave = 1;
  array.memory.emplace();
  EXPECT_NO_THROW(validate(array));
  array.memory->dram_bytes_per_cycle = 0;
  EXPECT_EQ(message_of([&] { validate(array); }),
            "memory dram_bytes_per_cycle = 0; accepted: above 0");
  array.memory->dram_bytes_per_cycle = 0.5;
  EXPECT_NO_THROW(validate(array));
  array.memory->dram_latency_cycles = -1;
  EXPECT_EQ(message_of([&] { validate(array); }),
            "memory dram_latency_cycles = -1; accepted: at least 0");
  array.memory = MemoryDesign{};
  array.memory->psum_scratchpad_bytes = 0;
  EXPECT_EQ(message_of([&] { validate(array); }),
            "memory psum_scratchpad_bytes = 0; accepted: above 0");
}

TEST(ArrayDesign, NamesOfItsChoicesAreReadAsTheyArePrinted) {
  for (const Dataflow dataflow :
       {Dataflow::OutputStationary, Dataflow::WeightStationary, Dataflow::InputStationary}) {
    EXPECT_EQ(parse_dataflow(to_string(dataflow)), dataflow);
  }
  for (const Psum psum : {Psum::Buffer, Psum::Chained}) {
    EXPECT_EQ(parse_psum(to_string(psum)), psum);
  }
  for (const Fidelity fidelity : {Fidelity::Functional, Fidelity::Transaction, Fidelity::Cycle}) {
    EXPECT_EQ(parse_fidelity(to_string(fidelity)), fidelity);
  }
  for (const Policy policy : {Policy::Padded, Policy::Ragged, Policy::Overlapped}) {
    EXPECT_EQ(parse_policy(to_string(policy)), policy);
  }
  EXPECT_EQ(message_of([] { (void)parse_policy("full"); }),
            "policy 'full'; accepted: padded, ragged, overlapped");
  EXPECT_EQ(message_of([] { (void)parse_dataflow("rs"); }), "dataflow 'rs'; accepted: os, ws, is");
  EXPECT_EQ(message_of([] { (void)parse_psum(""); }), "psum ''; accepted: buffer, chained");
  EXPECT_EQ(message_of([] { (void)parse_fidelity("rtl"); }),
            "fidelity 'rtl'; accepted: functional, transaction, cycle");
}

TEST(ArrayDesign, PrintedTomlParsesBackToTheSameDesign) {
  std::vector<ArrayDesign> designs = {array_of(1, Dataflow::InputStationary, Psum::Chained),
                                      array_of(65536, Dataflow::WeightStationary, Psum::Buffer),
                                      ArrayDesign{}};
  designs.back().fidelity = Fidelity::Transaction;
  designs.push_back(designs.back());
  designs.back().memory = MemoryDesign{12345, 678, 0.1, 1.0 / 3.0, 0};
  designs.push_back(designs.back());
  designs.back().policy = Policy::Overlapped;
  designs.back().multiplier_latency = 2;
  designs.back().adder_latency = 3;
  designs.back().interleave = 4;
  for (const ArrayDesign& array : designs) {
    EXPECT_EQ(parse_array(ConfigTable::parse(to_toml(array), "printed")), array) << to_toml(array);
  }
}

TEST(ArrayDesign, WhatIsAsUsualIsNotPrintedSoThatTextsAndHashesOfOldRunsStay) {
  EXPECT_EQ(to_toml(ArrayDesign{}),
            "[array]\nrows = 32\ncolumns = 32\ndataflow = \"os\"\npsum = \"buffer\"\n"
            "fidelity = \"functional\"\n");
}

TEST(ArrayDesign, DescribesItselfInOneLine) {
  EXPECT_EQ(describe(ArrayDesign{}), "32 x 32 os, functional, no memory model");
  ArrayDesign array = array_of(64, Dataflow::WeightStationary, Psum::Chained);
  array.memory = MemoryDesign{1024, 512, 16, 2.5, 30};
  EXPECT_EQ(describe(array),
            "64 x 16 ws psum chained, functional, scratchpads 1024 + 512 B, 16 B/cycle, DRAM 2.5 "
            "B/cycle after 30 cycles");
  array = ArrayDesign{};
  array.policy = Policy::Ragged;
  array.multiplier_latency = 1;
  array.adder_latency = 2;
  array.interleave = 3;
  EXPECT_EQ(describe(array),
            "32 x 32 os, functional, ragged folds, multiplier 1 and adder 2 cycles, 3 sums "
            "interleaved, no memory model");
}

TEST(ArrayDesign, WarnsOfWhatHasNoEffectAndOfWhatCannotHoldSeveralFolds) {
  const auto count = [](std::int64_t length, Dataflow dataflow, Psum psum) {
    return warnings(mac_with_chunk(length), array_of(32, dataflow, psum)).size();
  };
  EXPECT_EQ(count(64, Dataflow::OutputStationary, Psum::Buffer), 0U);
  EXPECT_EQ(count(32, Dataflow::WeightStationary, Psum::Buffer), 0U);
  EXPECT_EQ(count(-1, Dataflow::WeightStationary, Psum::Chained), 0U);
  EXPECT_EQ(count(-1, Dataflow::OutputStationary, Psum::Chained), 1U);
  EXPECT_EQ(warnings(mac_with_chunk(64), array_of(32, Dataflow::InputStationary, Psum::Chained)),
            std::vector<std::string>{
                "[mac.chunk] has no effect: under dataflow 'is' with psum 'chained' every psum "
                "re-enters at the top, so the sum is sequential"});
  EXPECT_EQ(warnings(mac_with_chunk(-1), array_of(32, Dataflow::WeightStationary, Psum::Buffer)),
            std::vector<std::string>{
                "without [mac.chunk] this 'ws' array of 32 rows adds at most 32 products: there is "
                "no second accumulator for the sums of several folds"});
  ArrayDesign pipelined = array_of(32, Dataflow::OutputStationary, Psum::Buffer);
  pipelined.adder_latency = 3;
  pipelined.interleave = 2;
  EXPECT_EQ(warnings(mac_with_chunk(64), pipelined),
            std::vector<std::string>{"each PE waits 1 of 3 cycles: its adder takes 3 and it "
                                     "interleaves 2 sums"});
  pipelined.dataflow = Dataflow::WeightStationary;
  EXPECT_EQ(warnings(mac_with_chunk(32), pipelined),
            std::vector<std::string>{"interleave 2 has no effect: under dataflow 'ws' psums move "
                                     "on to the next PE"});
  EXPECT_EQ(
      warnings(mac_with_chunk(0), array_of(1, Dataflow::WeightStationary, Psum::Buffer)).size(),
      1U);
}

TEST(AccumulationOrderTest, DotAndExactStayInOnePe) {
  MacDesign mac;
  mac.dot = Dot{4, 13, DotAccumulator::Aligned, Alignment::TowardZero};
  ArrayDesign array;
  EXPECT_EQ(accumulation_order(mac, array).dot, mac.dot);
  for (const Dataflow dataflow : {Dataflow::WeightStationary, Dataflow::InputStationary}) {
    array.dataflow = dataflow;
    EXPECT_NE(message_of([&] { (void)accumulation_order(mac, array); }).find("order 'dot'"),
              std::string::npos);
  }
  mac.dot.reset();
  mac.exact = true;
  EXPECT_NE(message_of([&] { (void)accumulation_order(mac, array); }).find("order 'exact'"),
            std::string::npos);
  EXPECT_TRUE(accumulation_order(mac, ArrayDesign()).exact);
}

}  // namespace
}  // namespace narrowmac
