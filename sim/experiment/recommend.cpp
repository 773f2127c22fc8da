#include "sim/experiment/recommend.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "models/design/error.h"
#include "sim/experiment/files.h"
#include "sim/experiment/recommend_files.h"
#include "sim/experiment/recommend_runs.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

using Role = TrainedDesign::Role;

constexpr double kLargestBudget = 0.2;
constexpr const char* kRuns = "runs";
/// The search's seed is so far from the run file's: it stays when there are more seeds, so that
/// --resume finds its runs.
constexpr std::int64_t kSearchSeed = 1000;

/// One order of adding, on its way from the knees to the edge.
struct ChunkSearch {
  PassAccumulators start;
  std::vector<Trial> asked;  ///< in this order
  SearchStep step;
  [[nodiscard]] PassAccumulators with(const PassMantissas& mantissas) const {
    PassAccumulators accumulators = start;
    accumulators.mantissas = mantissas;
    return accumulators;
  }
};

class Recommender {
 public:
  explicit Recommender(const RecommendOptions& options);
  RecommendReport run();

 private:
  void check_directory() const;
  bool train_baseline();
  void check_baseline();
  void choose_starts();
  bool search();
  bool search_all();
  void begin_search(std::size_t start);
  void conclude();
  void recommend_cheapest_edge();

  [[nodiscard]] const std::vector<std::int64_t>& seeds_of(const Trial& trial) const {
    return trial.verifies ? report_.seeds : search_seeds_;
  }
  [[nodiscard]] std::optional<bool> known(const ChunkSearch& search, const Trial& trial);
  [[nodiscard]] RunCost price(const RunConfig& config) const {
    RunPlan plan;
    plan.gemms = planned_step(config);
    return price_run(config, plan);
  }
  [[nodiscard]] RunCost price(const PassAccumulators& accumulators) const {
    return price(with_accumulators(config_, accumulators));
  }
  [[nodiscard]] double cost_of(const PassAccumulators& accumulators, const RunCost& price,
                               bool priced) const;
  void say(const ChunkSearch& search, const Trial& trial);

  const RecommendOptions& options_;
  RunConfig config_, baseline_;
  std::vector<StepGemm> gemms_;
  std::int64_t classes_ = 0;
  RecommendReport report_;
  std::vector<std::int64_t> search_seeds_;
  std::vector<std::int64_t> chunks_;
  std::optional<RecommendRuns> runs_;
  std::vector<ChunkSearch> searches_;
  int round_ = 1;
  std::optional<std::size_t> later_;  ///< of report_.starts: searched if it can be the cheapest
};

void set_seeds(const RecommendOptions& options, std::int64_t first, RecommendReport& report) {
  report.seeds = options.seeds;
  if (report.seeds.empty()) {
    for (int i = 0; i < options.seed_count; ++i) report.seeds.push_back(first + i);
  }
  const auto is_taken = [&](std::int64_t seed) {
    return std::find(report.seeds.begin(), report.seeds.end(), seed) != report.seeds.end();
  };
  report.search_seed = first + kSearchSeed;
  while (is_taken(report.search_seed)) ++report.search_seed;
}

Recommender::Recommender(const RecommendOptions& options)
    : options_(options), config_(read_run_config(options.config, options.set)) {
  gemms_ = step_gemms(config_);
  check_recommendable(config_, gemms_, options.config.string());
  chunks_ = options.chunks;
  for (const std::int64_t chunk : chunks_) check_chunk(config_, gemms_, chunk);
  const std::vector<std::int64_t> possible = possible_chunks(config_, gemms_);
  if (chunks_.empty()) chunks_ = possible;
  // An array that adds in chunks only adds the wide sums so, too.
  const bool in_sequence = std::find(possible.begin(), possible.end(), 0) != possible.end();
  baseline_ = with_wide_accumulators(config_, in_sequence ? 0 : config_.array.rows);
  classes_ = read_image_facts(config_.data.kind, config_.data.folder).classes;
  report_.name = config_.name;
  report_.budget = options.budget;
  report_.out = options.out.empty() ? fs::path("recommendations") / config_.name : options.out;
  set_seeds(options, static_cast<std::int64_t>(config_.training.seed), report_);
  search_seeds_ = {report_.search_seed};
  runs_.emplace(options, config_, baseline_, report_.out / kRuns);
}

RecommendReport Recommender::run() {
  check_directory();
  make_directories(report_.out);
  const DirectoryLock lock(report_.out);
  remove_temporaries(report_.out);
  if (!train_baseline()) return report_;
  check_baseline();
  choose_starts();
  if (!search_all()) return report_;
  conclude();
  report_.verdict = verdict_text(report_);
  write_recommendation(report_, config_);
  return report_;
}

