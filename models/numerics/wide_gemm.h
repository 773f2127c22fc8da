#pragma once

#include "models/numerics/operand_view.h"

namespace narrowmac {

/// C = A B with products that are added in double: what the losses of narrow accumulators are
/// measured against. Products of formats up to 26 significant bits are exact, and so are sums that
/// fit 53 bits. Threads: TBB's.
void wide_gemm(const OperandView& a, const OperandView& b, const OutputView& out);

}  // namespace narrowmac
