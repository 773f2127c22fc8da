#include "sim/experiment/step_cost.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/design/config.h"
#include "sim/experiment/array_cost.h"
#include "sim/experiment/files.h"
#include "sim/experiment/run_pricer.h"
#include "tests/experiment/expect_error.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

MacDesign mac_of(const std::string& accumulator, const std::string& rest = "") {
  return parse_mac(ConfigTable::parse("[mac]\na = \"e5m2\"\nb = \"e5m2\"\naccumulator = \"" +
                                          accumulator + "\"\n" + rest,
                                      "test")
                       .table("mac"));
}

/// A bit of the sums costs 10 um^2; a product 1 pJ a bit, of which 0.25 at clock pins.
CostRecord invented_price(const RtlDesign& design, const std::string&, Pass) {
  CostRecord record;
  const double bits = design.mac.accumulator.format.width +
                      (design.mac.chunk ? design.mac.chunk->accumulator.format.width : 0);
  record.area_um2 = 10 * bits;
  record.energy_pj = bits;
  record.clock_pj = 0.25 * bits;
  record.delay_ns = 10;
  return record;
}

PlannedGemm gemm_of(const std::string& layer, Pass pass, GemmShape shape, std::int64_t cycles) {
  PlannedGemm gemm;
  gemm.layer = layer;
  gemm.pass = pass;
  gemm.shape = shape;
  gemm.cycles = cycles;
  return gemm;
}

ArrayDesign array_of(Dataflow dataflow) {
  ArrayDesign array;
  array.rows = 4;
  array.columns = 2;
  array.dataflow = dataflow;
  return array;
}

TEST(StepCost, ProductsTakeTheirEnergyAndIdleElementsTheClock) {
  MacAssignment macs;
  macs.set(Pass::Forward, mac_of("e6m9"));   // 16 bits
  macs.set(Pass::Gradient, mac_of("fp32"));  // 32 bits
  const std::vector<PlannedGemm> gemms = {gemm_of("fc1", Pass::Forward, {4, 2, 10}, 14),
                                          gemm_of("fc1", Pass::Backward, {4, 10, 2}, 0),
                                          gemm_of("fc1", Pass::Gradient, {10, 2, 4}, 20)};
  const StepCost step =
      price_step(macs, array_of(Dataflow::OutputStationary), gemms, invented_price);
  EXPECT_EQ(step.mac_area_um2, 320) << "the largest MAC";
  EXPECT_EQ(step.macs, 160);
  EXPECT_EQ(step.fp32_macs, 80) << "BWD has no MAC";
  // FWD: 80 products and 8 x 14 - 80 cycles without one; GRAD: 80 and 8 x 20 - 80.
  EXPECT_DOUBLE_EQ(step.energy_uj, 1e-6 * (80 * 16 + 32 * 4.0 + 80 * 32 + 80 * 8.0));
}

TEST(StepCost, ASecondAccumulatorIsInEveryElementOrOnceAtTheFootOfAColumn) {
  const MacDesign mac = mac_of("e6m9", "chunk = { length = 4, accumulator = \"fp32\" }\n");
  const PeCost own =
      price_pe(mac, array_of(Dataflow::OutputStationary), "fc1", Pass::Forward, invented_price);
  EXPECT_EQ(own.area_um2, 480);
  EXPECT_EQ(own.column_um2, 0);
  const PeCost shared =
      price_pe(mac, array_of(Dataflow::WeightStationary), "fc1", Pass::Forward, invented_price);
  EXPECT_EQ(shared.mac.area_um2, 160);
  EXPECT_EQ(shared.column_um2, 320);
  EXPECT_EQ(shared.area_um2, 160 + 320 / 4.0);
  EXPECT_EQ(shared.energy_pj, 16 + 24 + 8 / 4.0) << "the column's clock is shared by four rows";
  EXPECT_EQ(shared.clock_pj, 4 + 8 / 4.0);
}

TEST(StepCost, ItsMeasureIsTheMacWithTheSameOperandsThatAccumulatesInFp32) {
  const MacDesign wide =
      fp32_accumulating(mac_of("e6m3",
                               "subnormals = false\nrounding = \"stochastic\"\nrandom_bits = 8\n"
                               "chunk = { length = 64, accumulator = \"e6m5\" }\n"));
  EXPECT_EQ(describe(wide), "e5m2 x e5m2 -> e8m23 nearest-even no-subnormals");
  const MacDesign finite =
      fp32_accumulating(mac_of("e6m3", "special_values = false\noverflow = \"saturate\"\n"));
  EXPECT_EQ(finite.accumulator.overflow, Overflow::Saturate);
  validate(finite);
}

