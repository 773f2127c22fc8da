#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

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
  bool underflow = false;  ///< non-zero exact sum became zero, or below 2^emin and inexact
};

/// acc <- R(acc + R_product(a * b)), the definition of every kernel: plain integers, one rounding,
/// no shortcuts. The exact product (up to 106 bits) is never formed in floating point. `acc`, `a`
/// and `b` are values of their formats. `random_sum` and `random_product` are the random bits
/// (already cut to random_bits) of this step. Throws Error if NaN or infinity reaches a fixed-point
/// accumulator or product.
StepOutcome mac_step(const MacDesign& mac, double acc, double a, double b,
                     std::uint32_t random_sum = 0, std::uint32_t random_product = 0);
/// acc <- R(acc + addend), both finite values or specials: the second accumulator's step.
StepOutcome add_step(const Conversion& accumulator, double acc, double addend,
                     std::uint32_t random = 0);

/// What a dot unit made of one group, for statistics and for `explain`.
struct DotOutcome {
  StepOutcome step;     ///< against acc + the exact sum of the products
  bool counts = false;  ///< a step of the statistics: all finite, the products' exact sum not zero
  std::optional<int> quantum_exponent;  ///< terms were aligned to 2^this; none: nothing to align
};

/// One group of at most `terms` products (the rest is +0) in a dot unit, the definition.
DotOutcome dot_step(const MacDesign& mac, const Dot& dot, double acc, std::span<const double> a,
                    std::span<const double> b, std::uint32_t random = 0);
/// The product of two finite floats as a dot unit adds it.
double aligned_product(double a, double b, int quantum_exponent, Alignment alignment);
/// R(start + the exact sum of all R_product(a * b)), one rounding: order `exact`. `random_products`
/// has a word for each product, or is empty.
StepOutcome exact_step(const MacDesign& mac, double start, std::span<const double> a,
                       std::span<const double> b, std::uint32_t random_sum = 0,
                       std::span<const std::uint32_t> random_products = {});

/// The rows whose outputs an observation looks at: all of them, or, if `max_rows` is positive and
/// below `rows`, one from each of max_rows equal parts, chosen by a fixed hash of the part's index.
/// Equal distances would alias with the image: a distance that is a multiple of the image's width
/// sees one column of pixels only.
std::vector<std::int64_t> observed_rows(const Observation& observation, std::int64_t rows);

/// What every GEMM is started with: throws Error for shapes that do not fit together, an impossible
/// design, a chunk without a length, and an order that is not defined for this K.
void check_problem(const GemmProblem& problem);

/// The value that the last-level accumulator of output (m, n) starts from: +0, or C0 rounded to it,
/// nearest even, with the accumulator's own overflow and subnormals. Throws Error for infinity or
/// NaN in front of a fixed-point accumulator.
double initial_value(const GemmProblem& problem, std::int64_t m, std::int64_t n);

/// The exact reference GEMM: every output step by step in order, any design. Rows are shared by
/// threads; bits, statistics and the error that is reported (that of the first output in row order)
/// do not depend on their number. Optional statistics of the observed rows are counted step by step
/// from the definitions and added to `statistics`.
void reference_gemm(const GemmProblem& problem, const OutputView& out,
                    GemmStatistics* statistics = nullptr, const Observation& observation = {});

/// One output (m, n) of the reference: what plans use to recompute what they could not prove.
double reference_output(const GemmProblem& problem, std::int64_t m, std::int64_t n,
                        GemmStatistics* statistics = nullptr);

}  // namespace narrowmac
