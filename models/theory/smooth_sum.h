#pragma once

#include <array>
#include <cstdint>

namespace narrowmac {

/// Points of a rule that sums a smooth function over consecutive integers.
inline constexpr int kSumNodes = 16;

/// Gaussian quadrature for a sum: sum_{j=0}^{N-1} f(j) = sum_i weight_i f(node_i), exact for
/// polynomials up to degree 2 kSumNodes - 1. It is to sums what Gauss-Legendre is to integrals,
/// which it becomes for large N; no end corrections are needed.
struct SumRule {
  std::array<double, kSumNodes> node;    ///< in (0, N - 1), ascending
  std::array<double, kSumNodes> weight;  ///< positive, adding up to N
};

/// The rule for `count` consecutive integers, count >= 256.
SumRule sum_rule(std::int64_t count);

}  // namespace narrowmac
