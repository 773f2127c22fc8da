#include "sim/experiment/operand_matrix.h"

#include <tbb/parallel_for.h>

#include <algorithm>

#include "models/numerics/convert.h"

namespace narrowmac {
namespace {

/// at(i) of `count` elements into a vector, rounded.
template <typename Value, typename At>
std::vector<Value> gather(std::int64_t rows, std::int64_t columns, const Conversion& conversion,
                          const At& at) {
  std::vector<Value> values(static_cast<std::size_t>(rows * columns));
  constexpr std::int64_t kBlock = 256;  // rows are few or columns are
  const std::int64_t lines = std::max(rows, columns);
  tbb::parallel_for(std::int64_t{0}, (lines + kBlock - 1) / kBlock, [&](std::int64_t block) {
    const std::int64_t end = std::min(lines, (block + 1) * kBlock);
    const bool by_row = rows >= columns;
    for (std::int64_t line = block * kBlock; line < end; ++line) {
      const std::int64_t others = by_row ? columns : rows;
      for (std::int64_t other = 0; other < others; ++other) {
        const std::int64_t row = by_row ? line : other;
        const std::int64_t column = by_row ? other : line;
        values[static_cast<std::size_t>(row * columns + column)] =
            static_cast<Value>(convert(at(row, column), conversion));
      }
    }
  });
  return values;
}

template <typename At>
OperandMatrix gather_matrix(std::int64_t rows, std::int64_t columns, const Conversion& conversion,
                            const At& at) {
  OperandMatrix matrix;
  matrix.rows = rows;
  matrix.columns = columns;
  if (conversion.format.fits_float32()) {
    matrix.values = gather<float>(rows, columns, conversion, at);
  } else {
    matrix.values = gather<double>(rows, columns, conversion, at);
  }
  return matrix;
}

}  // namespace

OperandView OperandMatrix::part(std::int64_t first_row, std::int64_t count,
                                std::int64_t columns_seen) const {
  return std::visit(
      [&](const auto& data) {
        return OperandView::dense(data.data() + first_row * columns, count, columns_seen,
                                  std::max<std::int64_t>(1, columns));
      },
      values);
}

OperandMatrix gather_rows(const OperandView& view, std::span<const std::int64_t> rows,
                          const Conversion& conversion) {
  return gather_matrix(std::ssize(rows), view.columns(), conversion,
                       [&](std::int64_t row, std::int64_t column) {
                         return view.at(rows[static_cast<std::size_t>(row)], column);
                       });
}

OperandMatrix gather_columns(const OperandView& view, std::span<const std::int64_t> columns,
                             const Conversion& conversion) {
  return gather_matrix(view.rows(), std::ssize(columns), conversion,
                       [&](std::int64_t row, std::int64_t column) {
                         return view.at(row, columns[static_cast<std::size_t>(column)]);
                       });
}

double nonzero_ratio(const OperandMatrix& a, const OperandMatrix& b, std::int64_t length) {
  std::int64_t nonzero = 0;
  const auto count = [](const OperandMatrix& matrix, std::int64_t first, std::int64_t number,
                        std::int64_t stride) {
    return std::visit(
        [&](const auto& values) {
          std::int64_t found = 0;
          for (std::int64_t i = 0; i < number; ++i) {
            if (values[static_cast<std::size_t>(first + i * stride)] != 0) ++found;
          }
          return found;
        },
        matrix.values);
  };
  for (std::int64_t k = 0; k < length; ++k) {
    nonzero += count(a, k, a.rows, a.columns) * count(b, k * b.columns, b.columns, 1);
  }
  const std::int64_t products = a.rows * b.columns * length;
  return products == 0 ? 0 : static_cast<double>(nonzero) / static_cast<double>(products);
}

}  // namespace narrowmac
