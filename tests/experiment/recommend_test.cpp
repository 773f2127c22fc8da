#include "sim/experiment/recommend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "sim/experiment/files.h"
#include "sim/experiment/json.h"
#include "sim/experiment/recommend_files.h"
#include "tests/experiment/expect_error.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

namespace fs = std::filesystem;
using Role = TrainedDesign::Role;

/// A network that loses `steepness` times 4 to the missing bits in the pass that misses most.
struct SyntheticNetwork {
  PassMantissas needed;
  double steepness = 0.004;
  [[nodiscard]] double loss(const PassMantissas& mantissas) const {
    double worst = 0;
    for (std::size_t pass = 0; pass < 3; ++pass) {
      if (mantissas[pass] == 0) continue;
      worst = std::max(worst, steepness * std::pow(4.0, needed[pass] - mantissas[pass]));
    }
    return worst;
  }
};

struct Searched {
  std::vector<Trial> trials;  ///< in the order in which they were wanted
  SearchStep end;
  int rounds = 0;
  [[nodiscard]] bool has(const PassMantissas& mantissas, bool verifies) const {
    const Trial trial{mantissas, verifies};
    return std::find(trials.begin(), trials.end(), trial) != trials.end();
  }
};

/// A search to its end: what it wants is judged by `keeps`.
template <typename Keeps>
Searched search_all(const PassMantissas& start, const SearchLimits& limits, const Keeps& keeps) {
  Searched searched;
  for (;;) {
    searched.end = search_step(start, limits, [&](const Trial& trial) -> std::optional<bool> {
      if (!searched.has(trial.mantissas, trial.verifies)) return std::nullopt;
      return keeps(trial);
    });
    if (searched.end.wanted.empty()) return searched;
    ++searched.rounds;
    for (const Trial& trial : searched.end.wanted) {
      EXPECT_FALSE(searched.has(trial.mantissas, trial.verifies)) << "a trial is asked for twice";
      searched.trials.push_back(trial);
    }
  }
}

