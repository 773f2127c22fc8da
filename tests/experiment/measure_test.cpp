#include "sim/experiment/measure.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <cmath>
#include <map>
#include <random>
#include <sstream>

#include "models/design/error.h"
#include "sim/experiment/files.h"
#include "sim/experiment/gaussian_operands.h"
#include "sim/experiment/replayed_step.h"
#include "sim/experiment/run.h"
#include "tests/experiment/expect_error.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

MacDesign e5m2_mac(RoundingMode mode = RoundingMode::NearestEven) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse("e6m9");
  mac.accumulator.rounding.mode = mode;
  return mac;
}

MacDesign chunked(MacDesign mac, std::int64_t length) {
  mac.chunk = Chunk{length, mac.accumulator};
  return mac;
}

std::vector<double> draws(const std::string& format, std::int64_t count, double nonzero_ratio = 1) {
  const MacDesign mac = e5m2_mac();
  const GaussianOperands operands(NumberFormat::parse(format), mac, nonzero_ratio);
  OperandMatrix matrix;
  operands.fill_rows(1, count, 7, matrix);
  std::vector<double> values;
  for (std::int64_t k = 0; k < count; ++k) values.push_back(matrix.view().at(0, k));
  return values;
}

double share(const std::vector<double>& values, double value) {
  return static_cast<double>(std::count(values.begin(), values.end(), value)) /
         static_cast<double>(values.size());
}

double deviation(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares / static_cast<double>(values.size()));
}

/// P(low < x < high) of N(0, 1).
double probability(double low, double high) {
  return 0.5 * (std::erf(high / std::sqrt(2.0)) - std::erf(low / std::sqrt(2.0)));
}

TEST(GaussianOperands, valuesOfAFormatHaveTheProbabilityOfWhatRoundsToThem) {
  const std::vector<double> values = draws("e5m2", 1 << 20);
  // Neighbours of 1 are 0.875 and 1.25, of -2.5: -3 and -2; from 0 half of the smallest subnormal.
  EXPECT_NEAR(share(values, 1.0), probability(0.9375, 1.125), 1.5e-3);
  EXPECT_NEAR(share(values, -2.5), probability(2.25, 2.75), 5e-4);
  EXPECT_NEAR(share(values, 0.015625), probability(0.5 * (0.013671875 + 0.015625), 0.017578125),
              2e-4);
}

TEST(GaussianOperands, wideFormatsHaveUnitVariance) {
  EXPECT_NEAR(deviation(draws("fp32", 1 << 18)), 1, 5e-3);
  EXPECT_NEAR(deviation(draws("bf16", 1 << 18)), 1, 5e-3);
}

TEST(GaussianOperands, fourSigmaAreTheMaximumOfAnInteger) {
  const std::vector<double> values = draws("int8", 1 << 18);
  EXPECT_NEAR(deviation(values), 127 / 4.0, 0.2);
  EXPECT_NEAR(share(values, 127), probability(126.5 / 31.75, 100), 3e-5);
  EXPECT_NEAR(deviation(draws("fx24.0", 1 << 16)) / 8388607, 0.25, 3e-3);
}

TEST(GaussianOperands, drawsBeyondTheRangeBecomeTheLargestValue) {
  const std::vector<double> values = draws("e2m1", 1 << 18);
  EXPECT_EQ(*std::max_element(values.begin(), values.end()), 3);
}

TEST(GaussianOperands, sparsityReplacesDrawsByZero) {
  EXPECT_NEAR(share(draws("e5m2", 1 << 18, 0.25), 0), 0.75, 5e-3);
  EXPECT_NEAR(share(draws("fp32", 1 << 18, 0.25), 0), 0.75, 5e-3);
}

TEST(MeasuredDesigns, everyAccumulatorGetsTheMantissa) {
  const MacDesign mac = with_mantissa(chunked(e5m2_mac(), 64), 4);
  EXPECT_EQ(mac.accumulator.format.to_string(), "e6m4");
  EXPECT_EQ(mac.chunk->accumulator.format.to_string(), "e6m4");
  EXPECT_EQ(mac.a.to_string(), "e5m2");
}

TEST(MeasuredDesigns, fixedPointHasNoMantissaToReplace) {
  MacDesign mac = chunked(e5m2_mac(), 64);
  mac.chunk->accumulator.format = NumberFormat::parse("fx32.8");
  mac.chunk->accumulator.overflow = Overflow::Saturate;
  EXPECT_THROW(with_mantissa(mac, 4), Error);
}

