#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "models/quantizers/gradient_quantizer.h"
#include "sim/training/layer.h"
#include "sim/training/zero_points.h"

namespace narrowmac {

/// The operands of one layer under fully quantised training: what its GEMMs multiply, and how their
/// results become values again. On the array codes are the unsigned integers of the formats; in
/// fp32 each row of codes is moved next to zero, so that floats keep their digits.
class QuantisedOperands {
 public:
  QuantisedOperands(const LayerShape& shape, Host& host);

  /// The codes of the layer's input; made once for all layers that read it. The pipeline must have
  /// run.
  const float* input(Activation& input, const Run& run);
  const float* weights(const AlignedBuffer& values, const Run& run);
  /// Adds the correction of FWD's sums to the pipeline. `bias` may be null.
  void finish_forward(float* y, const float* bias);

  struct Gradients {
    const float* for_weights = nullptr;  ///< GRAD's
    const float* for_input = nullptr;    ///< BWD's; null if not wanted
  };
  /// Quantises the gradient of the output for GRAD and, if anybody wants its input's gradient,
  /// independently for BWD. Runs the pipeline. `number` is the layer's.
  Gradients gradients(const Activation& output, std::int64_t number, bool input_wanted,
                      const Run& run);
  /// What the last gradients() lost in BWD or GRAD, if it was observed.
  [[nodiscard]] const std::optional<GradientNoise>& noise(Pass pass) const {
    return noise_[static_cast<std::size_t>(pass)];
  }
  /// MACs that BHQ's transform and its inverse took for the last gradients().
  [[nodiscard]] std::int64_t transform_macs() const;

  /// Where GRAD's sums go: the array's in double, since floats may not hold them.
  OutputView weight_gradient_sums(Parameter& weight);
  /// From GRAD's sums to the weights' gradient. `input` as in input().
  void finish_weight_gradient(Activation& input, const Run& run, Parameter& weight);
  /// From BWD's sums to the input's gradient; under BHQ the inverse transform runs the pipeline.
  void finish_input_gradient(float* dx, const Run& run);

 private:
  /// A gradient's codes and what they stand for.
  struct CodedGradient {
    std::optional<GradientPlan> plan;  ///< none: the codes are the gradient itself
    const float* codes = nullptr;
    [[nodiscard]] AffineRow row(std::int64_t image) const {
      return plan ? plan->coding[static_cast<std::size_t>(image)] : AffineRow();
    }
  };
  [[nodiscard]] std::vector<Extrema> row_extrema(const Activation& output, const Run& run);
  void quantise(const SampleMatrix<float>& gradient, const std::vector<Extrema>& rows,
                GradientScheme scheme, int bits, std::uint64_t number, AlignedBuffer& buffer,
                CodedGradient& coded);
  void observe(const SampleMatrix<float>& gradient, const std::vector<Extrema>& rows,
               std::uint64_t number);
  void add_offsets(float* dx);

  LayerWindow window_;
  Host& host_;
  const Quantization& settings_;
  bool on_array_;
  bool sums_in_double_;
  AffineRow input_, weight_;
  const float* input_codes_ = nullptr;
  double weight_zero_ = 0;  ///< in codes: a weight is slope * (code + zero)
  AlignedBuffer weight_codes_;
  std::vector<float> forward_table_, backward_table_;
  CodedGradient for_weights_, for_input_;
  std::array<std::optional<GradientNoise>, 3> noise_;
  std::vector<double> weight_sums_;
};

/// Adds the search for each image's least and greatest value to the pipeline; `extrema` holds one
/// per image.
void find_image_extrema(ImagePipeline& pipeline, const float* values, std::int64_t size,
                        std::vector<Extrema>& extrema);

}  // namespace narrowmac
