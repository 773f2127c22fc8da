#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/accelerator.h"
#include "sim/experiment/run_config.h"
#include "sim/training/trainer.h"

namespace narrowmac::bench {

/// A training run at batch 128 that can be stepped: on Fashion-MNIST; noise images of 3 x 32 x 32
/// for resnet20.
class TrainingSetup {
 public:
  /// `set` as for `narrowmac run --set`, applied to the quickstart's run file.
  TrainingSetup(const std::string& network, std::vector<std::string> set);
  ~TrainingSetup();
  Trainer& trainer() { return *trainer_; }
  /// MACs of one step: FWD, BWD and GRAD of all layers.
  [[nodiscard]] std::int64_t step_macs() const;
  /// Every request of one more step, with copies of its operands.
  [[nodiscard]] std::vector<class RecordedRequest> record_step();

 private:
  RunConfig config_;
  Dataset images_;
  std::unique_ptr<class Recorder> accelerator_;
  std::unique_ptr<Trainer> trainer_;
};

/// A request of a training step that owns its operands, so that it can be executed again.
class RecordedRequest {
 public:
  explicit RecordedRequest(const GemmRequest& request);
  [[nodiscard]] const std::string& layer() const { return request_.layer; }
  [[nodiscard]] Pass pass() const { return request_.pass; }
  [[nodiscard]] std::int64_t macs() const;
  /// The same shapes with gaussian operands; of the activations `zero_share` are zero.
  [[nodiscard]] RecordedRequest with_gaussian(double zero_share) const;
  /// Valid as long as this object stays where it is.
  [[nodiscard]] GemmRequest request();

 private:
  GemmRequest request_;  ///< views of the original operands: their shapes only
  MacDesign mac_;
  std::vector<float> a_, b_, out_;
};

}  // namespace narrowmac::bench
