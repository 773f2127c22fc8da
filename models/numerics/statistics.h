#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace narrowmac {

/// Count, mean and sum of squared deviations of a sample. Sums of squares would cancel where the
/// mean is large relative to the deviation; this form does not (Chan, Golub, LeVeque, "Updating
/// formulae and a pairwise algorithm for computing sample variances", 1979).
struct Moments {
  std::int64_t count = 0;
  double mean = 0;
  double squared_deviations = 0;  ///< sum of (x - mean)^2

  void add(double x);
  Moments& operator+=(const Moments& other);
  /// About the mean, divided by the count; null without values.
  [[nodiscard]] std::optional<double> variance() const;
  friend bool operator==(const Moments&, const Moments&) = default;
};

/// What was lost in a GEMM, in a form that can be merged over outputs, threads and GEMMs. Counts
/// merge in any order to the same value; the moments are rounded, so whoever merges keeps a fixed
/// order. A step is one accumulation with a non-zero addend (second-level additions included) whose
/// accumulator and addend are finite. A step that overflows counts as overflow, and never as
/// swamping.
struct GemmStatistics {
  std::int64_t steps = 0;
  std::int64_t full_swamped = 0;     ///< R(acc + P) == acc
  std::int64_t partial_swamped = 0;  ///< R(acc + P) != acc + P, and != acc
  std::int64_t overflowed = 0;   ///< the rounded sum left the format's range (also when clamped)
  std::int64_t underflowed = 0;  ///< non-zero exact sum became zero, or below 2^emin and inexact
  std::int64_t products = 0;     ///< m * n * k of the outputs observed
  std::int64_t nonzero_products = 0;  ///< of them, those with two non-zero factors

  /// Over the observed outputs that are finite. `exact` is the sum of the exact products (and C0),
  /// rounded to double once at the end.
  Moments narrow;
  Moments exact;
  double squared_error = 0;  ///< sum of (narrow - exact)^2

  /// Counts one finite output.
  void add_output(double narrow_value, double exact_value);
  /// Counts finite outputs, as many as there are exact ones.
  void add_outputs(std::span<const double> narrow_values, std::span<const double> exact_values);
  GemmStatistics& operator+=(const GemmStatistics& other);

  [[nodiscard]] std::int64_t outputs() const { return narrow.count; }
  [[nodiscard]] std::optional<double> full_swamping()
      const;  ///< fraction of steps; null without steps
  [[nodiscard]] std::optional<double> partial_swamping() const;
  [[nodiscard]] std::optional<double> overflow() const;
  [[nodiscard]] std::optional<double> underflow() const;
  [[nodiscard]] std::optional<double> nonzero_ratio() const;  ///< fraction of products
  [[nodiscard]] std::optional<double> variance_narrow() const;
  [[nodiscard]] std::optional<double> variance_exact() const;
  /// Var(narrow) / Var(exact), about the mean; null where Var(exact) is zero or there are no
  /// outputs.
  [[nodiscard]] std::optional<double> vrr() const;
  /// mean((narrow - exact)^2) / Var(exact); null as vrr().
  [[nodiscard]] std::optional<double> nmse() const;

  friend bool operator==(const GemmStatistics&, const GemmStatistics&) = default;
};

}  // namespace narrowmac
