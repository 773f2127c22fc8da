#pragma once

#include <cstdint>
#include <type_traits>

#include "models/numerics/kernel.h"

// The kernel that skips zero products. Rows of A (or pixels of a convolution) are compressed to
// their non-zero elements; a few rows with about equally many of them form a group, which is
// computed in registers. Internal to the room; docs/numerics.md has it in words.

namespace narrowmac {

inline constexpr int kMaxGroupRows = 12;
inline constexpr int kListBlock = 16;
inline constexpr std::int64_t kMaxListLength = 512;  ///< elements of a row
inline constexpr std::int64_t kListSlack = 64;  ///< elements that filling may touch beyond a list

/// Up to kListBlock non-zero elements of one row, and where the rows of B lie that they multiply:
/// elements from the work's `b`.
template <typename T>
struct ListBlock {
  using Offset = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  T values[kListBlock];
  Offset offsets[kListBlock];
};

/// Rows that take the same number of steps, and where their accumulators lie.
template <typename T>
struct RowGroup {
  const ListBlock<T>* list = nullptr;  ///< for each kListBlock steps one block per row of the group
  std::int32_t steps = 0;
  std::int32_t at[kMaxGroupRows] = {};  ///< elements from the work's `sums`
};

template <typename T>
struct GroupWork {
  const RowGroup<T>* groups = nullptr;
  std::int64_t group_count = 0;
  const T* b = nullptr;
  T* sums = nullptr;
};

/// What a list holds beyond a row's last non-zero element, so that its group is done: a product
/// that leaves every accumulator as it is.
template <typename T>
struct ListPadding {
  T value = 0;
  typename ListBlock<T>::Offset offset = 0;
};

/// Rows to be compressed into the list of one group.
template <typename T>
struct ListWork {
  const T* rows[kMaxGroupRows] = {};              ///< null: an empty row
  std::int64_t length = 0;                        ///< elements of a row
  typename ListBlock<T>::Offset offset_step = 0;  ///< elements of B from one k to the next
  std::int32_t steps = 0;                         ///< at least the non-zero elements of every row
  ListPadding<T> padding;
};

/// For each mask of eight lanes the indices of its lanes.
struct CompressIndices {
  std::uint8_t bytes[256][8] = {};
  constexpr CompressIndices() {
    for (unsigned mask = 0; mask < 256; ++mask) {
      unsigned filled = 0;
      for (unsigned lane = 0; lane < 8; ++lane) {
        if ((mask >> lane & 1U) != 0) bytes[mask][filled++] = static_cast<std::uint8_t>(lane);
      }
    }
  }
};
inline constexpr CompressIndices kCompressIndices;

/// The functions of one vector target. All sums are `columns` wide and contiguous per row.
template <typename T>
struct SparseKernel {
  int rows = 0;  ///< of a group
  int columns = 0;
  /// sums[row] += list x B for all groups.
  void (*run)(const LaneStep<T>& first, const GroupWork<T>& work) = nullptr;
  /// Adds `count` sums to the second accumulators and starts them anew from +0.
  void (*flush)(const LaneStep<T>& second, T* sums, T* totals, std::int64_t count) = nullptr;
  /// counts[i] = non-zero elements of the row at base + offsets[i].
  void (*count_nonzeros)(const T* base, const std::int32_t* offsets, std::int64_t count,
                         std::int64_t length, std::int32_t* counts) = nullptr;
  /// Writes list_blocks(steps) * rows blocks, and may touch kListSlack elements behind them.
  void (*fill)(const ListWork<T>& work, ListBlock<T>* list) = nullptr;
};

inline std::int64_t list_blocks(std::int64_t steps) {
  return (steps + kListBlock - 1) / kListBlock;
}

/// The kernel for N columns of outputs.
template <typename T>
SparseKernel<T> select_sparse_kernel(std::int64_t n, LaneRounding rounding, bool clamp);

}  // namespace narrowmac