TEST(MantissaSearch, EndsAtTheNarrowestWidthsWhateverItStartsFrom) {
  struct Case {
    const char* what;
    PassMantissas start, needed;
    double budget;
    PassMantissas edge;
  };
  // Loss 0.004 at the needed widths, 0.016 a bit below any of them.
  const Case cases[] = {
      {"the knees are right", {5, 4, 7}, {5, 4, 7}, 0.005, {5, 4, 7}},
      {"one pass needs less", {5, 4, 7}, {5, 4, 3}, 0.005, {5, 4, 3}},
      {"every pass needs another number less", {5, 4, 7}, {4, 1, 2}, 0.005, {4, 1, 2}},
      {"the knees are too narrow by two bits", {5, 4, 7}, {7, 6, 9}, 0.005, {7, 6, 9}},
      {"some are too narrow, some too wide", {4, 6, 6}, {6, 6, 4}, 0.005, {6, 6, 4}},
      {"a larger budget buys a bit", {5, 4, 7}, {5, 4, 7}, 0.016, {4, 3, 6}},
      {"a budget just below does not", {5, 4, 7}, {5, 4, 7}, 0.0159, {5, 4, 7}},
      {"a pass without sums stays out of it", {5, 0, 7}, {4, 9, 6}, 0.005, {4, 0, 6}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const SyntheticNetwork network{c.needed};
    const Searched searched = search_all(
        c.start, {}, [&](const Trial& trial) { return network.loss(trial.mantissas) <= c.budget; });
    ASSERT_TRUE(searched.end.edge.has_value());
    EXPECT_EQ(*searched.end.edge, c.edge);
    EXPECT_TRUE(searched.has(c.edge, true)) << "recommended without verification";
    ASSERT_TRUE(searched.end.one_bit_less.has_value());
    EXPECT_EQ(*searched.end.one_bit_less, shifted(c.edge, -1, {}));
    EXPECT_TRUE(searched.has(*searched.end.one_bit_less, true));
  }
}

TEST(MantissaSearch, TheWidestPassIsNarrowedFirst) {
  const Searched searched = search_all({5, 4, 7}, {}, [](const Trial&) { return true; });
  ASSERT_GE(searched.trials.size(), 2U);
  EXPECT_EQ(searched.trials[1].mantissas, (PassMantissas{5, 4, 5}));
}

TEST(MantissaSearch, LookingAheadFindsTheSameInFewerRounds) {
  const SyntheticNetwork network{{4, 1, 3}};
  const auto keeps = [&](const Trial& trial) { return network.loss(trial.mantissas) <= 0.005; };
  SearchLimits ahead;
  ahead.ahead = true;
  const Searched one_by_one = search_all({5, 4, 7}, {}, keeps);
  const Searched looking = search_all({5, 4, 7}, ahead, keeps);
  EXPECT_EQ(looking.end.edge, one_by_one.end.edge);
  EXPECT_EQ(looking.end.one_bit_less, one_by_one.end.one_bit_less);
  EXPECT_LT(looking.rounds, one_by_one.rounds);
}

TEST(MantissaSearch, VerificationHasTheLastWord) {
  // The search's seed is lucky: all seeds together need two bits more than it finds.
  const Searched wider = search_all({5, 5, 5}, {}, [](const Trial& trial) {
    return trial.mantissas[0] >= (trial.verifies ? 6 : 4);
  });
  EXPECT_EQ(wider.end.edge->front(), 6);
  EXPECT_EQ(wider.end.one_bit_less->front(), 5);
  // And unlucky: they need two bits less.
  const Searched narrower = search_all({5, 5, 5}, {}, [](const Trial& trial) {
    return trial.mantissas[0] >= (trial.verifies ? 3 : 5);
  });
  EXPECT_EQ(narrower.end.edge->front(), 3);
  EXPECT_EQ(narrower.end.one_bit_less->front(), 2);
}

TEST(MantissaSearch, NothingNarrowerThanOneBitIsTried) {
  const Searched searched = search_all({3, 2, 2}, {}, [](const Trial&) { return true; });
  EXPECT_EQ(*searched.end.edge, (PassMantissas{1, 1, 1}));
  EXPECT_FALSE(searched.end.one_bit_less.has_value());
  for (const Trial& trial : searched.trials) {
    EXPECT_GE(*std::min_element(trial.mantissas.begin(), trial.mantissas.end()), 1);
  }
}

TEST(MantissaSearch, WithoutASolutionItEndsWithoutAnEdge) {
  SearchLimits limits;
  limits.bits = 3;
  const Searched searched = search_all({5, 4, 21}, limits, [](const Trial&) { return false; });
  EXPECT_FALSE(searched.end.edge.has_value());
  EXPECT_FALSE(searched.end.one_bit_less.has_value());
  EXPECT_TRUE(searched.has({11, 10, 23}, true)) << "three bits by the search, three more by "
                                                   "verification, none beyond 23";
  EXPECT_LE(searched.trials.size(), 9U);
}

TEST(MantissaSearch, ALossThatIsNotMonotoneStillEndsAtAVerifiedEdge) {
  // What is found fails although one bit less happens to hold.
  const Searched searched = search_all({6, 6, 6}, {}, [](const Trial& trial) {
    return trial.verifies ? trial.mantissas[0] != 6 : trial.mantissas[0] >= 6;
  });
  EXPECT_EQ(searched.end.edge->front(), 7);
  EXPECT_EQ(searched.end.one_bit_less->front(), 6);
}

TEST(PairedLoss, IsThatOfStudentsTOverSeedsWithThemselves) {
  const double baseline[] = {0.90, 0.80, 0.85};
  const double candidate[] = {0.89, 0.80, 0.83};
  const SeedMean loss = paired_loss(baseline, candidate);
  EXPECT_NEAR(loss.mean, 0.01, 1e-12);
  // Losses 0.01, 0, 0.02: deviation 0.01, t with two degrees of freedom 4.3027.
  EXPECT_NEAR(*loss.standard_error, 0.01 / std::sqrt(3.0), 1e-12);
  EXPECT_NEAR(*loss.high - loss.mean, 4.302653 * 0.01 / std::sqrt(3.0), 1e-7);
  EXPECT_NEAR(loss.mean - *loss.low, *loss.high - loss.mean, 1e-12);
  const SeedMean one = paired_loss(std::span(baseline).first(1), std::span(candidate).first(1));
  EXPECT_FALSE(one.low.has_value()) << "one seed says nothing of the spread";
}

TEST(PairedLoss, AVerdictClaimsNoMoreThanTheInterval) {
  const SeedMean loss{0.004, 0.001, 0.001, 0.007};
  EXPECT_EQ(budget_verdict(loss, 0.008), BudgetVerdict::Within);
  EXPECT_EQ(budget_verdict(loss, 0.005), BudgetVerdict::MeanWithin);
  EXPECT_EQ(budget_verdict(loss, 0.003), BudgetVerdict::MeanBeyond);
  EXPECT_EQ(budget_verdict(loss, 0.0005), BudgetVerdict::Beyond);
  EXPECT_EQ(budget_verdict({0.001, {}, {}, {}}, 0.005), BudgetVerdict::MeanWithin) << "one seed";
  // Deviation 0.01, distance 0.01: 1.96 / sqrt(n) < 1 for large n; with t, 7 seeds.
  EXPECT_EQ(seeds_to_tell({0.0, 0.01 / std::sqrt(3.0), {}, {}}, 3, 0.01), 7);
  EXPECT_EQ(seeds_to_tell({0.005, 0.001, {}, {}}, 3, 0.005), std::nullopt);
}

TEST(Budget, IsAFractionOrAPercentage) {
  EXPECT_DOUBLE_EQ(parse_budget("0.5%"), 0.005);
  EXPECT_DOUBLE_EQ(parse_budget("0.005"), 0.005);
  EXPECT_DOUBLE_EQ(parse_budget("20%"), 0.2);
  for (const char* text :
       {"", "%", "0", "0%", "-1%", "0.5", "21%", "1 %", "half", "0.5%%", "nan"}) {
    expect_error([&] { (void)parse_budget(text); }, {"--budget", "0.5% or 0.005"});
  }
}

RecommendOptions options_of(const TinyRun& run) {
  RecommendOptions options;
  options.config = run / "run.toml";
  options.set = {"training.epochs=1", "data.train_images=60"};
  options.budget = 0.05;
  options.out = run / "recommendation";
  options.seed_count = 2;
  options.chunks = {0, 16};
  options.jobs = 2;
  options.quiet = true;
  options.program = NARROWMAC_RUN_PROGRAM;
  return options;
}

/// One recommendation for several tests: it is twenty processes.
class Recommendation : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    run_ = std::make_unique<TinyRun>();
    report_ = recommend(options_of(*run_));
  }
  static void TearDownTestSuite() { run_.reset(); }

  inline static std::unique_ptr<TinyRun> run_;
  inline static RecommendReport report_;
};

