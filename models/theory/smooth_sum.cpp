#include "models/theory/smooth_sum.h"

#include <cmath>
#include <cstddef>
#include <numbers>

namespace narrowmac {
namespace {

/// The monic polynomials that are orthogonal over N equally spaced points (Gram or discrete
/// Chebyshev polynomials), on (-1, 1): p_{k+1} = x p_k - b_k p_{k-1} with
/// b_k = k^2 (1 - k^2/N^2) / (4 k^2 - 1). DLMF 18.22, Hahn polynomials with both parameters zero.
struct Recurrence {
  std::array<double, kSumNodes> b{};
  explicit Recurrence(double count) {
    for (int k = 1; k < kSumNodes; ++k) {
      const double square = static_cast<double>(k) * k;
      b[static_cast<std::size_t>(k)] = square * (1 - square / (count * count)) / (4 * square - 1);
    }
  }
};

struct PolynomialValue {
  double value, derivative, previous;
};

PolynomialValue evaluate(const Recurrence& recurrence, double x) {
  double below = 0, value = 1;
  double slope_below = 0, slope = 0;
  for (const double b : recurrence.b) {  // b[0] = 0 multiplies p_{-1} = 0
    const double next = x * value - b * below;
    const double next_slope = value + x * slope - b * slope_below;
    below = value;
    slope_below = slope;
    value = next;
    slope = next_slope;
  }
  return {value, slope, below};
}

}  // namespace

SumRule sum_rule(std::int64_t count) {
  const auto points = static_cast<double>(count);
  const Recurrence recurrence(points);
  double norm = points;  // of p_{kSumNodes - 1}: the number of points times all b_k
  for (std::size_t k = 1; k < kSumNodes; ++k) norm *= recurrence.b[k];
  SumRule rule{};
  for (std::size_t i = 0; i < kSumNodes / 2; ++i) {
    // A Legendre root's usual first guess; the roots differ by less than kSumNodes^2 / N^2.
    double x = std::cos(std::numbers::pi * (static_cast<double>(i) + 0.75) / (kSumNodes + 0.5));
    for (int step = 0; step < 8; ++step) {
      const PolynomialValue p = evaluate(recurrence, x);
      const double change = p.value / p.derivative;
      x -= change;
      if (std::abs(change) < 1e-15) break;
    }
    const PolynomialValue p = evaluate(recurrence, x);
    const double weight = norm / (p.derivative * p.previous);
    const std::size_t mirrored = kSumNodes - 1 - i;
    rule.node[mirrored] = 0.5 * (points - 1 + x * points);
    rule.node[i] = 0.5 * (points - 1 - x * points);
    rule.weight[i] = rule.weight[mirrored] = weight;
  }
  return rule;
}

}  // namespace narrowmac
