#pragma once

#include <cstdint>

#include "models/array/timing.h"
#include "models/design/array_design.h"
#include "models/design/gemm_shape.h"

namespace narrowmac {

/// Which dimension of the GEMM lies along the array's rows and columns, and which one is streamed
/// through it.
struct Mapping {
  std::int64_t rows = 0, columns = 0, streamed = 0;
  std::int64_t row_folds = 0, column_folds = 0;
};

/// Throws Error for a negative dimension.
Mapping map_gemm(const GemmShape& shape, const ArrayDesign& array);

/// The largest part of a fold whose operands fit half a scratchpad: all of a fold, or a piece of
/// its stream. Bytes are those that the slice moves; `fetch` is from, `store` to DRAM, the rest
/// between scratchpads and array.
struct Slice {
  CycleParts cycles;
  std::int64_t a_fetch = 0, b_fetch = 0, psum_fetch = 0, psum_store = 0;
  std::int64_t a_read = 0, b_read = 0, psum_read = 0, psum_write = 0;
  /// Cycles before the slice starts by which the operand must be in its scratchpad: under
  /// Policy::Overlapped the array is loaded while the previous fold streams.
  std::int64_t a_lead = 0, b_lead = 0;
  bool store_is_unfinished = false;  ///< psum_store holds psums that come back, no outputs
};

/// The largest piece that one transfer moves: the most that one transaction's length can say in a
/// power of two.
inline constexpr std::int64_t kLargestTransfer = std::int64_t{1} << 30;

/// Most slices of a GEMM: they are stepped through one by one, about ten million a second.
inline constexpr std::int64_t kMostSlices = 10'000'000'000;

/// The slices of a GEMM in the order of execution: what the controller of the platform works
/// through. os: rows of folds outside, columns inside. ws and is: columns outside, and k ascends
/// inside. An operand block that the previous slice already used stays in its scratchpad and is not
/// fetched again.
class FoldSchedule {
 public:
  /// Throws Error if a scratchpad of `array.memory` cannot hold one tile, or if there are more than
  /// kMostSlices.
  FoldSchedule(const GemmShape& shape, const ArrayDesign& array, const ElementBytes& bytes);

  [[nodiscard]] bool done() const { return outer_ == outer_end_; }
  [[nodiscard]] std::int64_t folds() const { return mapping_.row_folds * mapping_.column_folds; }
  [[nodiscard]] std::int64_t slices_per_fold() const { return slices_; }
  [[nodiscard]] bool psums_stay() const { return psums_stay_; }
  Slice next();

 private:
  struct Block {  ///< which part of an operand a half of its scratchpad holds
    std::int64_t first = -1, second = -1;
    friend bool operator==(const Block&, const Block&) = default;
  };

  void cut(const MemoryDesign& memory);
  void check_count(const GemmShape& shape) const;
  void cut_output_stationary(std::int64_t half_operand, std::int64_t half_psum);
  void cut_operand_stationary(std::int64_t half_operand, std::int64_t half_psum);
  Slice output_stationary_slice(std::int64_t rows, std::int64_t columns, std::int64_t length);
  Slice operand_stationary_slice(std::int64_t rows, std::int64_t columns, std::int64_t length);
  void time(Slice& slice, std::int64_t rows, std::int64_t columns, std::int64_t length) const;
  std::int64_t fetched(Block& held, const Block& needed, std::int64_t bytes) const;
  void advance();

  ArrayDesign array_;
  ElementBytes bytes_;
  Mapping mapping_;
  std::int64_t outer_ = 0, inner_ = 0, slice_ = 0;
  std::int64_t outer_end_ = 0, inner_end_ = 0;
  std::int64_t row_fold_ = 0, column_fold_ = 0;
  std::int64_t length_ = 0;  ///< streamed elements of a slice; the last one may have fewer
  std::int64_t slices_ = 1;  ///< per fold
  bool psums_stay_ = true;   ///< psums of a column of folds fit half the psum scratchpad
  Block a_held_, b_held_;
};

}  // namespace narrowmac
