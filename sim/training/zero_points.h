#pragma once

#include <cstdint>
#include <vector>

#include "models/workload/network.h"

// Sums of codes, from which the host corrects a GEMM's results for the zero points of its operands
// (docs/training.md). What lies outside of an image is the value zero, so it is in no sum. Sums of
// codes are exact as long as they stay below 2^24 (float) or 2^53 (double).

namespace narrowmac {

/// Which inputs a layer's outputs see. A linear layer is a convolution of one pixel.
struct LayerWindow {
  std::int64_t height = 1, width = 1, channels = 1;
  std::int64_t out_height = 1, out_width = 1, out_channels = 1;
  std::int64_t kernel = 1, stride = 1, padding = 0;
  [[nodiscard]] std::int64_t pixels() const { return height * width; }
  [[nodiscard]] std::int64_t out_pixels() const { return out_height * out_width; }
  [[nodiscard]] std::int64_t taps() const { return kernel * kernel; }
};
LayerWindow layer_window(const LayerShape& shape);

/// Of one image: `factor` times each output pixel's sum over the input pixels that it sees.
void window_sums(const LayerWindow& window, const float* pixel_sums, float factor, float* sums);
/// Of one image: `factor` times each input pixel's sum over the output pixels that see it.
void reverse_window_sums(const LayerWindow& window, const float* out_pixel_sums, float factor,
                         float* sums);

/// For each output pixel and output channel: the sum over the weights (taps x in x out) whose input
/// exists, each plus `zero`.
std::vector<float> forward_weight_sums(const LayerWindow& window, const float* weights,
                                       double zero);
/// For each input pixel and input channel: the sum over the weights that lead to an output, each
/// plus `zero`.
std::vector<float> backward_weight_sums(const LayerWindow& window, const float* weights,
                                        double zero);

/// Sums over the images of a batch, element by element of an image of `size`. Threads: TBB's.
std::vector<double> image_sums(const float* codes, std::int64_t images, std::int64_t size);
/// For each tap and input channel: the sum of the inputs that the tap reads; `sums` is over images.
std::vector<double> input_tap_sums(const LayerWindow& window, const std::vector<double>& sums);
/// For each tap and output channel: the sum of the outputs to which the tap leads.
std::vector<double> output_tap_sums(const LayerWindow& window, const std::vector<double>& sums);
/// For each tap: how many outputs of an image it leads to.
std::vector<double> tap_counts(const LayerWindow& window);

}  // namespace narrowmac
