#pragma once

#include <optional>
#include <string>
#include <vector>

namespace narrowmac {

// Fixed-point precision, tensor by tensor, from the statistics of one full-precision training run:
// Sakr and Shanbhag, "Per-tensor fixed-point quantization of the back-propagation algorithm", ICLR
// 2019 (arXiv 1812.11732). The five rules and their equations are in docs/quantizers.md.

/// What the rules need to know of a layer.
struct LayerStatistics {
  std::string name;
  /// E_A, the noise gain of the activations; absent where they have a fixed width (the image).
  std::optional<double> activation_noise_gain;
  double weight_noise_gain = 0;  ///< E_W
  /// The standard deviation of the weight gradient: smallest and largest over the epochs.
  double weight_gradient_std_min = 0;
  double weight_gradient_std_max = 0;
  /// The largest standard deviation of the activation gradient, and the largest singular value of
  /// the averaged squared Jacobian of the weight gradient with respect to the activation gradient.
  /// Either absent: the layer has no activation gradient of its own.
  std::optional<double> activation_gradient_std_max;
  std::optional<double> lambda_max;
};

struct TrainingStatistics {
  std::vector<LayerStatistics> layers;
  double learning_rate_min = 0;  ///< the final one
};

/// A fixed-point format: codes of `bits` bits, times a step. Both numbers are powers of two.
struct FixedPoint {
  int bits = 0;
  double range = 0;
  double step = 0;
};

struct LayerAssignment {
  std::string name;
  std::optional<FixedPoint> activation;           ///< unsigned, in [0, 2)
  FixedPoint weight;                              ///< signed, in [-1, 1)
  FixedPoint weight_gradient;                     ///< signed
  std::optional<FixedPoint> activation_gradient;  ///< signed
  /// What of a weight is below its last bit; 0 bits if no update is that small.
  FixedPoint weight_residual;
};

inline constexpr int kMaxMinimumBits = 32;

/// The assignment whose feed-forward tensor of least noise gain has `minimum_bits` bits, 1 to
/// kMaxMinimumBits. Throws Error that names layer, key and value for statistics that are not finite
/// and above 0, or a smallest deviation above the largest.
std::vector<LayerAssignment> assign_precision(const TrainingStatistics& statistics,
                                              int minimum_bits);

}  // namespace narrowmac
