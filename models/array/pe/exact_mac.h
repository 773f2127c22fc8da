#pragma once

#include <cstdint>

#include "models/array/pe/fold.h"
#include "models/array/pe/random_rows.h"
#include "models/numerics/gemm.h"
#include "models/numerics/mac_stepper.h"
#include "models/numerics/reference.h"

namespace narrowmac {

/// What a MAC did in one step.
struct MacOutcome {
  double product = 0;   ///< as it reached the adder; of more than 53 bits: rounded for display
  bool counts = false;  ///< a step of the statistics: accumulator and product finite, product not 0
  StepOutcome sum;
};

/// The arithmetic of one GEMM's MACs, any design, bit for bit that of reference_gemm: both
/// accumulators, and the random words that belong to every step's place.
class ExactMac {
 public:
  explicit ExactMac(const GemmProblem& problem);

  /// acc <- R(acc + R_product(a b)) at `index`. Throws Error naming the output and k.
  [[nodiscard]] double step(double acc, double a, double b, const MacIndex& index) const;
  /// The same with everything that there is to see.
  [[nodiscard]] MacOutcome observed_step(double acc, double a, double b,
                                         const MacIndex& index) const;
  /// total <- R(total + sum) of the second accumulator; `chunk` counts the output's sums.
  [[nodiscard]] double add(double total, double sum, const MacIndex& index,
                           std::int64_t chunk) const;
  /// What the last-level accumulator of an output starts from.
  [[nodiscard]] double start(std::int64_t m, std::int64_t n) const;

 private:
  GemmProblem problem_;
  Adder adder_, second_adder_;
  Multiplier multiplier_;
  RandomRows first_, second_, product_;
};

}  // namespace narrowmac
