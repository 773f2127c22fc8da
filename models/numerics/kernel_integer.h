#pragma once

#include <cstdint>

#include "models/numerics/kernel.h"

namespace narrowmac {

/// One register tile of outputs in integer lanes. Operands are 16-bit codes.
template <typename Sum>
struct IntegerWork {
  const std::int16_t* a_rows[kMaxTileRows] = {};
  std::int64_t a_step = 1;          ///< from k to k + 1 (pairs: always 1)
  const std::int16_t* b = nullptr;  ///< first column of the tile
  std::int64_t b_step = 0;          ///< from k to k + 1; pairs: from one pair to the next
  const Segment* segments = nullptr;
  std::int64_t segment_count = 0;
  Sum* sums = nullptr;    ///< tile rows x tile columns
  Sum* totals = nullptr;  ///< the second accumulator; null: sequential
};

/// The range of both accumulators in codes.
struct IntegerLimits {
  std::int16_t low = 0, high = 0;
  std::int16_t second_low = 0, second_high = 0;
};

template <typename Sum>
using IntegerFunction = void (*)(const IntegerLimits& limits, const IntegerWork<Sum>& work);

template <typename Sum>
struct IntegerKernel {
  IntegerFunction<Sum> run = nullptr;
  int rows = 0;
  int columns = 0;
};

/// 16-bit sums that saturate; `narrower` than 16 bits, too.
IntegerKernel<std::int16_t> select_saturating_tile(std::int64_t n, bool narrower);
/// 32-bit sums modulo 2^32 of pairs of products: segments count pairs, B interleaves two rows.
IntegerKernel<std::int32_t> select_pair_tile(std::int64_t n);

}  // namespace narrowmac
