#include "models/theory/assignment_cost.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <set>
#include <string>

#include "models/design/error.h"

namespace narrowmac {
namespace {

/// The widths of A and B in a pass.
struct OperandWidths {
  int a = 0, b = 0;
};
OperandWidths operand_widths(Pass pass, const TensorWidths& widths) {
  switch (pass) {
    case Pass::Forward:
      return {widths.activation, widths.weight};
    case Pass::Backward:
      return {widths.activation_gradient, widths.weight};
    case Pass::Gradient:
      break;
  }
  return {widths.activation, widths.activation_gradient};
}

double representational_bits(const LayerShape& layer, std::int64_t batch,
                             const TensorWidths& widths, bool counts_input) {
  const auto images = static_cast<double>(batch);
  const GemmShape forward = gemm_shape(layer, Pass::Forward, 1);
  const auto weights = static_cast<double>(forward.k * forward.n);
  double bits = weights * (widths.weight + widths.weight_gradient + widths.weight_residual) +
                images * static_cast<double>(layer.output.size()) * widths.activation_gradient;
  if (counts_input) {
    bits += images * static_cast<double>(layer.inputs.front().size()) * widths.activation;
  }
  return bits;
}

}  // namespace

TensorWidths full_precision_widths() { return {32, 32, 32, 32, 0}; }

double dot_product_full_adders(std::int64_t length, int a_bits, int b_bits) {
  if (length < 1) return 0;
  const int carries = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(length - 1)));
  return static_cast<double>(length) * a_bits * b_bits +
         static_cast<double>(length - 1) * (a_bits + b_bits + carries - 1);
}

std::vector<PrecisionCost> precision_costs(const std::vector<LayerShape>& network,
                                           std::int64_t batch,
                                           const std::vector<TensorWidths>& widths) {
  const auto gemm_layers = static_cast<std::size_t>(std::count_if(
      network.begin(), network.end(), [](const LayerShape& layer) { return layer.has_gemm(); }));
  if (gemm_layers != widths.size()) {
    throw Error(fmt::format("found widths of {} layers; accepted: {}, as the network has",
                            widths.size(), gemm_layers));
  }
  const std::set<std::string> with_backward = layers_with_backward(network);
  std::set<std::string> counted;  // tensors that have been read
  std::vector<PrecisionCost> costs;
  for (const LayerShape& layer : network) {
    if (!layer.has_gemm()) continue;
    const TensorWidths& own = widths[costs.size()];
    const GemmShape forward = gemm_shape(layer, Pass::Forward, 1);
    const bool first_reader = counted.insert(layer.layer.inputs.front()).second;
    PrecisionCost cost;
    cost.representational_bits = representational_bits(layer, batch, own, first_reader);
    cost.communication_bits = static_cast<double>(forward.k * forward.n) * own.weight_gradient;
    for (const Pass pass : kPasses) {
      if (pass == Pass::Backward && with_backward.count(layer.layer.name) == 0) continue;
      const GemmShape shape = gemm_shape(layer, pass, batch);
      const OperandWidths operands = operand_widths(pass, own);
      cost.full_adders += static_cast<double>(shape.m) * static_cast<double>(shape.n) *
                          dot_product_full_adders(shape.k, operands.a, operands.b);
    }
    costs.push_back(cost);
  }
  return costs;
}

PrecisionCost& PrecisionCost::operator+=(const PrecisionCost& other) {
  representational_bits += other.representational_bits;
  full_adders += other.full_adders;
  communication_bits += other.communication_bits;
  return *this;
}

PrecisionCost total(const std::vector<PrecisionCost>& costs) {
  PrecisionCost sum;
  for (const PrecisionCost& cost : costs) sum += cost;
  return sum;
}

}  // namespace narrowmac
