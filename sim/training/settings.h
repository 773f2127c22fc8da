#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/design/gemm_shape.h"
#include "models/design/mac_design.h"
#include "models/quantizers/gradient_quantizer.h"
#include "sim/training/dataset.h"
#include "sim/training/formats.h"

namespace narrowmac {

/// Learning rate over the run. Constant: the initial rate. Step: times `factor` at each of
/// `milestones` (epochs). Cosine: from the initial rate at step 0 to 0 after the last step, by
/// step.
struct Schedule {
  enum class Kind : std::uint8_t { Constant, Step, Cosine };
  Kind kind = Kind::Constant;
  std::vector<std::int64_t> milestones;
  double factor = 0.1;
};

/// Gradients are multiplied by the scale before they are rounded and divided by it before the
/// update. Dynamic: starts at `initial`, halves (and the step is skipped) when a gradient overflows
/// or is not finite, doubles after `growth_interval` good steps.
struct LossScale {
  bool dynamic = false;
  double initial = 1.0;
  std::int64_t growth_interval = 200;
};

/// Fully quantised training (Chen et al., NeurIPS 2020): operands are integer codes, scales and
/// zero points are corrected outside the array. Activations have the batch's least and greatest
/// value at the ends of their codes, weights a code that is zero; both are rounded to nearest even.
/// The gradient is quantised twice, independently.
struct Quantization {
  int activation_bits = 8;
  int weight_bits = 8;
  std::optional<GradientScheme> gradient;  ///< for BWD. None: gradients stay fp32, BWD and GRAD are
                                           ///< computed outside the array
  int gradient_bits = 8;
  int weight_gradient_bits = 8;                      ///< for GRAD, per tensor
  CodeRounding rounding = CodeRounding::Stochastic;  ///< of gradients
  friend bool operator==(const Quantization&, const Quantization&) = default;
};

/// Which MAC computes a layer's pass. No value: fp32 through OpenBLAS.
class MacAssignment {
 public:
  MacAssignment() = default;
  /// The default of a pass.
  void set(Pass pass, const MacDesign& mac) {
    passes_[index(pass)] = mac;
    for (auto& [layer, own] : operands_) {
      if (own[index(pass)]) adapt(*own[index(pass)], mac);
    }
  }
  /// Overrides one layer in one pass.
  void set(const std::string& layer, Pass pass, const MacDesign& mac) {
    layers_[layer][index(pass)] = mac;
  }
  /// The operand formats of a layer whose tensors have formats of their own: where it has no MAC of
  /// its own it gets the pass's, now and later, with these.
  void set_operands(const std::string& layer, Pass pass, const NumberFormat& a,
                    const NumberFormat& b) {
    MacDesign mac;
    mac.a = a;
    mac.b = b;
    if (passes_[index(pass)]) adapt(mac, *passes_[index(pass)]);
    operands_[layer][index(pass)] = mac;
  }
  [[nodiscard]] const MacDesign* find(const std::string& layer, Pass pass) const {
    if (const auto it = layers_.find(layer); it != layers_.end() && it->second[index(pass)]) {
      return &*it->second[index(pass)];
    }
    if (!passes_[index(pass)]) return nullptr;
    if (const auto it = operands_.find(layer); it != operands_.end() && it->second[index(pass)]) {
      return &*it->second[index(pass)];
    }
    return &*passes_[index(pass)];
  }
  /// Everything is computed in fp32.
  [[nodiscard]] bool empty() const {
    return layers_.empty() && !passes_[0] && !passes_[1] && !passes_[2];
  }
  using ByPass = std::array<std::optional<MacDesign>, 3>;
  /// The MACs that layers have of their own.
  [[nodiscard]] const std::map<std::string, ByPass>& layers() const { return layers_; }
  /// Forgets all MACs, but no layer's operands.
  void clear() {
    layers_.clear();
    passes_ = {};
  }

 private:
  static std::size_t index(Pass pass) { return static_cast<std::size_t>(pass); }
  /// `mac` becomes `pattern`, but for its operands.
  static void adapt(MacDesign& mac, const MacDesign& pattern) {
    const NumberFormat a = mac.a, b = mac.b;
    mac = pattern;
    mac.a = a;
    mac.b = b;
  }

  ByPass passes_;
  std::map<std::string, ByPass> layers_, operands_;
};

/// Everything that decides a training run's numbers besides network, data and array.
struct TrainingSettings {
  std::uint64_t seed = 1;
  std::int64_t epochs = 1;
  std::int64_t batch = 128;
  double learning_rate = 0.05;
  double momentum = 0.9;
  double weight_decay = 0.0;
  Schedule schedule;
  LossScale loss_scale;
  bool shuffle = true;
  Normalisation normalisation;
  Formats formats;
  std::optional<double> weight_clip;         ///< weights stay in [-x, x], x above 0
  std::optional<Quantization> quantization;  ///< instead of all formats but weight_update
  MacAssignment macs;
  /// Statistics of one training GEMM in `sample` of each layer and pass (0: none): step s is
  /// observed if s % sample == 0. FWD and BWD look at `sample_rows` rows, GRAD at all outputs.
  std::int64_t sample = 16;
  std::int64_t sample_rows = 512;
};

}  // namespace narrowmac
