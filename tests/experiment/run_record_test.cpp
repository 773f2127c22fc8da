#include "sim/experiment/run_record.h"

#include <gtest/gtest.h>

#include "models/theory/accumulation_length.h"

namespace narrowmac {
namespace {

GemmObservation observed(const std::string& layer, std::int64_t steps, std::int64_t full_swamped) {
  GemmObservation observation;
  observation.layer = layer;
  observation.pass = Pass::Forward;
  observation.statistics.steps = steps;
  observation.statistics.full_swamped = full_swamped;
  observation.statistics.products = 2 * steps;
  observation.statistics.nonzero_products = steps;
  return observation;
}

TEST(RunRecord, ALayerCountsInItsPassByItsWorkAndNotByHowMuchOfItWasSampled) {
  RunRecord record;
  record.add({observed("thinly", 10, 8), observed("fully", 1000, 100)});
  RunRecord::Work work(2);
  work[0].first = "thinly";
  work[0].second[0].macs = 3000;
  work[1].first = "fully";
  work[1].second[0].macs = 1000;
  const Json results = record.results(work);
  const Json& forward = results.at("passes").at("FWD");
  EXPECT_DOUBLE_EQ(forward.at("full_swamping").number(), (0.8 * 3 + 0.1 * 1) / 4);
  EXPECT_DOUBLE_EQ(forward.at("nonzero_ratio").number(), 0.5);
  EXPECT_EQ(forward.at("macs").integer(), 4000);
}

TEST(RunRecord, APassWithoutObservationsHasNoRates) {
  const Json results = RunRecord().results({});
  const Json& backward = results.at("passes").at("BWD");
  EXPECT_TRUE(backward.at("full_swamping").is_null());
  EXPECT_TRUE(backward.at("vrr").is_null());
}

/// The two last fields of a file's only row.
std::string theory_fields(const std::optional<MacDesign>& mac, std::int64_t length) {
  RunRecord record;
  record.add({observed("fc1", 10, 8)});  // half of the products are zero
  RunRecord::Work work(1);
  work[0].first = "fc1";
  work[0].second[0].gemms = 1;
  work[0].second[0].shape.k = length;
  MacAssignment macs;
  if (mac) macs.set(Pass::Forward, *mac);
  const std::string text = record.layers_csv(work, macs, ArrayDesign());
  const std::string row = text.substr(text.find('\n') + 1);
  std::size_t comma = row.rfind(',');
  comma = row.rfind(',', comma - 1);
  return row.substr(comma + 1, row.size() - comma - 2);
}

TEST(RunRecord, AQuantisedGradientHasItsMeansBesideItsBoundAndItsBiasOverAllObservations) {
  RunRecord record(true);
  GemmObservation observation;
  observation.layer = "fc";
  observation.pass = Pass::Gradient;
  for (const double value : {1.0, 3.0, 2.0, 2.0}) {
    observation.gradient = GradientNoise{value, 2 * value, value, 100 * value, {}};
    record.add({observation});
  }
  RunRecord::Work work(1);
  work[0].first = "fc";
  work[0].second[2].gemms = 4;
  const RunRecord restored =
      RunRecord::restore(record.to_json(), record.steps_csv(), record.observations_csv(), 0);
  for (const RunRecord* each : {static_cast<const RunRecord*>(&record), &restored}) {
    const Json results = each->results(work);
    const std::string csv = each->layers_csv(work, MacAssignment(), ArrayDesign());
    // variance, bound, bias (8 over the root of 4), nmse; no comparison, no transform
    EXPECT_NE(csv.find(",2,4,4,0.01,,,,,\n"), std::string::npos) << csv;
    EXPECT_DOUBLE_EQ(results.at("passes").at("GRAD").at("gradient_nmse").number(), 0.01);
    EXPECT_TRUE(results.at("passes").at("BWD").at("gradient_nmse").is_null());
    EXPECT_EQ(results.at("passes").at("GRAD").at("observed_gemms").integer(), 0);
  }
}

TEST(RunRecord, ALayersRowPredictsFromItsMacItsLengthAndItsNonZeroProducts) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse("e6m6");
  Accumulation sum;
  sum.length = 4608;
  sum.nonzero_ratio = 0.5;
  const std::string fields = theory_fields(mac, 4608);
  const std::size_t comma = fields.find(',');
  EXPECT_DOUBLE_EQ(std::stod(fields.substr(0, comma)), 1 - swamping_loss(6, sum));
  EXPECT_EQ(std::stoi(fields.substr(comma + 1)), minimum_mantissa(sum));
}

TEST(RunRecord, WithoutAFloatAccumulatorNothingIsPredicted) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("int8");
  mac.accumulator.format = NumberFormat::parse("int32");
  mac.accumulator.overflow = Overflow::Saturate;
  EXPECT_EQ(theory_fields(mac, 4608), ",");
  EXPECT_EQ(theory_fields(std::nullopt, 4608), ",") << "fp32";
}

}  // namespace
}  // namespace narrowmac
