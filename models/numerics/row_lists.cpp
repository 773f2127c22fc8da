#include "models/numerics/row_lists.h"

#include <algorithm>
#include <cstddef>

namespace narrowmac {

/// Leaves in order_ the rows that have non-zeros, those with most first.
template <typename T>
void RowLists<T>::sort_by_count(std::int64_t rows, std::int64_t length) {
  starts_.assign(static_cast<std::size_t>(length) + 2, 0);
  for (std::int64_t i = 0; i < rows; ++i) {
    ++starts_[static_cast<std::size_t>(length - counts_[static_cast<std::size_t>(i)] + 1)];
  }
  for (std::size_t c = 1; c < starts_.size(); ++c) starts_[c] += starts_[c - 1];
  order_.resize(static_cast<std::size_t>(rows));
  const std::int32_t nonzero_rows = starts_[static_cast<std::size_t>(length)];
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int32_t count = counts_[static_cast<std::size_t>(i)];
    std::int32_t& place = starts_[static_cast<std::size_t>(length - count)];
    order_[static_cast<std::size_t>(place++)] = static_cast<std::int32_t>(i);
  }
  order_.resize(static_cast<std::size_t>(nonzero_rows));
}

template <typename T>
ListBlock<T>* RowLists<T>::reserve(std::int64_t blocks) {
  if (blocks > capacity_) {
    capacity_ = blocks + blocks / 2;
    blocks_ = LaneBuffer<ListBlock<T>>(capacity_ + kListSlack / kListBlock);
  }
  return blocks_.data();
}

template <typename T>
void RowLists<T>::build(const SparseKernel<T>& kernel, const T* base, const RowSet& set,
                        std::int64_t count, const RowListsShape<T>& shape) {
  counts_.resize(static_cast<std::size_t>(count));
  kernel.count_nonzeros(base, set.rows.data(), count, shape.length, counts_.data());
  sort_by_count(count, shape.length);
  const auto size = static_cast<std::size_t>(kernel.rows);
  groups_.resize((order_.size() + size - 1) / size);
  std::int64_t blocks = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    groups_[g].steps = counts_[static_cast<std::size_t>(order_[g * size])];
    blocks += list_blocks(groups_[g].steps) * kernel.rows;
  }
  ListBlock<T>* list = reserve(blocks);
  ListWork<T> work;
  work.length = shape.length;
  work.offset_step = shape.offset_step;
  work.padding = shape.padding;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    RowGroup<T>& group = groups_[g];
    for (std::size_t r = 0; r < size; ++r) {
      const std::size_t i = g * size + r;
      const bool used = i < order_.size();
      const std::size_t row = used ? static_cast<std::size_t>(order_[i]) : 0;
      work.rows[r] = used ? base + set.rows[row] : nullptr;
      group.at[r] = used ? set.at[row] : shape.unused;
    }
    work.steps = group.steps;
    group.list = list;
    kernel.fill(work, list);
    list += list_blocks(group.steps) * kernel.rows;
  }
}

template class RowLists<float>;
template class RowLists<double>;

}  // namespace narrowmac
