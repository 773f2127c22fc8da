#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/array/pe/fold.h"
#include "models/array/pe/random_rows.h"
#include "models/numerics/dot_unit.h"
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

/// A dense row-major copy.
template <typename T>
std::vector<T> dense_copy(const OperandView& view) {
  std::vector<T> values;
  values.reserve(static_cast<std::size_t>(view.rows() * view.columns()));
  for (std::int64_t i = 0; i < view.rows(); ++i) {
    for (std::int64_t j = 0; j < view.columns(); ++j) {
      values.push_back(static_cast<T>(view.at(i, j)));
    }
  }
  return values;
}

/// M x N x K of what a GEMM's PEs take clock by clock: K counts the groups of a dot.
GemmShape stream_shape(const GemmProblem& problem);

/// The arithmetic of one GEMM's MACs, any design, bit for bit that of reference_gemm: both
/// accumulators, and the random words that belong to every step's place.
///
/// Between PEs travel tokens: the operands themselves, but for a dot the places of whole groups,
/// row-major in stream_shape(). Order `exact` keeps its sum here in the operands that it has seen:
/// a PE's register shows the sum to about double precision until the last product, whose step
/// returns the output.
class ExactMac {
 public:
  explicit ExactMac(const GemmProblem& problem);

  /// What enters the array, row-major.
  [[nodiscard]] std::vector<double> tokens_of_a() const;
  [[nodiscard]] std::vector<double> tokens_of_b() const;
  /// The operand that a token stands for; of a group the first one.
  [[nodiscard]] double operand_a(double token) const;
  [[nodiscard]] double operand_b(double token) const;
  /// A PE's register as a value of the accumulator's format.
  [[nodiscard]] double shown_sum(double sum) const;

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
  [[nodiscard]] MacOutcome step_of_group(double acc, double a, double b, const MacIndex& index,
                                         bool judge) const;
  [[nodiscard]] MacOutcome step_of_exact_sum(double acc, double a, double b,
                                             const MacIndex& index) const;
  GemmProblem problem_;
  Adder adder_, second_adder_;
  Multiplier multiplier_;
  std::optional<DotUnit> dot_;
  RandomRows first_, second_, product_;
  std::int64_t length_, groups_;
  std::vector<double> a_rows_, b_columns_;  ///< dot and exact: operands with k side by side
};

}  // namespace narrowmac
