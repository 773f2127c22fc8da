#pragma once

#include <cstdint>
#include <optional>

#include "models/design/mac_design.h"
#include "models/numerics/gemm.h"
#include "models/numerics/random.h"
#include "models/numerics/statistics.h"

namespace narrowmac {

/// What one addition did, for statistics and for `explain`.
struct StepOutcome {
  double value = 0;        ///< the accumulator afterwards
  bool inexact = false;    ///< value != exact sum
  bool overflow = false;   ///< the rounded sum left the range
  bool underflow = false;  ///< non-zero exact sum became zero, or lies below 2^emin and was inexact
};

/// The exact product of two operand values: significand * 2^exponent without loss (up to 106 bits), or a special.
/// The reference never forms a product in floating point unless it is exact there.
///
/// acc <- R(acc + R_product(a * b)), the definition of every kernel: plain integers, one rounding, no shortcuts.
/// `random_sum` and `random_product` are the random bits (already cut to random_bits) of this step.
StepOutcome mac_step(const MacDesign& mac, double acc, double a, double b, std::uint32_t random_sum = 0,
                     std::uint32_t random_product = 0);
/// acc <- R(acc + addend), both finite values or specials: the second accumulator's step.
StepOutcome add_step(const Conversion& accumulator, double acc, double addend, std::uint32_t random = 0);

/// The exact reference GEMM: every output by mac_step and add_step in order, single-threaded, any design.
/// Optional statistics are counted step by step from the definitions.
void reference_gemm(const GemmProblem& problem, const OutputView& out, GemmStatistics* statistics = nullptr,
                    const Observation& observation = {});

/// One output (m, n) of the reference: what plans use to recompute what they could not prove.
double reference_output(const GemmProblem& problem, std::int64_t m, std::int64_t n,
                        GemmStatistics* statistics = nullptr);

}  // namespace narrowmac
