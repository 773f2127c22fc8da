#include "sim/experiment/replayed_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "models/design/error.h"
#include "models/numerics/reference.h"
#include "sim/accelerators/make.h"
#include "sim/experiment/measure.h"
#include "sim/training/trainer.h"

namespace narrowmac {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostColumns = 64;

/// Shows every request before it is computed.
class VisitedAccelerator final : public Accelerator {
 public:
  VisitedAccelerator(Accelerator& inner, const std::function<void(const GemmRequest&)>& visit)
      : inner_(inner), visit_(visit) {}
  GemmResult execute(const GemmRequest& request) override {
    visit_(request);
    return inner_.execute(request);
  }

 private:
  Accelerator& inner_;
  const std::function<void(const GemmRequest&)>& visit_;
};

/// The run without its own statistics, in the quickest fidelity, which has the same bits.
RunConfig observed_by_visitors(RunConfig config) {
  config.array.fidelity = Fidelity::Functional;
  config.training.sample = 0;
  return config;
}

Checkpoint read_last_checkpoint(const fs::path& directory) {
  std::optional<Checkpoint> checkpoint = read_checkpoint(directory);
  if (!checkpoint) {
    throw Error(
        fmt::format("--run {}: found no checkpoint/step-N; accepted: a run that was "
                    "started by narrowmac run and wrote its first checkpoint",
                    directory.string()));
  }
  if (checkpoint->state.diverged) {
    throw Error(
        fmt::format("--run {}: the run diverged by step {}, its operands are not finite; "
                    "accepted: a run that did not",
                    directory.string(), checkpoint->state.step));
  }
  return std::move(*checkpoint);
}

}  // namespace

RunConfig read_run_directory_config(const fs::path& directory) {
  std::error_code missing;
  if (!fs::is_directory(directory, missing)) {
    throw Error(fmt::format("--run {}: no such folder; accepted: a run directory of narrowmac run",
                            directory.string()));
  }
  if (!fs::exists(directory / "config.toml", missing)) {
    throw Error(
        fmt::format("--run {}: found no config.toml; accepted: a run directory of narrowmac run",
                    directory.string()));
  }
  return read_run_config(directory / "config.toml");
}

ReplayedStep::ReplayedStep(const fs::path& run_directory)
    : config_(observed_by_visitors(read_run_directory_config(run_directory))),
      checkpoint_(read_last_checkpoint(run_directory)) {}

ReplayedStep::ReplayedStep(RunConfig config, Checkpoint checkpoint)
    : config_(observed_by_visitors(std::move(config))), checkpoint_(std::move(checkpoint)) {}

void ReplayedStep::run(const std::function<void(const GemmRequest&)>& visit) const {
  const DataSource& data = config_.data;
  const Dataset train = read_dataset(data.kind, data.folder, Split::Train, data.train_images);
  const std::unique_ptr<Accelerator> accelerator = make_accelerator(config_.array);
  VisitedAccelerator visited(*accelerator, visit);
  Trainer trainer(config_.network, config_.training, train, visited);
  trainer.restore(checkpoint_.tensors, checkpoint_.state);
  trainer.step();
}

SampledOperands sample_operands(const GemmRequest& gemm, const MacDesign& mac,
                                std::optional<std::int64_t> trials) {
  const std::int64_t length = gemm.a.columns();
  const std::int64_t wanted = trials.value_or(trial_layout(length, {}).trials());
  const std::int64_t columns = std::min(gemm.b.columns(), kMostColumns);
  const std::int64_t rows =
      std::clamp<std::int64_t>((wanted + columns - 1) / std::max<std::int64_t>(1, columns), 1,
                               std::max<std::int64_t>(1, gemm.a.rows()));
  const auto row_numbers = observed_rows(Observation{rows, nullptr}, gemm.a.rows());
  const auto column_numbers = observed_rows(Observation{columns, nullptr}, gemm.b.columns());
  return {gather_rows(gemm.a, row_numbers, mac.operand_conversion(mac.a)),
          gather_columns(gemm.b, column_numbers, mac.operand_conversion(mac.b))};
}

}  // namespace narrowmac
