#pragma once

#include <cstdint>
#include <string>

#include "models/numerics/gemm.h"
#include "models/numerics/plan.h"

namespace narrowmac {

/// How a gradient GEMM (A = X^T or transposed convolution patches of X, B = dY) is run.
enum class GradientKernel : std::uint8_t {
  Tiles,     ///< no gradient GEMM, or dense: register tiles
  ScalarsA,  ///< the non-zero elements of X times vectors of dY
  ScalarsB,  ///< the non-zero elements of dY times vectors of X
};

struct GradientChoice {
  GradientKernel kernel = GradientKernel::Tiles;
  std::string reason;  ///< for people; empty if it is no gradient GEMM in float32 lanes
};

/// The cheapest kernel by counts of vector operations: tiles round all M N K products, the others
/// those of the non-zero scalars, whatever the vectors hold.
GradientChoice choose_gradient_kernel(const GemmProblem& problem, const GemmPlan& plan);

/// True if a kernel other than Tiles can read the operands and gives the reference's bits.
bool gradient_kernel_applies(const GemmProblem& problem, const GemmPlan& plan,
                             GradientKernel kernel);

/// Runs a planned GEMM with a kernel that applies; false if it gave up, because the reference would
/// have to recompute too many outputs.
bool run_gradient_kernel(const GemmProblem& problem, const GemmPlan& plan, GradientKernel kernel,
                         const OutputView& out);

}  // namespace narrowmac
