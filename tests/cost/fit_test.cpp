#include "models/cost/fit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "models/design/config.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

RtlDesign parsed(const std::string& keys) {
  RtlDesign design;
  design.mac = parse_mac(ConfigTable::parse("[mac]\n" + keys, "test").table("mac"));
  return design;
}

/// Integer designs whose costs are exactly linear in the features.
std::vector<FitSample> linear_samples() {
  std::vector<FitSample> samples;
  for (const int bits : {4, 6, 8, 12, 16}) {
    for (const int width : {16, 20, 24, 32}) {
      for (const char* const rest : {"overflow = \"wrap\"\n", "overflow = \"saturate\"\n",
                                     "overflow = \"wrap\"\nrounding = \"stochastic\"\nrandom_bits "
                                     "= 5\n"}) {
        const int fraction = width % 16 == 4 || width == 24 ? -3 : 0;
        FitSample sample;
        sample.design =
            parsed("a = \"int" + std::to_string(bits) + "\"\nb = \"int8\"\naccumulator = \"fx" +
                   std::to_string(width) + "." + std::to_string(fraction) + "\"\n" + rest);
        double weight = 1, sum = 0;
        for (const auto& feature : fit_features(sample.design)) {
          sum += weight * feature.second;
          weight += 1;
        }
        sample.record.area_um2 = sum;
        sample.record.delay_ns = 2 * sum;
        sample.record.energy_pj = 3 * sum;
        sample.record.clock_pj = 0.5 * sum;
        sample.record.leakage_uw = sum;
        sample.record.parts = {{"multiplier", 0.25 * sum}, {"adder", 0.75 * sum}};
        sample.record.library = "linear";
        sample.record.tools = "none";
        samples.push_back(std::move(sample));
      }
    }
  }
  return samples;
}

TEST(FitTest, FindsACostThatIsLinearInTheFeatures) {
  const std::vector<FitSample> samples = linear_samples();
  const CostFit fit = fit_costs(samples);
  const FitLine& area = fit.families.at("integer").lines.at("area_um2");
  EXPECT_LT(area.largest_error, 1e-3);
  const CostRecord record = estimate_by_fit(samples[7].design, fit);
  EXPECT_NEAR(record.area_um2 / samples[7].record.area_um2, 1, 1e-3);
  EXPECT_NEAR(record.delay_ns / record.area_um2, 2, 1e-2);
  ASSERT_EQ(record.parts.size(), 2U);
  EXPECT_NEAR(record.parts[0].area_um2 + record.parts[1].area_um2, record.area_um2, 1e-6);
  EXPECT_EQ(record.errors.size(), 5U);
}

TEST(FitTest, HeldOutErrorSeesWhatTheFeaturesDoNotExplain) {
  std::vector<FitSample> samples = linear_samples();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i].record.area_um2 *= i % 3 == 0 ? 1.2 : 0.9;
  }
  const CostFit fit = fit_costs(samples);
  const FitLine& area = fit.families.at("integer").lines.at("area_um2");
  EXPECT_GT(area.mean_error, 0.05);
  EXPECT_GT(area.largest_error, area.mean_error);
}

TEST(FitTest, ItsFileReadsBackAsTheSameFit) {
  const CostFit fit = fit_costs(linear_samples());
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / ("fit-" + std::to_string(::getpid()) + ".toml");
  std::ofstream(path) << to_toml(fit);
  const CostFit again = read_cost_fit(path);
  std::ofstream(path) << "library = \"x\"\ntools = \"y\"\n[float]\ndesigns = 3\n";
  EXPECT_THROW((void)read_cost_fit(path), Error);
  std::filesystem::remove(path);
  EXPECT_EQ(to_toml(again), to_toml(fit));
}

TEST(FitTest, DesignsThatItDoesNotCoverAreRefusedByTheirKey) {
  const auto refusal = [](const RtlDesign& design) -> std::string {
    try {
      (void)fit_family(design);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const std::string e5m2 = "a = \"e5m2\"\nb = \"e5m2\"\naccumulator = \"e6m5\"\n";
  EXPECT_EQ(refusal(parsed(e5m2)), "");
  EXPECT_NE(refusal(parsed(e5m2 + "product = \"e5m4\"\n")).find("mac.product"), std::string::npos);
  const std::string chunk = "chunk = { length = 4, accumulator = \"fp32\" }\n";
  EXPECT_EQ(refusal(parsed(e5m2 + chunk)), "");
  EXPECT_NE(refusal(parsed("a = \"int8\"\nb = \"int8\"\naccumulator = \"e6m5\"\n" + chunk))
                .find("mac.chunk"),
            std::string::npos);
  EXPECT_NE(refusal(parsed("a = \"int8\"\nb = \"e5m2\"\naccumulator = \"e6m5\"\n")).find("mac.b"),
            std::string::npos);
  RtlDesign pipelined = parsed(e5m2);
  pipelined.adder_stages = 2;
  EXPECT_NE(refusal(pipelined).find("array.adder_latency"), std::string::npos);
}

TEST(FitTest, AFitOfAnEarlierVersionPricesNoDesignWithWhatItDoesNotKnow) {
  const std::vector<FitSample> samples = linear_samples();
  CostFit fit = fit_costs(samples);
  fit.families.at("integer").lines.at("area_um2").coefficients.erase("saturation");
  EXPECT_NO_THROW((void)estimate_by_fit(samples[0].design, fit)) << "wraps";
  EXPECT_THROW((void)estimate_by_fit(samples[1].design, fit), Error) << "saturates";
}

TEST(ShippedFit, ASecondAccumulatorCostsAreaAndLessEnergyThanTheFirst) {
  const CostFit fit = read_cost_fit(NARROWMAC_CONFIGS_FOLDER "/costs/osu018.toml");
  const std::string e5m2 = "a = \"e5m2\"\nb = \"e5m2\"\naccumulator = \"e6m5\"\n";
  const CostRecord plain = estimate_by_fit(parsed(e5m2), fit);
  const CostRecord chunked =
      estimate_by_fit(parsed(e5m2 + "chunk = { length = 64, accumulator = \"e6m5\" }\n"), fit);
  EXPECT_GT(chunked.area_um2, 1.3 * plain.area_um2);
  EXPECT_LT(chunked.area_um2, 2 * plain.area_um2);
  EXPECT_GT(chunked.energy_pj, plain.energy_pj);
  EXPECT_LT(chunked.energy_pj, 1.5 * plain.energy_pj);
}

TEST(ShippedFit, KeepsItsPromiseOnDesignsThatItHadNotSeen) {
  const CostFit fit = read_cost_fit(NARROWMAC_CONFIGS_FOLDER "/costs/osu018.toml");
  for (const auto& [name, family] : fit.families) {
    const FitLine& area = family.lines.at("area_um2");
    EXPECT_LE(area.mean_error, 0.07) << name;
    EXPECT_LE(area.largest_error, 0.20) << name;
  }
  EXPECT_EQ(fit.families.size(), 4U);
}

}  // namespace
}  // namespace narrowmac
