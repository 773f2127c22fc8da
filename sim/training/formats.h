#pragma once

#include <map>
#include <optional>
#include <string>

#include "models/quantizers/tensor_quantizer.h"
#include "models/workload/network.h"

namespace narrowmac {

/// Formats of the tensors of a layer with a GEMM.
struct LayerFormats {
  TensorFormat activation;       ///< the layer's input, operand of FWD and GRAD
  TensorFormat weight;           ///< operand of FWD and BWD
  TensorFormat gradient;         ///< of the GEMM's output, operand of BWD and GRAD
  TensorFormat weight_gradient;  ///< what GRAD gives, before the update
  /// What is below the weight's last bit. With it the stored weight is in `weight`, and the update
  /// is residual_update(); none: the stored weight is in weight_update.
  std::optional<TensorFormat> weight_residual;
  friend bool operator==(const LayerFormats&, const LayerFormats&) = default;
};

/// Formats of the tensors that enter the GEMMs, and of the stored (master) weights. The base is
/// every layer's that has none of its own.
struct Formats : LayerFormats {
  TensorFormat weight_update;  ///< master weights after each update; fp32 by default
  std::map<std::string, LayerFormats> layers;

  [[nodiscard]] const LayerFormats& of(const std::string& layer) const {
    const auto own = layers.find(layer);
    return own == layers.end() ? *this : own->second;
  }
};

/// Formats that contradict each other.
struct FormatFault {
  std::string layer;    ///< whose; empty: every layer's
  std::string key;      ///< as a run file has it
  std::string message;  ///< what was found and what is accepted
};
/// The first fault, in network order: layers that the network has not, a weight residual that has
/// no place (beside weight_update; without fixed point of at most kWidestResidual bits and without
/// scaling in itself and its weight), readers of one tensor with different activation formats.
std::optional<FormatFault> find_fault(const Formats& formats, const NetworkDescription& network);
/// Stored weights and residuals are float32.
inline constexpr int kWidestResidual = 24;

}  // namespace narrowmac