TEST(TrialLayout, groupsAreAMultipleOfTheBlocksAndHoldTheTrials) {
  for (const std::int64_t length : {1, 64, 20000, 1 << 20, 1 << 22}) {
    for (const std::int64_t trials : {64, 100, 1000, 5000, 20000, 1000000}) {
      const TrialLayout layout = trial_layout(length, trials);
      EXPECT_GE(layout.trials(), trials);
      EXPECT_LE(layout.trials(), trials + trials / 2);
      EXPECT_EQ(layout.groups % kMeasureBlocks, 0);
    }
  }
  EXPECT_EQ(trial_layout(64, {}).trials(), 16384);
  EXPECT_EQ(trial_layout(1 << 20, {}).trials(), 6144);
}

std::vector<Measurement> measured(const MacDesign& mac, std::int64_t length,
                                  const std::vector<int>& mantissas, std::int64_t trials,
                                  std::uint64_t seed = 1) {
  MeasureOptions options;
  options.trials = trials;
  options.seed = seed;
  options.count_swamping = false;
  return measure_gaussian(measured_designs(mac, std::nullopt, mantissas), length, options);
}

TEST(Measure, numbersDependOnNeitherThreadsNorTheOtherWidths) {
  MeasureOptions options;
  options.trials = 300;
  const MacDesign mac = e5m2_mac(RoundingMode::NearestEven);
  const std::vector<int> three = {3, 5, 7}, one = {5};
  std::optional<tbb::global_control> limit;
  limit.emplace(tbb::global_control::max_allowed_parallelism, 1);
  const auto serial = measure_gaussian(measured_designs(mac, std::nullopt, one), 500, options);
  limit.reset();
  limit.emplace(tbb::global_control::max_allowed_parallelism, 4);
  const auto parallel = measure_gaussian(measured_designs(mac, std::nullopt, three), 500, options);
  EXPECT_EQ(serial[0].vrr->value, parallel[1].vrr->value);
  EXPECT_EQ(serial[0].nmse->high, parallel[1].nmse->high);
  EXPECT_EQ(serial[0].full_swamping, parallel[1].full_swamping);
  EXPECT_NE(serial[0].vrr->value, measured(mac, 500, one, 300, 2)[0].vrr->value);
}

TEST(Measure, anAccumulatorThatHoldsEverySumKeepsAll) {
  MacDesign mac = e5m2_mac();
  mac.a = mac.b = NumberFormat::parse("int4");
  mac.accumulator.format = NumberFormat::parse("e8m23");
  MeasureOptions options;
  options.trials = 64;
  const auto result = measure_gaussian(measured_designs(mac, std::nullopt, {}), 200, options);
  EXPECT_EQ(result[0].vrr->value, 1);
  EXPECT_EQ(result[0].vrr->low, 1);
  EXPECT_EQ(result[0].nmse->value, 0);
  EXPECT_EQ(result[0].full_swamping, 0);
  EXPECT_EQ(result[0].mantissa, 23);
}

TEST(Measure, sumsBeyondTheRangeLeaveNoVariance) {
  MacDesign mac = e5m2_mac();
  mac.accumulator.format = NumberFormat::parse("e3m3");  // up to 15
  MeasureOptions options;
  options.trials = 64;
  const auto result = measure_gaussian(measured_designs(mac, std::nullopt, {}), 256, options);
  EXPECT_GT(result[0].not_finite, 0);
  EXPECT_FALSE(result[0].vrr.has_value());
  EXPECT_FALSE(result[0].nmse.has_value());
}

// E(s' - s)^2 / Var(s) = 0.0225 n 4^-m, while below 3 % and n >= 4^(m - m_p + 2), m_p = 5.
TEST(Measure, noiseOfNearestEvenFollowsItsLaw) {
  for (const auto& [length, mantissa] :
       {std::pair{64, 5}, {256, 5}, {512, 6}, {2048, 7}, {16384, 8}, {65536, 10}}) {
    const double law = 0.0225 * length * std::pow(4.0, -mantissa);
    ASSERT_LT(law, 0.03);
    const auto result = measured(e5m2_mac(), length, {mantissa}, 1500);
    EXPECT_NEAR(result[0].nmse->value / law, 1, 0.25) << length << " " << mantissa;
  }
}

