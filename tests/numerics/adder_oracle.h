#pragma once

#include <cstdint>
#include <optional>

#include "models/numerics/gemm.h"
#include "models/numerics/statistics.h"

// truncate-aligned, dot and exact a second time, for tests only: rational numbers of any size,
// straight from the definitions. Shares no code with models/numerics but random_bits_at(),
// OperandView and GemmStatistics' container.

namespace narrowmac::adder_oracle {

/// One output of a GEMM in its order of accumulation, any rounding, exact products; counts its
/// steps. nullopt where the arithmetic calls it an error. C0 must be a value of the last
/// accumulator's format.
std::optional<double> output(const GemmProblem& problem, std::int64_t m, std::int64_t n,
                             GemmStatistics* statistics = nullptr);

}  // namespace narrowmac::adder_oracle
