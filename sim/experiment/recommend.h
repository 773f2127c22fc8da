#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/experiment/paired_loss.h"
#include "sim/experiment/recommend_design.h"
#include "sim/experiment/recommend_knees.h"
#include "sim/experiment/recommend_search.h"
#include "sim/experiment/step_cost.h"

namespace narrowmac {

struct RecommendOptions {
  std::filesystem::path config;
  std::vector<std::string> set;  ///< KEY=VALUE, applied in order to the run file
  double budget = 0;             ///< test accuracy that may be lost, a fraction
  std::filesystem::path out;     ///< empty: recommendations/NAME, with the run's name
  bool resume = false;           ///< goes on in a directory that already holds a recommendation
  bool quiet = false;            ///< no progress on stderr
  int jobs = 0;                  ///< runs at a time; 0: one per core
  /// Of the verification; empty: `seed_count`, from the run file's on. The search has one more.
  std::vector<std::int64_t> seeds;
  int seed_count = 3;
  /// Chunk lengths that are looked at, 0 for sums in sequence; empty: possible_chunks().
  std::vector<std::int64_t> chunks;
  std::filesystem::path program = "/proc/self/exe";  ///< what runs a point: `PROGRAM run ...`
};

/// What a design's runs gave, seed by seed.
struct TrainedDesign {
  /// Baseline: fp32 accumulators. Edge: the narrowest verified one of an order of adding that is
  /// not the recommended. Tried: verified on the way. Searched: with the search's seed only.
  enum class Role : std::uint8_t {
    Baseline,
    Recommended,
    OneBitLess,
    Edge,
    Tried,
    Searched
  } role = Role::Tried;
  PassAccumulators accumulators;  ///< Baseline: the chunk only
  std::vector<std::int64_t> seeds;
  std::vector<std::string> runs;                  ///< folders below runs/, one per seed
  std::vector<std::optional<double>> accuracies;  ///< fractions; null if it diverged
  int diverged = 0;                               ///< runs
  std::optional<SeedMean> accuracy;               ///< absent if one has none
  std::optional<SeedMean> loss;                   ///< against the baseline, likewise
  std::optional<BudgetVerdict> verdict;           ///< absent: baseline, or diverged
  RunCost price;
  [[nodiscard]] bool keeps_budget() const { return verdict && narrowmac::keeps_budget(*verdict); }
};
std::string_view to_string(TrainedDesign::Role role);

/// An order of adding, with the mantissas of the widest knees.
struct ChunkStart {
  PassAccumulators accumulators;
  RunCost least;  ///< with one bit everywhere: no search can get below
  RunCost price;
  bool trained = false;  ///< the search began from it
};

struct RecommendReport {
  std::filesystem::path out;
  std::string name;
  double budget = 0;
  std::vector<std::int64_t> seeds;
  std::int64_t search_seed = 0;
  std::vector<GemmKnee> knees;
  std::vector<ChunkStart> starts;
  std::vector<TrainedDesign> designs;  ///< with all seeds: the baseline first
  std::vector<TrainedDesign> searched;
  std::optional<std::size_t> recommended, one_bit_less;  ///< of `designs`
  std::string verdict;                                   ///< in sentences; empty if interrupted
  int signal = 0;  ///< not 0: stopped by this signal, --resume goes on
};

/// "1%" or "0.01" as a fraction; nothing for other text.
std::optional<double> parse_share(std::string_view text);
/// Parses "0.5%" or "0.005": above 0 and at most 20 %. Throws Error.
double parse_budget(const std::string& text);

/// `narrowmac recommend`: measures knees, searches, verifies, and writes recommended.toml,
/// recommend.csv, recommend.json, knees.csv and the runs into the directory. Throws Error for
/// everything that is wrong with the input, and for a baseline that diverges or learns nothing.
RecommendReport recommend(const RecommendOptions& options);

}  // namespace narrowmac
