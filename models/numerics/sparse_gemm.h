#pragma once

#include "models/numerics/gemm.h"
#include "models/numerics/plan.h"

namespace narrowmac {

/// A GEMM whose zero products are left out; plan.zero_products must allow it. A is dense.
template <typename T>
void sparse_matrix_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out);

/// The same for A = convolution patches, pixel by pixel. The problem must fit (pixels_fit).
template <typename T>
void sparse_pixel_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out);

/// True if the pixels of A can be looped over: FWD or BWD patches, and chunks that end with taps or
/// divide the channels.
bool pixels_fit(const GemmProblem& problem);

/// The path that is expected to be fastest for A's share of zeros, and why.
void choose_path(const GemmProblem& problem, GemmPlan& plan);

}  // namespace narrowmac
