#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "models/design/mac_design.h"
#include "models/numerics/operand_view.h"

namespace narrowmac {

/// A matrix of operand values: float32 where the format's values are, else float64.
struct OperandMatrix {
  std::int64_t rows = 0, columns = 0;
  std::variant<std::vector<float>, std::vector<double>> values;  ///< row-major

  [[nodiscard]] OperandView view() const { return part(0, rows, columns); }
  /// The first `columns_seen` columns of `count` rows.
  [[nodiscard]] OperandView part(std::int64_t first_row, std::int64_t count,
                                 std::int64_t columns_seen) const;
};

/// Rows of a view, in this order, rounded as a MAC with these formats rounds its inputs.
OperandMatrix gather_rows(const OperandView& view, std::span<const std::int64_t> rows,
                          const Conversion& conversion);
/// The same with columns.
OperandMatrix gather_columns(const OperandView& view, std::span<const std::int64_t> columns,
                             const Conversion& conversion);

/// Of the products of the first `length` columns of A and rows of B, the part that is not zero.
double nonzero_ratio(const OperandMatrix& a, const OperandMatrix& b, std::int64_t length);

}  // namespace narrowmac
