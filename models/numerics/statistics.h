#pragma once

#include <cstdint>
#include <optional>

namespace narrowmac {

/// What was lost in a GEMM, as sums that can be merged over outputs, threads and GEMMs.
/// A step is one accumulation with a non-zero addend (second-level additions included) whose sum is finite.
struct GemmStatistics {
  std::int64_t steps = 0;
  std::int64_t full_swamped = 0;     ///< R(acc + P) == acc
  std::int64_t partial_swamped = 0;  ///< R(acc + P) != acc + P, and != acc
  std::int64_t overflowed = 0;       ///< the rounded sum left the format's range (also when clamped)
  std::int64_t underflowed = 0;      ///< non-zero exact sum became zero, or below 2^emin and inexact
  std::int64_t products = 0;         ///< m * n * k of the outputs observed
  std::int64_t nonzero_products = 0;

  /// Moments over the observed outputs that are finite; `exact` is the sum in double without intermediate rounding
  /// to the accumulator.
  std::int64_t outputs = 0;
  double sum_narrow = 0, sum_narrow_squared = 0;
  double sum_exact = 0, sum_exact_squared = 0;
  double sum_squared_error = 0;

  GemmStatistics& operator+=(const GemmStatistics& other);

  [[nodiscard]] std::optional<double> full_swamping() const;     ///< fraction of steps; null without steps
  [[nodiscard]] std::optional<double> partial_swamping() const;
  [[nodiscard]] std::optional<double> overflow() const;
  [[nodiscard]] std::optional<double> underflow() const;
  [[nodiscard]] std::optional<double> nonzero_ratio() const;     ///< fraction of products
  [[nodiscard]] std::optional<double> variance_narrow() const;
  [[nodiscard]] std::optional<double> variance_exact() const;
  [[nodiscard]] std::optional<double> vrr() const;   ///< Var(narrow) / Var(exact), about the mean
  [[nodiscard]] std::optional<double> nmse() const;  ///< mean((narrow - exact)^2) / Var(exact)

  friend bool operator==(const GemmStatistics&, const GemmStatistics&) = default;
};

}  // namespace narrowmac
