#pragma once

#include <cstdint>
#include <optional>

#include "models/design/mac_design.h"
#include "sim/training/optimizer.h"

namespace narrowmac {

/// SGD for weights that are stored in a fixed-point format, with a residual that holds what is
/// below their last bit (Sakr and Shanbhag, ICLR 2019, arXiv 1812.11732). With v the velocity of
/// sgd_update(), in float32 as there, and from there in double:
///   A1 = A - learning_rate v;  W1 = W + A1 within [-clip, clip];  W = Q_W(W1);  A = Q_A(W1 - W).
/// Stochastic rounding draws the words of quantize() for the numbers.
struct ResidualStep {
  SgdStep sgd;
  Conversion weight, residual;  ///< fixed point of at most kWidestResidual bits
  std::optional<double> clip;
  std::uint64_t seed = 0;
  std::uint64_t weight_number = 0, residual_number = 0;
};

/// False if a weight would not be finite; it stays as it was.
bool residual_update(const ResidualStep& step, const float* gradient, std::int64_t size,
                     float* velocity, float* weights, float* residuals);

}  // namespace narrowmac
