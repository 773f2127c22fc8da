#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/workload/network.h"
#include "sim/accelerator.h"
#include "sim/training/dataset.h"
#include "sim/training/settings.h"

namespace narrowmac {

/// A tensor as checkpoints know it: PyTorch's name and layout (linear out x in, conv OIHW),
/// row-major.
struct NamedTensor {
  std::string name;  ///< conv1.weight, conv1.bias, bn1.running_mean, conv1.weight.momentum, ...
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// State that is no tensor. With the tensors it is all that a resumed run needs to go on with the
/// same bits.
struct TrainerState {
  std::int64_t step = 0;  ///< steps done
  double loss_scale = 1.0;
  std::int64_t good_steps = 0;  ///< since the loss scale last changed
  bool diverged = false;
};

struct StepReport {
  std::int64_t step = 0;   ///< 1 for the first
  std::int64_t epoch = 0;  ///< 1 for the first
  double loss = 0;         ///< mean over the batch, before the update
  double learning_rate = 0;
  bool skipped = false;  ///< dynamic loss scale: no update
};

struct Evaluation {
  double accuracy = 0;  ///< fraction, 0..1
  double loss = 0;      ///< mean
  std::int64_t images = 0;
  std::vector<std::uint8_t> decisions;  ///< the class that each image is taken for
};

/// The same gradient quantised by each scheme at the same width.
struct GradientComparison {
  std::array<double, 3> variance{};  ///< by GradientScheme
  double row_range_ratio = 1;        ///< largest over smallest range of a row that is not zero
};

/// What quantising a gradient lost, in the units of the gradient as it was quantised (loss scale
/// included).
struct GradientNoise {
  double variance = 0;  ///< ||Q(G) - G||_F^2 of the codes that the GEMM got
  double bound = 0;     ///< of the variance
  double bias = 0;      ///< sum of Q(G) - G over its elements, in standard errors
  double squares = 0;   ///< ||G||_F^2
  std::optional<GradientComparison> comparison;  ///< BWD only
};

/// What one observed GEMM of a layer and pass lost.
struct GemmObservation {
  std::int64_t step = 0;  ///< as in StepReport: 1 for the first
  std::string layer;
  Pass pass = Pass::Forward;
  GemmStatistics statistics;              ///< empty in fp32
  std::optional<GradientNoise> gradient;  ///< BWD and GRAD of a quantised gradient
};

/// Work and time of a layer's pass, summed over the training steps so far.
struct LayerWork {
  GemmShape
      shape;  ///< of a full batch; zero if the pass is never computed (BWD of the first layer)
  bool on_array = false;
  std::int64_t gemms = 0;
  std::int64_t macs = 0;
  std::int64_t transform_macs = 0;  ///< of BHQ's transform and its inverse, outside the array
  CycleParts cycles;
  StallCauses stalls;
  double utilization_sum = 0;  ///< over GEMMs
  Traffic traffic;
  double seconds = 0;
};

/// Trains a network: owns parameters and optimizer, hands every GEMM of FWD, BWD and GRAD to the
/// accelerator. Results depend on network, settings, data and the accelerator's bits only; not on
/// threads or on resumption.
class Trainer {
 public:
  /// Parameters get He initialisation from settings.seed. `train` and `accelerator` must outlive
  /// the trainer.
  Trainer(const NetworkDescription& network, const TrainingSettings& settings, const Dataset& train,
          Accelerator& accelerator);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  [[nodiscard]] std::int64_t steps_per_epoch() const;  ///< the last batch may be smaller
  [[nodiscard]] std::int64_t total_steps() const;
  [[nodiscard]] const TrainerState& state() const;

  /// One batch: forward, backward, update. A loss that is not finite sets state().diverged; no
  /// update then.
  StepReport step();
  /// Accuracy and loss over a test set in evaluation mode (running batch-norm statistics).
  Evaluation evaluate(const Dataset& test);

  /// Parameters, batch-norm statistics and momentum buffers.
  [[nodiscard]] std::vector<NamedTensor> tensors() const;
  /// Goes on from a checkpoint. Throws Error naming the tensor that is missing, unknown or of
  /// another shape.
  void restore(const std::vector<NamedTensor>& tensors, const TrainerState& state);

  /// Observations made since the last call; the caller keeps them.
  std::vector<GemmObservation> take_observations();
  /// Per layer (in network order) and pass. restore_work() puts back what a checkpoint kept.
  [[nodiscard]] const std::vector<std::pair<std::string, std::array<LayerWork, 3>>>& work() const;
  void restore_work(std::vector<std::pair<std::string, std::array<LayerWork, 3>>> work);
  /// Seconds spent per phase of the host ("quantize", "batch_norm", "relu", "pool", "update", ...),
  /// the statistics of GEMMs ("statistics") among them.
  [[nodiscard]] const std::map<std::string, double>& host_seconds() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace narrowmac
