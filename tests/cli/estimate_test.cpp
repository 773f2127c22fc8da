#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

using nlohmann::json;

json estimate_json(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "estimate");
  arguments.insert(arguments.end(), {"--format", "json"});
  const Outcome outcome = run_program(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  return outcome.exit_code == 0 ? json::parse(outcome.out) : json();
}

TEST(Estimate, AMacHasAreaDelayEnergyAndLeakageWithTheFitsError) {
  const json record = estimate_json({"--mac", shipped_mac("e5m2-e6m9")});
  for (const char* key : {"area_um2", "delay_ns", "energy_pj", "clock_pj", "leakage_uw"}) {
    EXPECT_GT(record.at(key).get<double>(), 0) << key;
    EXPECT_LT(record.at("error").at(key).at("mean").get<double>(), 0.1) << key;
  }
  EXPECT_EQ(record.at("backend"), "fit");
  EXPECT_EQ(record.at("library"), "osu018_stdcells");
  EXPECT_FALSE(record.contains("array"));
  EXPECT_EQ(record.at("parts").size(), 5U);
}

TEST(Estimate, AnArrayIsItsElementsAndWithMemoryItsScratchpads) {
  const json plain = estimate_json({"--mac", shipped_mac("e5m2-e6m9-chunk64"), "--array", "16x8"});
  const json& array = plain.at("array");
  EXPECT_TRUE(array.at("memory").is_null());
  EXPECT_NEAR(array.at("parts").at(0).at("area_um2").get<double>(),
              128 * plain.at("area_um2").get<double>(), 1);
  EXPECT_EQ(plain.at("parts").size(), 6U) << "with a second accumulator";

  const TemporaryFolder folder;
  const std::string file = folder.write(
      "mac.toml",
      "[mac]\na = \"int8\"\nb = \"int8\"\naccumulator = \"fp32\"\n"
      "[array]\nrows = 4\ncolumns = 4\ndataflow = \"ws\"\npsum = \"chained\"\n[memory]\n"
      "operand_scratchpad_bytes = 16384\npsum_scratchpad_bytes = 65536\n");
  const json full = estimate_json({"--mac", file, "--memory-costs", "memory-45nm"});
  const json& memory = full.at("array").at("memory");
  EXPECT_DOUBLE_EQ(memory.at("operand_scratchpad_pj_per_byte").get<double>(), 1.25);
  EXPECT_DOUBLE_EQ(memory.at("psum_scratchpad_pj_per_byte").get<double>(), 2.5);
  EXPECT_DOUBLE_EQ(memory.at("dram_pj_per_byte").get<double>(), 162.5);
  EXPECT_NE(memory.at("source").get<std::string>().find("Horowitz"), std::string::npos);
  double area = 0;
  for (const json& part : full.at("array").at("parts")) area += part.at("area_um2").get<double>();
  EXPECT_DOUBLE_EQ(full.at("array").at("area_um2").get<double>(), area);
}

TEST(Estimate, ARunIsPricedLayerByLayerForAStepAndAnEpoch) {
  const TinyRun run;
  const std::string directory = (run / "out").string();
  ASSERT_EQ(run_program({"run", (run / "run.toml").string(), "--out", directory}).exit_code, 0);
  const json price = estimate_json({"--run", directory});
  EXPECT_EQ(price.at("backend"), "fit");
  EXPECT_EQ(price.at("steps_per_epoch"), 10);
  EXPECT_LT(price.at("area_relative").get<double>(), 0.7);
  ASSERT_EQ(price.at("layers").size(), 5U) << "no BWD of the first layer";
  double total = 0;
  for (const json& layer : price.at("layers")) {
    EXPECT_TRUE(layer.at("dram_uj").is_null()) << "no [memory]";
    EXPECT_NEAR(layer.at("mac_uj").get<double>() + layer.at("register_uj").get<double>() +
                    layer.at("leakage_uj").get<double>(),
                layer.at("total_uj").get<double>(), 1e-9);
    total += layer.at("total_uj").get<double>();
  }
  EXPECT_NEAR(price.at("step").at("total_uj").get<double>(), total, 1e-9);

  // Another MAC, array and clock in the place of the run's.
  const json wide = estimate_json(
      {"--run", directory, "--mac", shipped_mac("e5m2-fp32"), "--array", "8x8", "--clock", "50"});
  EXPECT_EQ(wide.at("area_relative"), 1);
  EXPECT_EQ(wide.at("clock_mhz"), 50);
  EXPECT_EQ(wide.at("array").at("rows"), 8);
  EXPECT_EQ(wide.at("layers").at(0).at("mac"), "e5m2 x e5m2 -> e8m23 nearest-even");

  const Outcome csv = run_program({"estimate", "--run", directory, "--format", "csv"});
  EXPECT_EQ(std::count(csv.out.begin(), csv.out.end(), '\n'), 6) << csv.out;
  const Outcome table = run_program({"estimate", "--run", directory});
  EXPECT_NE(table.out.find("operands from N(0, 1), not the run's"), std::string::npos) << table.out;
}

TEST(Estimate, SynthesisWithoutItsToolsNamesThePackage) {
  const TemporaryFolder folder;
  const std::string liberty = folder.write("cells.lib", "library (x) { }");
  const Outcome outcome = run_program(
      {"estimate", "--mac", shipped_mac("e5m2-e6m9"), "--liberty", liberty}, {"PATH=/nowhere"});
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("Debian's package"), std::string::npos) << outcome.err;
}

TEST(Estimate, ItsTableNamesUnitsSourceAndLimits) {
  const Outcome outcome =
      run_program({"estimate", "--mac", shipped_mac("e5m2-e6m9"), "--array", "32x32"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* part : {"um^2", "pJ", "uW", "fit on osu018_stdcells (Yosys", "zero-delay",
                           "placement, wires, clock tree", "operand registers", "No [memory]"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
  }
}

TEST(Estimate, WhatItCannotPriceIsRefusedNamingFileAndKey) {
  const auto expect_refusal = [](std::vector<std::string> arguments,
                                 const std::vector<std::string>& parts) {
    arguments.insert(arguments.begin(), "estimate");
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 2);
    for (const std::string& part : parts) {
      EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
    }
  };
  const std::string mac = shipped_mac("e5m2-e6m9");
  expect_refusal({}, {"--mac: missing", "--run"});
  expect_refusal({"--mac", mac, "--array", "4by4"}, {"--array", "4by4", "ROWSxCOLUMNS"});
  expect_refusal({"--mac", mac, "--clock", "100"}, {"--clock", "--run"});
  expect_refusal({"--mac", shipped_mac("h100-e5m2")}, {"h100-e5m2.toml", "mac.dot"});
  expect_refusal({"--run", "/no/run"}, {"--run /no/run", "no such folder"});
  expect_refusal({"--mac", mac, "--memory-costs", "memory-7nm"}, {"memory-7nm", "memory-45nm"});
  const TemporaryFolder folder;
  const std::string costs = folder.write("costs.toml",
                                         "source = \"s\"\nprocess = \"p\"\ndram_pj_per_byte = -1\n"
                                         "scratchpad_um2_per_byte = 1\n");
  expect_refusal({"--mac", mac, "--memory-costs", costs},
                 {"costs.toml:3", "dram_pj_per_byte", "above 0"});
}

}  // namespace
}  // namespace narrowmac
