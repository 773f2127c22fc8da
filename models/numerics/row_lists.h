#pragma once

#include <cstdint>
#include <vector>

#include "models/numerics/lane_operands.h"
#include "models/numerics/sparse_kernel.h"

namespace narrowmac {

/// Rows to be compressed: where they lie, from some base, and where their accumulators are.
struct RowSet {
  std::vector<std::int32_t> rows, at;
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(rows.size()); }
  void add(std::int64_t row, std::int64_t accumulators) {
    rows.push_back(static_cast<std::int32_t>(row));
    at.push_back(static_cast<std::int32_t>(accumulators));
  }
};

/// What is the same for all rows of a set.
template <typename T>
struct RowListsShape {
  std::int64_t length = 0;                        ///< elements of a row, at most kMaxListLength
  typename ListBlock<T>::Offset offset_step = 0;  ///< elements of B from one k to the next
  ListPadding<T> padding;
  std::int32_t unused = 0;  ///< accumulators that nobody reads, for groups with too few rows
};

/// The groups of a set of rows: sorted by their count of non-zeros, so that a group has little
/// padding. Rows without any are left out.
template <typename T>
class RowLists {
 public:
  /// Lists of the first `count` rows of a set. Replaces what was there; the storage is kept.
  void build(const SparseKernel<T>& kernel, const T* base, const RowSet& set, std::int64_t count,
             const RowListsShape<T>& shape);
  [[nodiscard]] const std::vector<RowGroup<T>>& groups() const { return groups_; }

 private:
  void sort_by_count(std::int64_t rows, std::int64_t length);
  ListBlock<T>* reserve(std::int64_t blocks);

  std::vector<RowGroup<T>> groups_;
  std::vector<std::int32_t> counts_, starts_, order_;
  LaneBuffer<ListBlock<T>> blocks_;
  std::int64_t capacity_ = 0;
};

}  // namespace narrowmac
