#include "sim/experiment/recommend_runs.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/design/error.h"
#include "sim/experiment/files.h"
#include "sim/experiment/json.h"
#include "sim/experiment/sweep.h"

namespace narrowmac {
namespace fs = std::filesystem;

std::string RecommendRuns::add(const std::optional<PassAccumulators>& accumulators,
                               std::int64_t seed) {
  SweepPoint point;
  point.config = accumulators ? with_accumulators(config_, *accumulators) : baseline_;
  point.config.training.seed = static_cast<std::uint64_t>(seed);
  point.config.array.fidelity = Fidelity::Functional;  // the same bits, sooner
  point.hash = run_hash(point.config);
  const bool is_there = std::any_of(points_.begin(), points_.end(), [&](const SweepPoint& other) {
    return other.hash == point.hash;
  });
  if (is_there) return point.hash;
  point.label = accumulators ? describe(*accumulators) : "baseline";
  point.config.name = config_.name + (accumulators ? "-narrow" : "-baseline");
  for (const Pass pass : kPasses) {
    const MacDesign& mac = *point.config.training.macs.find("", pass);
    point.values.emplace_back(fmt::format("mac.{}.accumulator", to_string(pass)),
                              mac.accumulator.format.to_string());
  }
  const std::int64_t chunk = accumulators ? accumulators->chunk : 0;
  point.values.emplace_back("mac.chunk.length", chunk > 0 ? std::to_string(chunk) : "");
  points_.push_back(point);
  return point.hash;
}

std::optional<RecommendRuns::Result> RecommendRuns::read_result(const fs::path& directory) {
  const fs::path file = directory / "summary.json";
  std::error_code missing;
  if (!fs::exists(file, missing)) return std::nullopt;
  const Json summary = Json::parse(read_file(file), file.string());
  const Json& results = summary.at("results");
  Result result;
  result.diverged = results.at("diverged").boolean();
  if (!result.diverged) result.accuracy = results.at("test_accuracy").optional_number();
  return result;
}

bool RecommendRuns::read_results() {
  bool complete = true;
  for (const SweepPoint& point : points_) {
    if (results_.count(point.hash) > 0) continue;
    if (const auto result = read_result(directory_of(point.hash))) {
      results_[point.hash] = *result;
    } else {
      complete = false;
    }
  }
  return complete;
}

int RecommendRuns::train(const std::string& title) {
  if (read_results()) return 0;
  SweepOptions sweep;
  sweep.out = folder_;
  sweep.resume = true;
  sweep.quiet = options_.quiet;
  sweep.warns = false;  // narrow accumulators are what is looked for
  sweep.jobs = options_.jobs;
  sweep.program = options_.program;
  sweep.title = title + ": ";
  const SweepReport report = run_sweep(sweep, points_);
  for (const SweepPointReport& point : report.points) {
    if (point.state != SweepPointReport::State::Failed) continue;
    throw Error(fmt::format("the run \"{}\" with seed {} failed (see {}): {}", point.label,
                            point.seed, point.log.string(), point.error),
                Error::Kind::System);
  }
  read_results();
  return report.signal;
}

TrainedDesign RecommendRuns::summarise(const std::optional<PassAccumulators>& accumulators,
                                       const std::vector<std::int64_t>& seeds) {
  TrainedDesign design;
  if (accumulators) design.accumulators = *accumulators;
  design.seeds = seeds;
  std::vector<double> own, wide;
  for (const std::int64_t seed : seeds) {
    design.runs.push_back(add(accumulators, seed));
    const Result& result = results_.at(design.runs.back());
    design.accuracies.push_back(result.accuracy);
    design.diverged += result.diverged ? 1 : 0;
    if (!result.accuracy) continue;
    own.push_back(*result.accuracy);
    wide.push_back(results_.at(add(std::nullopt, seed)).accuracy.value_or(0));
  }
  if (own.size() < seeds.size()) return design;
  design.accuracy = seed_mean(own);
  if (!accumulators) return design;
  design.loss = paired_loss(wide, own);
  design.verdict = budget_verdict(*design.loss, options_.budget);
  return design;
}

}  // namespace narrowmac
