#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/training/trainer.h"

namespace narrowmac {

struct RunOptions {
  std::filesystem::path config;
  std::vector<std::string> set;  ///< KEY=VALUE, applied in order
  std::filesystem::path
      out;  ///< empty: runs/NAME-HASH, with the run's name and the first 8 digits of its hash
  bool resume = false;
  bool dry_run = false;            ///< fills RunReport::plan, computes and writes nothing
  bool quiet = false;              ///< no progress on stderr
  int threads = 0;                 ///< 0: all cores
  double checkpoint_seconds = 20;  ///< of work between checkpoints; 0: after every step
};

/// One layer's pass in the plan of a run.
struct PlannedGemm {
  std::string layer;
  Pass pass = Pass::Forward;
  GemmShape shape;          ///< of a full batch
  std::string mac;          ///< one line; "fp32" outside the array
  std::int64_t cycles = 0;  ///< of one GEMM, without stalls; 0 outside the array
};

struct RunPlan {
  std::string array;  ///< one line
  std::vector<PlannedGemm> gemms;
  std::int64_t steps_per_epoch = 0;
  std::int64_t steps = 0;
  std::vector<std::string> warnings;  ///< what is legal but unwise, one sentence each
};

enum class RunOutcome : std::uint8_t {
  Planned,      ///< dry run
  Finished,     ///< trained to the end (or to divergence) by this call
  WasFinished,  ///< --resume of a finished run: nothing was computed
  Interrupted,  ///< SIGINT or SIGTERM: a checkpoint was written, --resume goes on
};

struct RunReport {
  RunOutcome outcome = RunOutcome::Finished;
  std::string name;
  std::string hash;           ///< 16 hexadecimal digits of what determines the results
  std::filesystem::path out;  ///< the run directory
  RunPlan plan;               ///< dry run only
  std::string summary_json;   ///< the contents of summary.json; empty for Planned and Interrupted
  std::optional<double>
      test_accuracy;                 ///< fraction; null if a diverged network cannot be evaluated
  std::optional<double> test_loss;   ///< null if not finite
  std::optional<double> train_loss;  ///< null if not finite: mean over the last epoch's steps
  bool diverged = false;
  std::int64_t steps = 0;  ///< done so far
  int signal = 0;          ///< Interrupted: the signal
};

/// `narrowmac run`. Throws Error for everything that is wrong before anything is computed.
RunReport run_experiment(const RunOptions& options);

}  // namespace narrowmac
