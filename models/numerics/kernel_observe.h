#pragma once

#include <cstdint>

#include "models/numerics/kernel.h"

namespace narrowmac {

/// A factor that is not zero, in the list of one output row.
template <typename T>
struct ObservedFactor {
  T value = 0;
  std::int32_t k = 0;  ///< counted from the block's first product
};

/// Entries `begin` to `end` of a list; afterwards the chunk ends if `ends_chunk`.
struct ObservedRun {
  std::int32_t begin = 0, end = 0;
  bool ends_chunk = false;
};

/// One output row, a panel of columns and a block of k of the observing kernel. Sums stay in memory
/// between blocks.
template <typename T>
struct ObservedWork {
  const ObservedFactor<T>* factors = nullptr;
  const ObservedRun* runs = nullptr;
  std::int64_t run_count = 0;
  const T* vectors = nullptr;              ///< block of k x panel columns
  const double* wide_vectors = nullptr;    ///< the same in double
  const std::int32_t* nonzeros = nullptr;  ///< of each k: non-zero vector elements
  T* sums = nullptr;
  T* totals = nullptr;      ///< with chunks
  double* exact = nullptr;  ///< sums without intermediate rounding
};

template <typename T>
using ObservingFunction = void (*)(const LaneStep<T>& first, const LaneStep<T>& second,
                                   const CountingLimits<T>& second_limits,
                                   const ObservedWork<T>& work, LaneCounts& counts);

/// A kernel that visits non-zero products only, counts what they lose, and forms the exact sums
/// beside: for roundings that neither clamp nor underflow, so that a step can but be swamped.
template <typename T>
struct ObservingKernel {
  ObservingFunction<T> run = nullptr;  ///< null: this rounding needs the other kernel
  /// Packs one k of a panel, `valid` of its `columns`, and returns how many elements are not zero.
  std::int32_t (*pack)(const T* from, std::int64_t valid, std::int64_t columns, T* to,
                       double* wide) = nullptr;
  int columns = 0;  ///< of a panel
};

/// `addend_bits`: significand bits of a product; `bits`: of the accumulator. A panel is narrow if N
/// fits one vector.
template <typename T>
ObservingKernel<T> select_observing_kernel(const LaneStep<T>& first, int bits, int addend_bits,
                                           std::int64_t n);

}  // namespace narrowmac
