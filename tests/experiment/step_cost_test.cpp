#include "sim/experiment/step_cost.h"

#include <gtest/gtest.h>

#include "models/design/config.h"
#include "tests/experiment/expect_error.h"

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

}  // namespace
}  // namespace narrowmac
