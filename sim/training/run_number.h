#pragma once

#include <cstdint>

namespace narrowmac {

/// Where a run is: a training step, or a batch of an evaluation made after `step` steps.
struct RunPosition {
  bool evaluation = false;
  std::int64_t step = 0;
  std::int64_t batch = 0;  ///< of an evaluation; 0 in training
};

/// Who needs random numbers: a layer's GEMMs, or one of its tensors on its way into a format.
enum class RandomUse : std::uint64_t {
  Forward = 0,
  Backward = 1,
  Gradient = 2,
  WeightGradientTensor = 3,  ///< the gradient, quantised once more for GRAD
  ActivationTensor = 4,
  WeightTensor = 5,
  GradientTensor = 6,
  WeightUpdate = 7,
  InitialWeight = 8,
  WeightGradient = 9,  ///< what GRAD gives, on its way to the update
  WeightResidual = 10,
};

inline constexpr std::int64_t kMaxLayers = (1 << 12) - 1;

/// The GEMM or tensor number of stochastic rounding: an address, so that resuming, evaluating in
/// between or skipping a GEMM changes no other numbers. From the top: 1 bit evaluation, 32 step, 15
/// batch, 12 layer (0 = the image), 4 use.
inline std::uint64_t run_number(const RunPosition& position, std::int64_t layer, RandomUse use) {
  return (std::uint64_t{position.evaluation} << 63) |
         (static_cast<std::uint64_t>(position.step) << 31) |
         (static_cast<std::uint64_t>(position.batch) << 16) |
         (static_cast<std::uint64_t>(layer) << 4) | static_cast<std::uint64_t>(use);
}

}  // namespace narrowmac