TEST_F(Recommendation, IsVerifiedAndIsARunFile) {
  const RecommendReport& report = report_;
  ASSERT_TRUE(report.recommended.has_value()) << report.verdict;
  const TrainedDesign& design = report.designs[*report.recommended];
  EXPECT_EQ(design.role, Role::Recommended);
  EXPECT_EQ(design.seeds, (std::vector<std::int64_t>{3, 4}));
  EXPECT_TRUE(design.keeps_budget());
  ASSERT_EQ(report.designs.front().role, Role::Baseline);
  double loss = 0;
  for (std::size_t i = 0; i < 2; ++i) {
    loss += (*report.designs.front().accuracies[i] - *design.accuracies[i]) / 2;
  }
  EXPECT_NEAR(design.loss->mean, loss, 1e-12) << "paired by seed";
  const RunConfig config = read_run_config(*run_ / "recommendation/recommended.toml");
  for (const Pass pass : kPasses) {
    EXPECT_EQ(config.training.macs.find("", pass)->accumulator.format,
              design.accumulators.format(pass));
  }
  // The verified runs are those of the file, but for the seed and the name.
  RunConfig seeded = config;
  seeded.training.seed = 4;
  EXPECT_EQ(run_hash(seeded), design.runs[1]);
}

TEST_F(Recommendation, StartsFromAKneeOfEveryGemmForEveryChunkLength) {
  const RecommendReport& report = report_;
  EXPECT_EQ(report.knees.size(), 2 * 5U) << "FWD and GRAD of conv1, three passes of fc1";
  ASSERT_EQ(report.starts.size(), 2U);
  for (const GemmKnee& knee : report.knees) {
    ASSERT_TRUE(knee.mantissa.has_value()) << knee.layer;
    EXPECT_GE(*knee.vrr, kKneeVrr);
    EXPECT_LE(*knee.nmse, kKneeNmse);
    const bool less_suffices =
        knee.vrr_less && *knee.vrr_less >= kKneeVrr && *knee.nmse_less <= kKneeNmse;
    EXPECT_FALSE(less_suffices);
    const ChunkStart& start = report.starts[knee.chunk == 0 ? 0 : 1];
    EXPECT_LE(*knee.mantissa, start.accumulators.mantissas[static_cast<std::size_t>(knee.pass)]);
  }
}

