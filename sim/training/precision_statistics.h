#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/workload/network.h"
#include "sim/accelerator.h"
#include "sim/training/dataset.h"
#include "sim/training/settings.h"
#include "sim/training/trainer.h"

namespace narrowmac {

// What the assignment of a fixed-point format to every tensor wants to know of a full-precision
// run: Sakr and Shanbhag, ICLR 2019 (arXiv 1812.11732); docs/quantizers.md has the equations. All
// is computed in fp32 from a trainer's tensors, beside the training: its bits do not depend on
// whether anybody asked. The numbers depend on neither threads nor earlier calls.

/// A full-precision training problem. The settings have no MACs and no formats.
struct PrecisionProblem {
  const NetworkDescription& network;
  const TrainingSettings& settings;
  const Dataset& train;
  Accelerator& accelerator;
};

/// Standard deviations, over all elements and around their mean.
struct GradientDeviations {
  std::string layer;
  double weight = 0;      ///< of the weight's gradient
  double activation = 0;  ///< of the gradient of the output of the layer's GEMM
};

/// Training minibatches that gradient_deviations() looks at.
inline constexpr std::int64_t kDeviationBatches = 8;
/// Of every convolution and linear layer, in network order. The gradients are those of training:
/// of a minibatch's mean loss, batch norm with the batch's statistics, loss scale 1. The elements
/// of the first kDeviationBatches full minibatches in the order of the training set (all if there
/// are fewer; the whole set if it is smaller than a minibatch) are pooled.
std::vector<GradientDeviations> gradient_deviations(const PrecisionProblem& problem,
                                                    const std::vector<NamedTensor>& tensors);

struct PrecisionGains {
  std::string layer;
  /// E_A of the layer's input. None if that depends on no parameter: the image.
  std::optional<double> activation;
  double weight = 0;  ///< E_W
  /// The largest singular value of the averaged squared Jacobian of a minibatch's weight gradient
  /// with respect to its activation gradient.
  double lambda_max = 0;
};

/// Training images that precision_gains() looks at, evenly spaced.
inline constexpr std::int64_t kGainImages = 256;
/// Of every convolution and linear layer, in network order; batch norm with its running statistics.
/// E_T = 1/24 times the mean over the images of sum_{i != y} ||d(z_i - z_y)/dT||^2 / (z_i - z_y)^2,
/// z the logits of an image and y its largest; images where that is not unique are left out. A gain
/// is NaN if all are, or if a logit is not finite. `go_on` is told how many images are done and
/// answers whether to go on; if not, there are no gains.
std::vector<PrecisionGains> precision_gains(
    const PrecisionProblem& problem, const std::vector<NamedTensor>& tensors,
    const std::function<bool(std::int64_t done, std::int64_t images)>& go_on = {});

/// The learning rate of the last step of a run that has one above 0; 0 if none has.
double final_learning_rate(const TrainingSettings& settings, std::int64_t steps_per_epoch,
                           std::int64_t steps);

}  // namespace narrowmac