TEST(StepCost, WhatHasNoPriceNamesLayerAndPass) {
  const std::vector<PlannedGemm> gemms = {gemm_of("fc1", Pass::Backward, {4, 2, 10}, 14)};
  const ArrayDesign array = array_of(Dataflow::OutputStationary);
  MacAssignment macs;
  expect_error([&] { (void)price_step(macs, array, gemms, invented_price); }, {"fp32"});
  macs.set(Pass::Backward, mac_of("fp32"));
  const auto refuses = [](const RtlDesign&, const std::string&, Pass) -> CostRecord {
    throw Error("mac.dot: none");
  };
  expect_error([&] { (void)price_step(macs, array, gemms, refuses); },
               {"layer \"fc1\", pass BWD: mac.dot"});
}

TEST(StepCost, AnArrayOfWideMacsCostsOneAndWithoutMacsThereIsNone) {
  RunConfig config;
  config.array = array_of(Dataflow::OutputStationary);
  RunPlan plan;
  plan.gemms = {gemm_of("fc1", Pass::Forward, {4, 2, 10}, 14)};
  EXPECT_FALSE(price_run(config, plan).step.has_value());
  EXPECT_NE(price_run(config, plan).reason.find("fp32"), std::string::npos);
  EXPECT_TRUE(to_json(price_run(config, plan)).at("mac_area_um2").is_null());
  config.training.macs.set(Pass::Forward, mac_of("fp32"));
  EXPECT_EQ(price_run(config, plan).area_relative, 1);
  EXPECT_EQ(price_run(config, plan).energy_relative, 1);
  config.training.macs.set(Pass::Forward, mac_of("e6m5"));
  const RunCost narrow = price_run(config, plan);
  EXPECT_EQ(narrow.reason, "");
  EXPECT_LT(narrow.area_relative, 0.7);
  EXPECT_LT(narrow.energy_relative, 0.8);
  const Json json = to_json(narrow);
  EXPECT_EQ(json.at("backend").string(), "fit");
  EXPECT_EQ(json.at("library").string(), "osu018_stdcells");
  EXPECT_TRUE(json.at("reason").is_null());
  EXPECT_EQ(json.at("macs_step").integer(), 80);
}

/// A register's bit: 1 um^2, 2 pJ a clock, 3 pJ a change; half of A's bits change, all of B's.
ArrayPrices invented_prices() {
  ArrayPrices prices;
  prices.mac = invented_price;
  prices.activity = [](const MacDesign&, const std::string&, Pass) {
    return OperandActivity{0.5, 1};
  };
  prices.register_bit = {1, 2, 3, 0.001};
  prices.memory.scratchpads = {{1024, 1}, {4096, 2}};
  prices.memory.scratchpad_um2_per_byte = 0.5;
  prices.memory.dram_pj_per_byte = 100;
  return prices;
}

TEST(ArrayCost, OperandsHaveARegisterWhereTheyPassAndTwoWhereTheyRest) {
  const MacDesign mac = mac_of("e6m9");
  ArrayDesign array = array_of(Dataflow::OutputStationary);
  EXPECT_EQ(operand_registers(mac, array).moving_a, 8);
  EXPECT_EQ(operand_registers(mac, array).moving_b, 8);
  EXPECT_EQ(operand_registers(mac, array).resting, 0);
  array.policy = Policy::Overlapped;
  EXPECT_EQ(operand_registers(mac, array).resting, 16) << "a finished sum beside the growing one";
  array.dataflow = Dataflow::WeightStationary;
  EXPECT_EQ(operand_registers(mac, array).moving_b, 0);
  EXPECT_EQ(operand_registers(mac, array).resting, 16);
  array.dataflow = Dataflow::InputStationary;
  EXPECT_EQ(operand_registers(mac, array).moving_a, 0);
}

TEST(ArrayCost, ItsPartsAreElementsRegistersAndScratchpads) {
  ArrayDesign array = array_of(Dataflow::OutputStationary);
  array.memory = MemoryDesign{};
  array.memory->operand_scratchpad_bytes = 2048;
  array.memory->psum_scratchpad_bytes = 8192;
  const ArrayCost cost = price_array(mac_of("e6m9"), array, invented_prices());
  ASSERT_EQ(cost.parts.size(), 4U);
  EXPECT_EQ(cost.parts[0].area_um2, 8 * 160);
  EXPECT_EQ(cost.parts[1].area_um2, 8 * 16);
  EXPECT_EQ(cost.parts[2].area_um2, 2 * 1024);
  EXPECT_EQ(cost.parts[3].area_um2, 4096);
  EXPECT_EQ(cost.area_um2, 8 * 176 + 2048 + 4096);
  EXPECT_EQ(cost.register_pj, 16 * 2 + (4 + 8) * 3);
  EXPECT_FALSE(cost.parts[3].leakage_uw.has_value());
}

