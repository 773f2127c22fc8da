#include "models/quantizers/gradient_error.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/numerics/parallel_rows.h"

namespace narrowmac {

namespace {

constexpr std::int64_t kErrorColumns = 256;

}  // namespace

CodeError code_error(const GradientPlan& plan, const SampleMatrix<float>& matrix,
                     std::span<const float> codes) {
  std::vector<double> decoded(matrix.values.size());
  decode(plan, codes, std::span<double>(decoded));
  const std::int64_t blocks = (matrix.columns + kErrorColumns - 1) / kErrorColumns;
  std::vector<double> sums(static_cast<std::size_t>(matrix.columns));
  std::vector<double> squares(static_cast<std::size_t>(blocks)), of_matrix = squares;
  for_rows(blocks, matrix.rows * kErrorColumns, [&](std::int64_t block) {
    const std::int64_t end = std::min(matrix.columns, (block + 1) * kErrorColumns);
    double total = 0, values = 0;
    for (std::int64_t row = 0; row < matrix.rows; ++row) {
      for (std::int64_t column = block * kErrorColumns; column < end; ++column) {
        const auto at = static_cast<std::size_t>(row * matrix.columns + column);
        const auto value = static_cast<double>(matrix.values[at]);
        const double error = decoded[at] - value;
        values += value * value;
        total += error * error;
        sums[static_cast<std::size_t>(column)] += error;
      }
    }
    squares[static_cast<std::size_t>(block)] = total;
    of_matrix[static_cast<std::size_t>(block)] = values;
  });
  CodeError result;
  for (const double part : squares) result.squares += part;
  for (const double part : of_matrix) result.matrix_squares += part;
  double sum = 0, variance = 0;
  for (const double column : sums) {
    sum += column;
    variance += column * column;
  }
  if (variance > 0) result.bias_standard_errors = sum / std::sqrt(variance);
  return result;
}

}  // namespace narrowmac