void Recommender::check_directory() const {
  std::error_code missing;
  const fs::path& out = report_.out;
  if (fs::exists(out, missing) && !fs::is_directory(out, missing)) {
    throw Error(fmt::format("--out {}: found a file; accepted: a folder", out.string()));
  }
  const bool is_ours = fs::exists(out / kRuns / "sweep.csv", missing);
  if (is_ours && !options_.resume) {
    throw Error(fmt::format(
        "--out {}: found a recommendation; accepted: --resume to go on with it (finished runs are "
        "kept), or a new folder",
        out.string()));
  }
  if (is_ours) return;
  for (const auto& entry : fs::directory_iterator(out, missing)) {
    const std::string name = entry.path().filename().string();
    if (name.front() == '.' || name == kRuns) continue;
    throw Error(
        fmt::format("--out {}: found {} and no {}/sweep.csv, so this is no recommendation; "
                    "accepted: a new or empty folder, or a recommendation's",
                    out.string(), name, kRuns));
  }
}

bool Recommender::train_baseline() {
  for (const std::int64_t seed : report_.seeds) runs_->add(std::nullopt, seed);
  runs_->add(std::nullopt, report_.search_seed);
  report_.signal = runs_->train("baseline");
  return report_.signal == 0;
}

void Recommender::check_baseline() {
  std::vector<std::int64_t> seeds = report_.seeds;
  seeds.push_back(report_.search_seed);
  const TrainedDesign all = runs_->summarise(std::nullopt, seeds);
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    if (all.accuracies[i]) continue;
    throw Error(fmt::format(
        "{}: the baseline, with fp32 accumulators, diverged with seed {} ({}); accepted: a run "
        "that trains when its accumulators are wide",
        options_.config.string(), seeds[i], runs_->directory_of(all.runs[i]).string()));
  }
  const double chance = 1.0 / static_cast<double>(classes_);
  if (all.accuracy->mean - report_.budget > chance) return;
  throw Error(fmt::format(
      "{}: the baseline, with fp32 accumulators, has a test accuracy of {:.1f} %; with a budget of "
      "{:.3g} % the guess of one of {} classes would do; accepted: a run that learns more",
      options_.config.string(), 100 * all.accuracy->mean, 100 * report_.budget, classes_));
}

/// What designs are compared by, less is better: energy, or, where it is not known of all, the mean
/// mantissa over the products of a step.
double Recommender::cost_of(const PassAccumulators& accumulators, const RunCost& price,
                            bool priced) const {
  if (priced) return price.energy_relative;
  double bits = 0, products = 0;
  for (const StepGemm& gemm : gemms_) {
    if (gemm.has_own_mac) continue;
    const auto macs = static_cast<double>(gemm.shape.macs());
    bits += macs * accumulators.mantissas[static_cast<std::size_t>(gemm.pass)];
    products += macs;
  }
  return bits / products;
}

/// Sums in sequence, and the cheapest of the chunk lengths; that one later if both have a price,
/// since it may turn out to be dearer whatever its mantissas are.
void Recommender::choose_starts() {
  const fs::path reference = runs_->directory_of(runs_->add(std::nullopt, report_.search_seed));
  report_.knees = measure_knees(reference, config_, gemms_, chunks_, options_.quiet);
  bool priced = true;
  for (const std::int64_t chunk : chunks_) {
    ChunkStart start;
    start.accumulators = widest_knees(report_.knees, config_, gemms_, chunk);
    start.price = price(start.accumulators);
    PassAccumulators least = start.accumulators;
    least.mantissas = shifted(least.mantissas, -SearchLimits{}.widest, {});
    start.least = price(least);
    priced = priced && start.price.step && start.least.step;
    report_.starts.push_back(start);
  }
  std::optional<std::size_t> sequential, best;
  const auto cost = [&](std::size_t i) {
    return cost_of(report_.starts[i].accumulators, report_.starts[i].price, priced);
  };
  for (std::size_t i = 0; i < report_.starts.size(); ++i) {
    if (chunks_[i] == 0) {
      sequential = i;
    } else if (!best || cost(i) < cost(*best)) {
      best = i;
    }
  }
  if (sequential) begin_search(*sequential);
  if (!best) return;
  if (sequential && priced) {
    later_ = best;
  } else {
    begin_search(*best);
  }
}

void Recommender::begin_search(std::size_t start) {
  report_.starts[start].trained = true;
  searches_.emplace_back();
  searches_.back().start = report_.starts[start].accumulators;
}

bool Recommender::search_all() {
  if (!search()) return false;
  if (!later_) return true;
  const ChunkSearch& first = searches_.front();
  if (first.step.edge) {
    const RunCost edge = price(first.with(*first.step.edge));
    const bool all_dearer =
        std::all_of(report_.starts.begin(), report_.starts.end(), [&](const ChunkStart& start) {
          return start.trained || start.least.energy_relative >= edge.energy_relative;
        });
    if (all_dearer) return true;
  }
  begin_search(*later_);
  return search();
}

std::optional<bool> Recommender::known(const ChunkSearch& search, const Trial& trial) {
  if (std::find(search.asked.begin(), search.asked.end(), trial) == search.asked.end()) {
    return std::nullopt;
  }
  return runs_->summarise(search.with(trial.mantissas), seeds_of(trial)).keeps_budget();
}