TEST_F(Recommendation, ResumedComputesNothingAgainAndSaysTheSame) {
  const TinyRun& run = *run_;
  RecommendOptions options = options_of(run);
  expect_error([&] { (void)recommend(options); }, {"found a recommendation", "--resume"});
  const std::string csv = read_file(run / "recommendation/recommend.csv");
  const std::string json = read_file(run / "recommendation/recommend.json");
  EXPECT_EQ(csv, designs_csv(report_));
  // As if it had been stopped: a run of the search is missing, and so are the results.
  fs::remove_all(run / "recommendation/runs" / report_.searched.back().runs.front());
  for (const char* name : {"recommend.csv", "recommend.json", "recommended.toml"}) {
    fs::remove(run / "recommendation" / name);
  }
  options.resume = true;
  (void)recommend(options);
  EXPECT_EQ(read_file(run / "recommendation/recommend.csv"), csv);
  EXPECT_EQ(read_file(run / "recommendation/recommend.json"), json);
  EXPECT_TRUE(fs::exists(run / "recommendation/recommended.toml"));
  options.program = "/bin/false";  // whatever is started fails
  EXPECT_EQ(recommend_json(recommend(options)).to_text(), json);
}

TEST_F(Recommendation, WidensExponentsThatDoNotHoldTheSums) {
  const RunConfig narrow =
      read_run_config(*run_ / "run.toml", {"mac.accumulator=e2m3", "training.epochs=1"});
  const std::vector<StepGemm> gemms = step_gemms(narrow);
  const std::vector<std::int64_t> chunks = {0};
  const fs::path baseline = *run_ / "recommendation/runs" / report_.designs.front().runs.front();
  const std::vector<GemmKnee> knees = measure_knees(baseline, narrow, gemms, chunks, true);
  const PassAccumulators start = widest_knees(knees, narrow, gemms, 0);
  // Scaled gradients are far beyond e2, whose largest value is below 4.
  EXPECT_GE(start.exponents[static_cast<std::size_t>(Pass::Backward)], 4);
  for (const GemmKnee& knee : knees) {
    EXPECT_NE(knee.exponent, 3) << "a new exponent without a bit to spare";
    EXPECT_TRUE(knee.mantissa.has_value());
  }
}

TEST_F(Recommendation, TrainsNoChunksThatAreDearerWhateverTheirMantissasAre) {
  const ChunkStart& chunked = report_.starts[1];
  const TrainedDesign& design = report_.designs[*report_.recommended];
  ASSERT_TRUE(chunked.least.step.has_value()) << chunked.least.reason;
  EXPECT_EQ(design.accumulators.chunk, 0);
  EXPECT_GT(chunked.least.energy_relative, design.price.energy_relative);
  EXPECT_FALSE(chunked.trained);
  EXPECT_NE(report_.verdict.find("No chunk length was trained"), std::string::npos);
}

TEST(Recommend, LayersWithMacsOfTheirOwnKeepThem) {
  const TinyRun run;
  run.write("own.toml",
            TinyRun::run_file("[[mac.layer]]\nname = \"fc1\"\naccumulator = \"e6m7\"\n"));
  const RunConfig config = read_run_config(run / "own.toml");
  const std::vector<StepGemm> gemms = step_gemms(config);
  PassAccumulators accumulators;
  accumulators.exponents = {6, 6, 6};
  accumulators.mantissas = {3, 0, 4};  // conv1 has no BWD
  const RunConfig narrow = with_accumulators(config, accumulators);
  const auto mantissa = [&](const RunConfig& of, const char* layer, Pass pass) {
    return of.training.macs.find(layer, pass)->accumulator.format.fraction_bits;
  };
  EXPECT_EQ(mantissa(narrow, "conv1", Pass::Forward), 3);
  EXPECT_EQ(mantissa(narrow, "conv1", Pass::Gradient), 4);
  EXPECT_EQ(mantissa(narrow, "fc1", Pass::Forward), 7);
  EXPECT_EQ(mantissa(with_wide_accumulators(config, 0), "fc1", Pass::Forward), 23);
  EXPECT_EQ(std::count_if(gemms.begin(), gemms.end(),
                          [](const StepGemm& gemm) { return gemm.has_own_mac; }),
            3);
}

