#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/experiment/recommend.h"
#include "sim/experiment/sweep_points.h"

namespace narrowmac {

/// The runs of a recommendation: one sweep directory whose points come as the search asks for them.
class RecommendRuns {
 public:
  /// `config` and `baseline` must outlive it. The runs are below `folder`.
  RecommendRuns(const RecommendOptions& options, const RunConfig& config, const RunConfig& baseline,
                std::filesystem::path folder)
      : options_(options), config_(config), baseline_(baseline), folder_(std::move(folder)) {}

  /// Adds the run of a design (without one: the baseline) with a seed, unless it is there; returns
  /// its hash, the name of its folder.
  std::string add(const std::optional<PassAccumulators>& accumulators, std::int64_t seed);
  /// Trains what has been added and is not finished, `title` before the progress. Returns the
  /// signal that stopped it, or 0. Throws Error of kind System for a run that failed.
  int train(const std::string& title);
  /// What the design's runs gave, all of which must be finished.
  [[nodiscard]] TrainedDesign summarise(const std::optional<PassAccumulators>& accumulators,
                                        const std::vector<std::int64_t>& seeds);
  [[nodiscard]] std::filesystem::path directory_of(const std::string& hash) const {
    return folder_ / hash;
  }

 private:
  struct Result {
    std::optional<double> accuracy;
    bool diverged = false;
  };
  /// Reads the results that are not known yet; false if one is missing.
  bool read_results();
  static std::optional<Result> read_result(const std::filesystem::path& directory);

  const RecommendOptions& options_;
  const RunConfig& config_;
  const RunConfig& baseline_;
  std::filesystem::path folder_;
  std::vector<SweepPoint> points_;
  std::map<std::string, Result> results_;  ///< by hash
};

}  // namespace narrowmac
