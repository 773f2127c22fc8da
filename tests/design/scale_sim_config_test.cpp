#include "models/design/scale_sim_config.h"

#include <gtest/gtest.h>

#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr const char* kComplete =
    "[general]\n"
    "run_name = scale_example_run_32x32_os\n"
    "\n"
    "[architecture_presets]\n"
    "ArrayHeight:    16\n"
    "ArrayWidth:     32   ; columns\n"
    "IfmapSramSzkB:    64\n"
    "FilterSramSzkB:   64\n"
    "OfmapSramSzkB:    128\n"
    "IfmapOffset:    0\n"
    "FilterOffset:   10000000\n"
    "OfmapOffset:    20000000\n"
    "Bandwidth : 10\n"
    "Dataflow : ws\n"
    "MemoryBanks:   1\n"
    "[layout]\n"
    "IfmapCustomLayout: False\n"
    "[sparsity]\n"
    "SparsitySupport : false\n"
    "BlockSize : 8\n"
    "[run_presets]\n"
    "InterfaceBandwidth: USER\n"
    "UseRamulatorTrace: False\n";

ScaleSimConfig parse(const std::string& text) { return parse_scale_sim_config(text, "a.cfg"); }

std::string message_of(const std::string& text) {
  try {
    (void)parse(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// kComplete with one piece replaced.
std::string with(const std::string& old, const std::string& replacement) {
  std::string text = kComplete;
  return text.replace(text.find(old), old.size(), replacement);
}

TEST(ScaleSimConfig, SidesDataflowScratchpadsAndBandwidthMap) {
  const ScaleSimConfig config = parse(kComplete);
  EXPECT_EQ(config.rows, 16);
  EXPECT_EQ(config.columns, 32);
  EXPECT_EQ(config.dataflow, Dataflow::WeightStationary);
  ASSERT_TRUE(config.memory.has_value());
  EXPECT_EQ(config.memory->operand_scratchpad_bytes, 64 * 1024);
  EXPECT_EQ(config.memory->psum_scratchpad_bytes, 128 * 1024);
  EXPECT_EQ(config.memory->dram_bytes_per_cycle, 10) << "a word counts as a byte";
  EXPECT_EQ(config.memory->dram_latency_cycles, 0);
  EXPECT_TRUE(config.notes.empty());
}

TEST(ScaleSimConfig, CalculatedBandwidthMeansNoMemoryModel) {
  const ScaleSimConfig config = parse(with("USER", "CALC"));
  EXPECT_FALSE(config.memory.has_value());
  EXPECT_EQ(config.notes.size(), 1U);
}

TEST(ScaleSimConfig, ThreeBandwidthsShareOneChannel) {
  EXPECT_EQ(parse(with("Bandwidth : 10", "Bandwidth : 10, 20,5")).memory->dram_bytes_per_cycle, 35);
  EXPECT_EQ(message_of(with("Bandwidth : 10", "Bandwidth : 10, 20")),
            "a.cfg:13: Bandwidth: found 2 numbers; accepted: one or three");
}

TEST(ScaleSimConfig, UnequalOperandScratchpadsCountAsTheSmallerOneAndAreNoted) {
  const ScaleSimConfig config = parse(with("FilterSramSzkB:   64", "FilterSramSzkB: 32"));
  EXPECT_EQ(config.memory->operand_scratchpad_bytes, 32 * 1024);
  ASSERT_EQ(config.notes.size(), 1U);
  EXPECT_NE(config.notes[0].find("65536 and 32768"), std::string::npos);
}

TEST(ScaleSimConfig, KeysCompareWithoutCaseAndCrlfAndCommentsDoNotMatter) {
  const ScaleSimConfig config = parse(
      "# a comment\r\n[architecture_presets]\r\nARRAYHEIGHT = 8 # rows\r\narraywidth=4\r\n"
      "dataflow = OS\r\n");
  EXPECT_EQ(config.rows, 8);
  EXPECT_EQ(config.columns, 4);
  EXPECT_EQ(config.dataflow, Dataflow::OutputStationary);
  EXPECT_FALSE(config.memory.has_value()) << "no bandwidth is given";
}

TEST(ScaleSimConfig, AByteOrderMarkAndTheBankKeysOfOlderVersionsDoNotMatter) {
  const ScaleSimConfig config = parse(
      "\xEF\xBB\xBF[architecture_presets]\nArrayHeight: 8\nArrayWidth: 4\n"
      "OnChipMemoryBanks:   1\nOnChipMemoryBankPorts:   2\n");
  EXPECT_EQ(config.rows, 8);
  EXPECT_EQ(config.columns, 4);
}

TEST(ScaleSimConfig, FeaturesThatChangeCyclesAreRefusedWhenSwitchedOn) {
  EXPECT_EQ(
      message_of(with("SparsitySupport : false", "SparsitySupport : true")),
      "a.cfg:19: SparsitySupport: found 'true'; accepted: false (narrowmac has no such model, "
      "and it would change the cycles)");
  EXPECT_NE(message_of(with("UseRamulatorTrace: False", "UseRamulatorTrace: True")), "");
  EXPECT_NE(message_of(with("IfmapCustomLayout: False", "IfmapCustomLayout: True")), "");
}

TEST(ScaleSimConfig, WhatIsWrongIsNamedWithFileAndLine) {
  EXPECT_EQ(message_of(with("ArrayHeight:    16", "ArrayHeigth: 16")),
            "a.cfg:5: unknown key 'ArrayHeigth'; did you mean 'ArrayHeight'?");
  EXPECT_EQ(message_of(with("ArrayHeight:    16", "ArrayHeight: 0")),
            "a.cfg:5: ArrayHeight: found '0'; accepted: 1..65536");
  EXPECT_EQ(message_of(with("Dataflow : ws", "Dataflow : rs")),
            "a.cfg:14: Dataflow: found 'rs'; accepted: os, ws, is");
  EXPECT_EQ(message_of(with("IfmapOffset:    0", "Dataflow: os")),
            "a.cfg:14: 'Dataflow' is set twice; first in line 10");
  EXPECT_EQ(message_of(with("[layout]", "[layuot]")),
            "a.cfg:16: found '[layuot]'; accepted: [general], [architecture_presets], [layout], "
            "[sparsity], [run_presets], [network_presets]");
  EXPECT_EQ(message_of(with("IfmapSramSzkB:    64", "IfmapSramSzkB: many")),
            "a.cfg:7: IfmapSramSzkB: found 'many'; accepted: 1..1099511627776");
  EXPECT_EQ(message_of(with("Bandwidth : 10", "Bandwidth : nan")).substr(0, 37),
            "a.cfg:13: Bandwidth: found 'nan'; acc");
  EXPECT_EQ(message_of(with("USER", "USR")),
            "a.cfg:22: InterfaceBandwidth: found 'USR'; accepted: CALC, USER");
  EXPECT_EQ(message_of("ArrayHeight: 3\n").substr(0, 32), "a.cfg:1: found 'ArrayHeight: 3';");
  EXPECT_EQ(message_of("[general]\nnonsense\n").substr(0, 26), "a.cfg:2: found 'nonsense';");
  EXPECT_EQ(message_of("").substr(0, 21), "a.cfg:1: found no key");
  EXPECT_EQ(message_of("[\n").substr(0, 18), "a.cfg:1: found '['");
}

TEST(ScaleSimConfig, AFileThatCannotBeReadIsNamed) {
  EXPECT_THROW(read_scale_sim_config("/nonexistent/a.cfg"), Error);
  EXPECT_THROW(read_scale_sim_config("/tmp"), Error);
}

}  // namespace
}  // namespace narrowmac
