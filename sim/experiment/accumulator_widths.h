#pragma once

#include <optional>

#include "models/design/array_design.h"
#include "models/design/number_format.h"
#include "sim/experiment/operand_matrix.h"

namespace narrowmac {

/// Of the noise that rounding the operands leaves in a sum, the part that the accumulator may add.
inline constexpr double kAccumulatorNoiseShare = 0.25;

/// The fixed-point accumulators of a GEMM whose operands are fixed point, in sequence and rounded
/// to nearest even (docs/quantizers.md).
struct AccumulatorWidths {
  /// In closed form: holds the largest sum that the formats allow, and its last bit adds at most
  /// kAccumulatorNoiseShare of the operands' noise, from their mean squares.
  NumberFormat theory;
  /// From the sums: a bit more than the largest partial sum of these operands needs, and the
  /// coarsest last bit whose measured noise is within the same share.
  NumberFormat measured;
};

/// Operands as the array multiplies them.
struct FixedOperands {
  OperandMatrix a, b;  ///< sampled rows of A and columns of B, whole length
  NumberFormat a_format, b_format;
  ArrayDesign array;  ///< decides the order of adding
  /// The result is rounded to this step directly (GRAD: the weight gradient's); absent: it is not.
  std::optional<double> result_step;
  /// Codes whose zero is not 0 and moves from step to step, and is corrected outside the array. The
  /// sums of other steps may be much larger, so that the measured accumulator, too, holds the
  /// largest that the formats allow; and what a rounding error is multiplied by is a code's
  /// distance from zero, here from the mean of its row of A or column of B, which is no more.
  bool codes = false;
};

/// What holds the sums of both.
AccumulatorWidths wider(const AccumulatorWidths& one, const AccumulatorWidths& other);

/// Throws Error if an operand is no fixed-point format, or if a sum would need more than 53 bits.
AccumulatorWidths accumulator_widths(const FixedOperands& operands);

}  // namespace narrowmac