TEST(Measure, ninetyFivePercentOfTheIntervalsHoldTheTruth) {
  constexpr int kRepetitions = 400;
  std::vector<Measurement> all;
  double vrr = 0, nmse = 0;
  for (int seed = 0; seed < kRepetitions; ++seed) {
    all.push_back(measured(e5m2_mac(), 48, {2}, 512, static_cast<std::uint64_t>(seed))[0]);
    vrr += all.back().vrr->value / kRepetitions;
    nmse += all.back().nmse->value / kRepetitions;
  }
  int vrr_held = 0, nmse_held = 0;
  for (const Measurement& one : all) {
    vrr_held += *one.vrr->low <= vrr && vrr <= *one.vrr->high ? 1 : 0;
    nmse_held += *one.nmse->low <= nmse && nmse <= *one.nmse->high ? 1 : 0;
  }
  // 380 are expected; four standard deviations of a binomial are 17.
  EXPECT_NEAR(vrr_held, 380, 17);
  EXPECT_NEAR(nmse_held, 380, 17);
}

// A second Monte Carlo, in plain double arithmetic, with other random numbers.

enum class Plain { NearestEven, Cut, CutAligned };

/// x rounded to a significand of `bits` bits: nearest, ties to even, or cut off. The range of a
/// float with 6 exponent bits is never left here.
double rounded(double x, int bits, bool cut) {
  int exponent = 0;
  const double significand = std::ldexp(std::frexp(x, &exponent), bits);
  return std::ldexp(cut ? std::trunc(significand) : std::nearbyint(significand), exponent - bits);
}

double plain_sum(double acc, double addend, int mantissa, Plain adder) {
  if (adder == Plain::CutAligned && acc != 0 && addend != 0) {
    // Both are cut at the last place of the larger one.
    const double larger = std::max(std::abs(acc), std::abs(addend));
    const double unit = std::ldexp(1.0, std::ilogb(larger) - mantissa);
    acc = std::trunc(acc / unit) * unit;
    addend = std::trunc(addend / unit) * unit;
  }
  return rounded(acc + addend, mantissa + 1, adder != Plain::NearestEven);
}

double plain_vrr(int length, int mantissa, Plain adder, int chunk, int trials) {
  std::mt19937_64 random(static_cast<std::uint64_t>(length));
  std::normal_distribution<double> normal;
  double narrow_sum = 0, narrow_squares = 0, exact_sum = 0, exact_squares = 0;
  for (int trial = 0; trial < trials; ++trial) {
    double exact = 0, acc = 0, total = 0;
    for (int k = 0; k < length; ++k) {
      const double a = rounded(normal(random), 3, false);
      const double b = rounded(normal(random), 3, false);
      exact += a * b;
      acc = plain_sum(acc, a * b, mantissa, adder);
      if (chunk == 0 || ((k + 1) % chunk != 0 && k + 1 != length)) continue;
      total = plain_sum(total, acc, mantissa, adder);
      acc = 0;
    }
    const double narrow = chunk == 0 ? acc : total;
    narrow_sum += narrow;
    narrow_squares += narrow * narrow;
    exact_sum += exact;
    exact_squares += exact * exact;
  }
  return (narrow_squares - narrow_sum * narrow_sum / trials) /
         (exact_squares - exact_sum * exact_sum / trials);
}

/// The smallest width up to 11 from which all wider ones keep 95 %.
template <typename Vrr>
int knee(const Vrr& vrr) {
  int mantissa = 12;
  while (mantissa > 1 && vrr(mantissa - 1) >= 0.95) --mantissa;
  return mantissa;
}

int measured_knee(const MacDesign& mac, std::int64_t length) {
  std::vector<int> widths;
  for (int m = 1; m <= 11; ++m) widths.push_back(m);
  const auto result = measured(mac, length, widths, 768);
  return knee([&](int m) { return result[static_cast<std::size_t>(m - 1)].vrr->value; });
}

TEST(Measure, kneesAgreeWithAPlainMonteCarlo) {
  const MacDesign nearest = e5m2_mac();
  const MacDesign cutting = e5m2_mac(RoundingMode::TowardZero);
  const MacDesign aligned = e5m2_mac(RoundingMode::TruncateAligned);
  for (const int length : {64, 512, 2048}) {
    const int trials = 300000 / length;
    const auto plain = [&](Plain adder, int chunk) {
      return knee([&](int m) { return plain_vrr(length, m, adder, chunk, trials); });
    };
    EXPECT_NEAR(measured_knee(nearest, length), plain(Plain::NearestEven, 0), 1) << length;
    EXPECT_NEAR(measured_knee(chunked(nearest, 64), length), plain(Plain::NearestEven, 64), 1);
    EXPECT_NEAR(measured_knee(cutting, length), plain(Plain::Cut, 0), 1) << length;
    if (length > 512) continue;
    EXPECT_NEAR(measured_knee(aligned, length), plain(Plain::CutAligned, 0), 1) << length;
  }
}