TEST(ArrayCost, ASizeBetweenPublishedOnesIsInterpolatedOnLogarithms) {
  const MemoryCost memory = invented_prices().memory;
  EXPECT_DOUBLE_EQ(memory.scratchpad_pj_per_byte(1024), 1);
  EXPECT_NEAR(memory.scratchpad_pj_per_byte(2048), std::sqrt(2), 1e-12);
  EXPECT_NEAR(memory.scratchpad_pj_per_byte(16384), 4, 1e-12);
}

TEST(TrainingPrice, ARunsEnergyIsThatOfItsLayersAndItsEpochThatOfItsSteps) {
  const TinyRun run;
  run.write("memory.toml", TinyRun::run_file("[array]\nrows = 4\ncolumns = 2\n[memory]\n"
                                             "operand_scratchpad_bytes = 2048\n"
                                             "psum_scratchpad_bytes = 8192\n"
                                             "dram_bytes_per_cycle = 2\n"));
  const RunConfig config = read_run_config(run / "memory.toml");
  const TrainingPrice price = price_training(config, invented_prices(), std::nullopt);
  ASSERT_EQ(price.gemms.size(), 5U);
  const GemmPrice& first = price.gemms.front();  // conv1 FWD: 360 x 4 x 9
  EXPECT_EQ(first.macs, 360 * 4 * 9);
  EXPECT_GT(first.stall_cycles, 0);
  const double slots = 8.0 * static_cast<double>(first.cycles);
  const auto products = static_cast<double>(first.macs);
  EXPECT_NEAR(first.energy.mac, 1e-6 * (products * 12 + (slots - products) * 3), 1e-9);
  EXPECT_NEAR(first.energy.registers, 1e-6 * (slots * 32 + products * 36), 1e-9);
  EXPECT_GT(first.energy.dram, 0);
  EXPECT_GT(first.energy.scratchpads, 0);
  EXPECT_EQ(price.steps_per_epoch, 10);
  EnergyParts sum;
  for (const GemmPrice& gemm : price.gemms) sum += gemm.energy;
  EXPECT_DOUBLE_EQ(price.step.total(), sum.total());
  // Nine steps of ten images and one of six.
  EXPECT_GT(price.epoch.total(), 9.5 * price.step.total());
  EXPECT_LT(price.epoch.total(), 9.9 * price.step.total());
  EXPECT_DOUBLE_EQ(price.area_relative, 12.0 / 32);
}

TEST(TrainingPrice, ItsCyclesStallsAndWorkAreThoseThatTheRunRecords) {
  const TinyRun run;
  RunOptions options;
  options.config = run.write(
      "memory.toml", TinyRun::run_file("[array]\nrows = 4\ncolumns = 2\n[memory]\n"
                                       "operand_scratchpad_bytes = 2048\n"
                                       "psum_scratchpad_bytes = 8192\ndram_bytes_per_cycle = 2\n"));
  options.set = {"data.train_images=20", "data.test_images=10", "training.epochs=1"};
  options.out = run / "out";
  options.quiet = true;
  (void)run_experiment(options);
  const TrainingPrice price =
      price_training(read_run_config(run / "out/config.toml"), invented_prices(), std::nullopt);
  std::int64_t cycles = 0, stalls = 0, macs = 0;
  for (const GemmPrice& gemm : price.gemms) {
    cycles += 2 * gemm.cycles;
    stalls += 2 * gemm.stall_cycles;
    macs += 2 * gemm.macs;
  }
  const Json summary = Json::parse(read_file(run / "out/summary.json"), "summary.json");
  EXPECT_EQ(summary.at("hardware").at("cycles").integer(), cycles);
  EXPECT_EQ(summary.at("hardware").at("stall_cycles").integer(), stalls);
  EXPECT_EQ(summary.at("results").at("macs").integer(), macs);

  const ReplayedStep step(run / "out");
  const OperandTraces traces = record_operands(step, step.config().training.macs);
  EXPECT_EQ(traces.size(), price.gemms.size());
  const OperandTrace& trace = traces.at({"fc1", Pass::Forward});
  EXPECT_EQ(trace.length, 144);
  EXPECT_EQ(trace.sums(), 128);
  EXPECT_EQ(std::count_if(trace.a.begin(), trace.a.end(), [](double a) { return a < 0; }), 0)
      << "they come from a ReLU";
}

}  // namespace
}  // namespace narrowmac
