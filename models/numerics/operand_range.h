#pragma once

#include <cstdint>

#include "models/design/number_format.h"
#include "models/numerics/operand_view.h"

namespace narrowmac {

/// What the values of an operand really span: cheap to find, and the ground of most proofs.
struct OperandRange {
  bool finite = true;        ///< no infinity, no NaN
  bool zero = true;          ///< every value is zero
  int max_exponent = 0;      ///< every |value| < 2^(max_exponent + 1); meaningless if zero
  int quantum_exponent = 0;  ///< every value is a multiple of 2^quantum_exponent
  std::int64_t values = 0;   ///< scanned (of a convolution: elements of the tensor)
  std::int64_t zeros = 0;    ///< of them, zeros of either sign
  [[nodiscard]] double zero_share() const {
    return values == 0 ? 0 : static_cast<double>(zeros) / static_cast<double>(values);
  }
};

/// Scans the values (of a convolution: the tensor below the patches). Threads: TBB's.
OperandRange scan_operand(const OperandView& operand, const NumberFormat& format);

}  // namespace narrowmac
