#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/numerics/gemm.h"

// Where the scalars, vectors and sums of a gradient GEMM lie. Internal to the room; see
// gradient_gemm.h.

namespace narrowmac {

/// Which operand's non-zero elements are the scalars; the other one is read in vectors.
enum class GradientScalars : std::uint8_t { A, B };

/// A gradient GEMM C = A B with A = X^T or transposed convolution patches of X, as a convolution.
/// k runs over the images, rows and columns of `patches`; n over the columns of B.
struct GradientProblem {
  ConvolutionPatches patches;
  const float* x = nullptr;   ///< images x height x width x channels, dense
  std::int64_t x_image = 0;   ///< elements from image to image of X
  const float* dy = nullptr;  ///< element (k, n) at dy[k * dy_row + n]
  std::int64_t dy_row = 0;
  std::int64_t n = 0;
  [[nodiscard]] std::int64_t k() const { return patches.rows(); }
};

/// The GEMM seen so; empty if it is no gradient GEMM or its operands are no float32 in rows.
std::optional<GradientProblem> as_gradient(const GemmProblem& problem);

/// A tensor as kernels read vectors from it: copied image by image between margins of zeros, or in
/// place.
struct VectorGrid {
  bool in_place = false;
  const float* tensor = nullptr;
  std::int64_t tensor_height = 0, tensor_width = 0, channels = 0;
  std::int64_t tensor_image = 0, tensor_pixel = 0;  ///< elements from one to the next
  std::int64_t top = 0, left = 0;               ///< the grid's first row and column in the tensor
  std::int64_t height = 0, width = 0;           ///< of the grid
  std::int64_t pixel = 0, line = 0, image = 0;  ///< elements from one to the next
};

/// Sums that belong to one kernel tap (scalars A) or kernel row (scalars B).
struct SumGroup {
  int first_vector = 0, vectors = 0;             ///< among a channel's sums of the pass
  std::int64_t shift_row = 0, shift_column = 0;  ///< from a position to the scalar's pixel
  std::int64_t first_row = 0;                    ///< of the outputs
};

/// Scalar pixels that meet the same taps: one of stride x stride sublattices of X, or all of dY.
struct GradientPass {
  std::int64_t rows = 0, columns = 0;                               ///< pixels of one image
  std::int64_t scalar_first = 0, scalar_row = 0, scalar_pixel = 0;  ///< elements of the tensor
  std::int64_t vector_first = 0, vector_row = 0, vector_pixel = 0;  ///< elements of the grid
  std::vector<std::int64_t> strip_offsets;
  int strip_vectors = 0;
  std::vector<SumGroup> groups;
  [[nodiscard]] std::int64_t vectors() const {
    return static_cast<std::int64_t>(strip_offsets.size()) * strip_vectors;
  }
};

struct GradientLayout {
  GradientScalars scalars = GradientScalars::A;
  GradientProblem problem;
  const float* scalar_tensor = nullptr;
  std::int64_t scalar_image = 0;  ///< elements from image to image
  std::int64_t scalar_channels = 0;
  std::int64_t scalar_end = 0;  ///< readable elements of the tensor
  VectorGrid grid;
  std::vector<GradientPass> passes;
  /// Vector operations per image if no scalar were zero, per scalar channel.
  [[nodiscard]] std::int64_t dense_work() const;
  /// Vectors of sums of one scalar channel.
  [[nodiscard]] std::int64_t vectors() const;
};

/// `copied`: the vectors are changed on the way (scaled), so no grid in place.
GradientLayout gradient_layout(const GradientProblem& problem, GradientScalars scalars, int lanes,
                               bool copied);

}  // namespace narrowmac
