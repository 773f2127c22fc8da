#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "sim/accelerator.h"
#include "sim/experiment/operand_matrix.h"
#include "sim/experiment/run_config.h"
#include "sim/experiment/run_directory.h"

namespace narrowmac {

/// The config of a run directory; the error for another folder names --run.
RunConfig read_run_directory_config(const std::filesystem::path& directory);

/// The training step that follows a run's last checkpoint, done again to see the operands of its
/// GEMMs. It is computed from the directory's config and tensors by the training code itself, so
/// that they are the values a resumed run multiplies (after the end of a finished run: the step
/// that would have come next). Nothing is written.
class ReplayedStep {
 public:
  /// Throws Error for a folder that holds no run, or a run without a checkpoint, or a diverged one.
  explicit ReplayedStep(const std::filesystem::path& run_directory);
  /// The step of another config of the same network, from these tensors.
  ReplayedStep(RunConfig config, Checkpoint checkpoint);

  [[nodiscard]] const RunConfig& config() const { return config_; }
  /// The step that is done again, counted from 1 as in steps.csv.
  [[nodiscard]] std::int64_t number() const { return checkpoint_.state.step + 1; }
  /// Calls `visit` with every GEMM of the step, in the order of training, before it is computed.
  void run(const std::function<void(const GemmRequest&)>& visit) const;

 private:
  RunConfig config_;
  Checkpoint checkpoint_;
};

/// Rows of A and columns of B, some of a GEMM's, as a MAC rounds them.
struct SampledOperands {
  OperandMatrix a, b;
};
/// At least `trials` outputs, or all that there are: up to 64 columns and as many rows as that
/// takes, one from each equal part (observed_rows). Without a number, that of trial_layout().
SampledOperands sample_operands(const GemmRequest& gemm, const MacDesign& mac,
                                std::optional<std::int64_t> trials);

}  // namespace narrowmac