TEST(Recommend, LayersWithFormatsOfTheirOwnKeepTheirOperandsInEveryDesign) {
  const TinyRun run;
  run.write("own.toml",
            TinyRun::run_file("[[formats.layer]]\nname = \"fc1\"\nweight = \"e4m3\"\n"));
  const RunConfig config = read_run_config(run / "own.toml");
  for (const StepGemm& gemm : step_gemms(config)) EXPECT_FALSE(gemm.has_own_mac) << gemm.layer;
  PassAccumulators accumulators;
  accumulators.exponents = {6, 6, 6};
  accumulators.mantissas = {3, 4, 5};
  for (const RunConfig& design :
       {with_accumulators(config, accumulators), with_wide_accumulators(config, 16)}) {
    const MacAssignment& macs = design.training.macs;
    for (const Pass pass : kPasses) {
      const MacDesign& own = *macs.find("fc1", pass);
      EXPECT_EQ(own.accumulator, macs.find("conv1", pass)->accumulator);
      EXPECT_EQ(own.chunk, macs.find("conv1", pass)->chunk);
      EXPECT_EQ(own.b, NumberFormat::parse(pass == Pass::Gradient ? "e5m2" : "e4m3"));
      EXPECT_EQ(own.a, NumberFormat::parse("e5m2"));
    }
  }
}

TEST(Recommend, ChunksAreThoseThatTheArrayCanAdd) {
  const TinyRun run;
  const auto chunks = [&](const std::vector<std::string>& set) {
    const RunConfig config = read_run_config(run / "run.toml", set);
    return possible_chunks(config, step_gemms(config));
  };
  using Chunks = std::vector<std::int64_t>;
  EXPECT_EQ(chunks({}), (Chunks{0, 16, 64, 256}));
  EXPECT_EQ(chunks({"mac.chunk={length=8,accumulator=\"e6m9\"}"}), (Chunks{0, 8, 16, 64, 256}));
  EXPECT_EQ(chunks({"training.batch=1"}), (Chunks{0, 16, 64})) << "no sum is longer than 144";
  EXPECT_EQ(chunks({"array.dataflow=ws", "array.psum=chained"}), (Chunks{0}));
  EXPECT_EQ(
      chunks({"array.dataflow=ws", "array.rows=24", "mac.chunk={length=24,accumulator=\"e6m9\"}"}),
      (Chunks{24}))
      << "a buffered column adds its rows";
}

TEST(Recommend, RunsWithoutAMantissaToChooseAreRefused) {
  const TinyRun run;
  const auto refuse = [&](const std::vector<std::string>& set,
                          const std::vector<std::string>& parts) {
    RecommendOptions options = options_of(run);
    options.set.insert(options.set.end(), set.begin(), set.end());
    expect_error([&] { (void)recommend(options); }, parts);
    EXPECT_FALSE(fs::exists(options.out));
  };
  refuse({"mac=false"}, {"run.toml", "found no [mac]"});
  refuse({"mac.accumulator=fx24.8", "mac.overflow=saturate"}, {"run.toml", "fx24.8", "eXmY"});
  refuse({"mac.order=exact"}, {"run.toml", "order \"exact\""});
  refuse({"mac.accumulator_mantissa=predicted"}, {"every layer has a MAC of its own"});
}

TEST(Recommend, ABaselineThatCannotTrainIsRefused) {
  const TinyRun run;
  RecommendOptions options = options_of(run);
  options.set.emplace_back("training.learning_rate=0");
  expect_error([&] { (void)recommend(options); }, {"baseline", "10 classes"});
  options.out = run / "diverged";
  options.set.back() = "training.learning_rate=1e8";
  options.set.insert(options.set.end(), {"training.loss_scale=1", "formats=false"});
  expect_error([&] { (void)recommend(options); }, {"baseline", "diverged with seed 3"});
}

TEST(Recommend, AFolderWithOtherThingsIsRefused) {
  const TinyRun run;
  run.write("recommendation/thesis.tex", "text");
  expect_error([&] { (void)recommend(options_of(run)); }, {"thesis.tex", "no recommendation"});
}

}  // namespace
}  // namespace narrowmac
