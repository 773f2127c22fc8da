#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/experiment/files.h"
#include "sim/experiment/precision_record.h"
#include "sim/experiment/run_config.h"
#include "sim/experiment/run_record.h"
#include "sim/training/trainer.h"

namespace narrowmac {

/// All that a run needs to go on with the same bits, and its account so far.
struct Checkpoint {
  TrainerState state;
  std::vector<NamedTensor> tensors;
  RunRecord record;
  RunRecord::Work work;
  std::optional<PrecisionRecord> precision;  ///< if the run records it
  std::map<std::string, double> host_seconds;
  double seconds = 0;  ///< of training so far
};

/// The latest checkpoint of a run directory, or its first (of step 0), if there is one. Throws
/// Error if it cannot be read.
std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& run_directory,
                                          bool first = false);

/// The files of one run. Everything in it appears by renaming, so that it can be read, and resumed,
/// at any moment.
class RunDirectory {
 public:
  /// Creates the folder, or takes up a run that it holds; locks it. Throws Error if it holds
  /// another run or anything else, or, without `resume`, this run.
  RunDirectory(const std::filesystem::path& path, const RunConfig& config, bool resume);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// The contents of summary.json; empty if the run is not finished.
  [[nodiscard]] std::string summary() const;
  /// The latest checkpoint, if there is one.
  [[nodiscard]] std::optional<Checkpoint> load() const { return read_checkpoint(path_); }
  /// Writes steps.csv, observations.csv, layers.csv, with precision tensors.csv, and
  /// checkpoint/step-N; keeps step 0 and the last two.
  void save(const Checkpoint& checkpoint);
  /// Writes statistics.json.
  void save_statistics(const std::string& statistics);
  /// Writes summary.json: from now on the run is finished.
  void finish(const std::string& summary);

 private:
  void check_contents(const RunConfig& config, bool resume) const;
  std::filesystem::path path_;
  MacAssignment macs_;  ///< with `array_`: what the theory needs to know
  ArrayDesign array_;
  std::optional<DirectoryLock> lock_;
};

/// The tensors of a folder of .npy files, sorted by name.
std::vector<NamedTensor> read_tensors(const std::filesystem::path& folder);

}  // namespace narrowmac