TEST(MeasureOperands, columnsAreGivenAndRowsAreTheBlocks) {
  OperandMatrix a, b;
  const MacDesign mac = e5m2_mac();
  const GaussianOperands operands(mac.a, mac);
  operands.fill_rows(20, 300, 1, a);
  operands.fill_columns(300, 8, 2, b);
  const std::vector<int> widths = {3, 9};
  const auto designs = measured_designs(mac, std::nullopt, widths);
  const auto all = measure_operands(designs, a, b, 300, {});
  EXPECT_EQ(all[0].trials, 160);
  EXPECT_LT(all[0].vrr->value, 1);
  EXPECT_LT(all[1].nmse->value, 1e-3);
  EXPECT_EQ(measure_operands(designs, a, b, 100, {})[0].length, 100);
  EXPECT_EQ(nonzero_ratio(a, b, 300), 1);
  a.rows = 1;  // a single block has no interval
  EXPECT_FALSE(measure_operands(designs, a, b, 300, {})[0].vrr->low.has_value());
}

/// The row of observations.csv for a step, layer and pass, by column.
std::map<std::string, std::string> observation(const std::filesystem::path& run,
                                               const std::string& key) {
  std::istringstream file(read_file(run / "observations.csv"));
  std::string header, line;
  std::getline(file, header);
  while (std::getline(file, line) && !line.starts_with(key)) continue;
  std::istringstream names(header), values(line);
  std::map<std::string, std::string> row;
  for (std::string name, value; std::getline(names, name, ',');) {
    std::getline(values, value, ',');
    row[name] = value;
  }
  return row;
}

TEST(ReplayedStep, givesTheOperandsThatTheRunMultiplied) {
  const TinyRun folder;
  RunOptions options;
  options.config = folder / "run.toml";
  options.out = folder / "out";
  options.quiet = true;
  options.threads = 1;
  run_experiment(options);
  // Only the first checkpoint stays: the step after it is one that the run observed.
  for (const auto& entry : std::filesystem::directory_iterator(folder / "out/checkpoint")) {
    if (entry.path().filename() != "step-0") std::filesystem::remove_all(entry.path());
  }
  const ReplayedStep step(folder / "out");
  EXPECT_EQ(step.number(), 1);
  std::vector<std::string> seen;
  step.run([&](const GemmRequest& gemm) {
    seen.push_back(gemm.layer + " " + std::string(to_string(gemm.pass)));
    if (gemm.layer != "fc1" || gemm.pass != Pass::Gradient) return;
    const SampledOperands operands = sample_operands(gemm, *gemm.mac, {});
    const auto designs = measured_designs(*gemm.mac, step.config().array, {});
    const auto result = measure_operands(designs, operands.a, operands.b, gemm.a.columns(), {});
    const auto row = observation(folder / "out", "1,fc1,GRAD");
    EXPECT_NEAR(result[0].vrr->value, std::stod(row.at("vrr")), 1e-9);
    EXPECT_NEAR(result[0].nmse->value / std::stod(row.at("nmse")), 1, 1e-9);
    EXPECT_EQ(*result[0].full_swamping, std::stod(row.at("full_swamping")));
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"conv1 FWD", "fc1 FWD", "fc1 GRAD", "fc1 BWD",
                                            "conv1 GRAD"}));
}

TEST(ReplayedStep, refusesFoldersWithoutARunOrACheckpoint) {
  const TinyRun folder;
  expect_error([&] { ReplayedStep(folder / "none"); }, {"--run", "none", "no such folder"});
  expect_error([&] { ReplayedStep{folder.path()}; }, {"--run", "config.toml"});
  folder.write("bare/config.toml", TinyRun::run_file());
  folder.write("bare/tiny.toml", read_file(folder / "tiny.toml"));
  folder.write("bare/images/none", "");
  expect_error([&] { ReplayedStep(folder / "bare"); }, {"--run", "bare", "checkpoint"});
}

}  // namespace
}  // namespace narrowmac
