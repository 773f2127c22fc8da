#pragma once

#include <span>

#include "models/quantizers/gradient_quantizer.h"

namespace narrowmac {

/// What one set of codes lost.
struct CodeError {
  double squares = 0;  ///< ||Q(X) - X||_F^2: one sample of the variance
  /// Sum of Q(X) - X over all elements in units of its standard error, which the sums of the
  /// columns give: rows that were mixed err together, columns do not. 0 if nothing errs.
  double bias_standard_errors = 0;
  double matrix_squares = 0;  ///< ||X||_F^2
};
/// `codes` of `matrix` after encode() with `plan`. Does not depend on threads.
CodeError code_error(const GradientPlan& plan, const SampleMatrix<float>& matrix,
                     std::span<const float> codes);

}  // namespace narrowmac
