#pragma once

#include <string>
#include <vector>

#include "sim/experiment/json.h"
#include "sim/training/precision_statistics.h"

namespace narrowmac {

/// The deviations of a run's gradients as it goes on: before the first step (epoch 0), then after
/// every epoch.
class PrecisionRecord {
 public:
  /// The next epoch, layers in network order.
  void add(const std::vector<GradientDeviations>& epoch) { epochs_.push_back(epoch); }

  /// A row per epoch and layer.
  [[nodiscard]] std::string tensors_csv() const;
  /// What `assign` reads: the extremes of the deviations over the epochs, with what was found at
  /// the end.
  [[nodiscard]] std::string statistics_json(const std::vector<PrecisionGains>& gains,
                                            double learning_rate_min) const;

  /// What a checkpoint keeps, and back.
  [[nodiscard]] Json to_json() const;
  static PrecisionRecord from_json(const Json& json);

 private:
  std::vector<std::vector<GradientDeviations>> epochs_;
};

}  // namespace narrowmac