void Recommender::say(const ChunkSearch& search, const Trial& trial) {
  const TrainedDesign design = runs_->summarise(search.with(trial.mantissas), seeds_of(trial));
  const std::string loss =
      design.loss ? fmt::format("{:.2f} points lost", 100 * design.loss->mean)
                  : fmt::format("{} of {} diverged", design.diverged, design.seeds.size());
  spdlog::info("{}: {} ({}), {} the budget", describe(design.accumulators), loss,
               trial.verifies ? fmt::format("seeds {}", fmt::join(design.seeds, ", "))
                              : fmt::format("seed {}", design.seeds.front()),
               design.keeps_budget() ? "within" : "beyond");
}

/// All searches that have begun, side by side, to their ends.
bool Recommender::search() {
  SearchLimits limits;
  limits.ahead = later_ || searches_.size() == 1;  // one at a time
  for (;; ++round_) {
    std::vector<std::pair<ChunkSearch*, Trial>> fresh;
    for (ChunkSearch& search : searches_) {
      search.step = search_step(search.start.mantissas, limits,
                                [&](const Trial& trial) { return known(search, trial); });
      for (const Trial& trial : search.step.wanted) {
        for (const std::int64_t seed : seeds_of(trial)) {
          runs_->add(search.with(trial.mantissas), seed);
        }
        search.asked.push_back(trial);
        fresh.emplace_back(&search, trial);
      }
    }
    if (fresh.empty()) return true;
    report_.signal = runs_->train(fmt::format("search, round {}", round_));
    if (report_.signal != 0) return false;
    if (options_.quiet) continue;
    for (const auto& [search, trial] : fresh) say(*search, trial);
  }
}

/// The search's trials in its order, then those of the verification.
std::vector<Trial> widest_verified_first(std::vector<Trial> trials) {
  const auto verified = std::stable_partition(trials.begin(), trials.end(),
                                              [](const Trial& trial) { return !trial.verifies; });
  std::sort(verified, trials.end(),
            [](const Trial& left, const Trial& right) { return left.mantissas > right.mantissas; });
  return trials;
}

/// Rows for the report.
void Recommender::conclude() {
  TrainedDesign wide = runs_->summarise(std::nullopt, report_.seeds);
  wide.role = Role::Baseline;
  wide.accumulators.chunk = baseline_.mac->chunk ? baseline_.mac->chunk->length : 0;
  wide.price = price(baseline_);
  report_.designs.push_back(wide);
  for (const ChunkSearch& search : searches_) {
    for (const Trial& trial : widest_verified_first(search.asked)) {
      TrainedDesign design = runs_->summarise(search.with(trial.mantissas), seeds_of(trial));
      design.price = price(design.accumulators);
      if (!trial.verifies) {
        design.role = Role::Searched;
        report_.searched.push_back(design);
        continue;
      }
      if (search.step.edge == trial.mantissas) design.role = Role::Edge;
      if (search.step.one_bit_less == trial.mantissas) design.role = Role::OneBitLess;
      report_.designs.push_back(design);
    }
  }
  recommend_cheapest_edge();
}

/// A design without a price is not compared with one that has one.
void Recommender::recommend_cheapest_edge() {
  std::vector<TrainedDesign>& designs = report_.designs;
  const auto is_priced_edge = [](const TrainedDesign& design) {
    return design.role == Role::Edge && design.price.step;
  };
  const bool priced = std::any_of(designs.begin(), designs.end(), is_priced_edge);
  const auto cost = [&](const TrainedDesign& design) {
    return cost_of(design.accumulators, design.price, priced);
  };
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < designs.size(); ++i) {
    if (designs[i].role != Role::Edge || (priced && !is_priced_edge(designs[i]))) continue;
    if (!best || cost(designs[i]) < cost(designs[*best])) best = i;
  }
  if (!best) return;
  report_.recommended = best;
  designs[*best].role = Role::Recommended;
  for (std::size_t i = 0; i < designs.size(); ++i) {
    const bool same_order = designs[i].accumulators.chunk == designs[*best].accumulators.chunk;
    if (designs[i].role == Role::OneBitLess && same_order) report_.one_bit_less = i;
  }
}

}  // namespace

std::string_view to_string(TrainedDesign::Role role) {
  switch (role) {
    case Role::Baseline:
      return "baseline";
    case Role::Recommended:
      return "recommended";
    case Role::OneBitLess:
      return "one bit less";
    case Role::Edge:
      return "edge";
    case Role::Tried:
      return "tried";
    case Role::Searched:
      break;
  }
  return "searched";
}

std::optional<double> parse_share(std::string_view text) {
  const bool percent = text.ends_with("%");
  const char* end = text.data() + text.size() - (percent ? 1 : 0);
  double value = 0;
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return percent ? value / 100 : value;
}

double parse_budget(const std::string& text) {
  const std::optional<double> budget = parse_share(text);
  if (!budget || !(*budget > 0 && *budget <= kLargestBudget)) {
    throw Error(
        fmt::format("--budget: found '{}'; accepted: test accuracy that may be lost, above 0 "
                    "and up to {:.0f}%, as 0.5% or 0.005",
                    text, 100 * kLargestBudget));
  }
  return *budget;
}

RecommendReport recommend(const RecommendOptions& options) { return Recommender(options).run(); }

}  // namespace narrowmac
