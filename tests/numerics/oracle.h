#pragma once

#include <cstdint>
#include <optional>

#include "models/design/mac_design.h"
#include "models/numerics/gemm.h"
#include "models/numerics/statistics.h"

// A second implementation of the arithmetic, for tests only: integers of any size, straight from
// the definitions, slow. It shares no code with models/numerics but random_word(), OperandView and
// GemmStatistics' container.

namespace narrowmac::oracle {

struct Outcome {
  double value = 0;
  bool inexact = false;
  bool overflow = false;
  bool underflow = false;
  bool counts = false;  ///< a step for the statistics: finite accumulator, finite non-zero addend
};

/// R(x); nullopt where the arithmetic calls it an error.
std::optional<Outcome> round(const Conversion& to, double x, std::uint32_t random = 0);
/// R_acc(acc + R_product(a * b)).
std::optional<Outcome> step(const MacDesign& mac, double acc, double a, double b,
                            std::uint32_t random_sum = 0, std::uint32_t random_product = 0);
/// R(acc + addend).
std::optional<Outcome> add(const Conversion& accumulator, double acc, double addend,
                           std::uint32_t random = 0);
/// One output of a GEMM; counts its steps, products and, if finite, its moments.
std::optional<double> output(const GemmProblem& problem, std::int64_t m, std::int64_t n,
                             GemmStatistics* statistics = nullptr);

}  // namespace narrowmac::oracle
