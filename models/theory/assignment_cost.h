#pragma once

#include <cstdint>
#include <vector>

#include "models/workload/network.h"

namespace narrowmac {

/// Widths of a layer's tensors in bits; a tensor that is not there has 0.
struct TensorWidths {
  int activation = 0;
  int weight = 0;
  int weight_gradient = 0;
  int activation_gradient = 0;
  int weight_residual = 0;
};

/// What a layer costs in a training step by the counts of Sakr and Shanbhag (arXiv 1812.11732,
/// section 4).
struct PrecisionCost {
  double representational_bits = 0;  ///< of all tensors of the step, each once
  double full_adders = 0;            ///< 1-bit full adders of all dot products of FWD, BWD and GRAD
  double communication_bits = 0;     ///< of the weight gradients, which parallel training exchanges
  PrecisionCost& operator+=(const PrecisionCost& other);
};

/// Fp32: 32 bits everywhere, and no residual.
TensorWidths full_precision_widths();
/// A dot product of `length` terms of two widths, in 1-bit full adders: a ripple-carry multiplier
/// and an adder of the widest partial sum for every term.
double dot_product_full_adders(std::int64_t length, int a_bits, int b_bits);

/// Layer by layer, of one step of `batch` images. `widths` belong to the layers with GEMMs, in
/// network order. A tensor that several layers read is counted with the first. Throws Error if the
/// numbers of layers differ.
std::vector<PrecisionCost> precision_costs(const std::vector<LayerShape>& network,
                                           std::int64_t batch,
                                           const std::vector<TensorWidths>& widths);
PrecisionCost total(const std::vector<PrecisionCost>& costs);

}  // namespace narrowmac
