#include "sim/training/singular_value.h"

#include <cmath>
#include <cstddef>

namespace narrowmac {
namespace {

/// Far below the error that is promised: the last step's change is not what is left to do.
constexpr double kTolerance = 1e-10;
constexpr int kMaxIterations = 10'000;

/// Scales to length 1; returns the length before.
double normalise_length(std::vector<double>& vector) {
  double squares = 0;
  for (const double value : vector) squares += value * value;
  const double length = std::sqrt(squares);
  if (length > 0) {
    for (double& value : vector) value /= length;
  }
  return length;
}

}  // namespace

double largest_singular_value(const std::vector<double>& matrix, std::int64_t rows,
                              std::int64_t columns) {
  // Perron and Frobenius: the vector that belongs to the value has no negative element, so a vector
  // of ones is never orthogonal to it.
  std::vector<double> right(static_cast<std::size_t>(columns), 1.0), left;
  normalise_length(right);
  double value = 0;
  for (int iteration = 0; iteration < kMaxIterations; ++iteration) {
    left.assign(static_cast<std::size_t>(rows), 0.0);
    std::vector<double> next(right.size(), 0.0);
    const double* row = matrix.data();
    for (double& product : left) {
      for (std::size_t c = 0; c < right.size(); ++c) product += row[c] * right[c];
      for (std::size_t c = 0; c < right.size(); ++c) next[c] += row[c] * product;
      row += columns;
    }
    const double before = value;
    value = normalise_length(left);
    right.swap(next);
    normalise_length(right);
    if (!(value - before > kTolerance * value)) break;
  }
  return value;
}

}  // namespace narrowmac
