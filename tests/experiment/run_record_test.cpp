#include "sim/experiment/run_record.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace narrowmac
