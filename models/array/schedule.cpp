#include "models/array/schedule.h"

#include <fmt/core.h>

#include <algorithm>

#include "models/array/fold_timing.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

std::int64_t ceil_divide(std::int64_t numerator, std::int64_t denominator) {
  return numerator / denominator + (numerator % denominator != 0 ? 1 : 0);
}

/// Streamed elements whose `bytes_each` fit `half` a scratchpad; throws if none does.
std::int64_t fitting(std::int64_t half, std::int64_t bytes_each, const char* key) {
  if (bytes_each > half) {
    throw Error(fmt::format(
        "memory.{}: {} bytes cannot hold two tiles of {} bytes (double buffer); at least {} "
        "are needed for this array and these formats",
        key, 2 * half, bytes_each, 2 * bytes_each));
  }
  return half / bytes_each;
}

constexpr const char* kOperandKey = "operand_scratchpad_bytes";
constexpr const char* kPsumKey = "psum_scratchpad_bytes";

}  // namespace

Mapping map_gemm(const GemmShape& shape, const ArrayDesign& array) {
  if (shape.m < 0 || shape.n < 0 || shape.k < 0) {
    throw Error(
        fmt::format("GEMM {} x {} x {}: a dimension is negative", shape.m, shape.n, shape.k));
  }
  Mapping map;
  switch (array.dataflow) {
    case Dataflow::OutputStationary:
      map = {shape.m, shape.n, shape.k};
      break;
    case Dataflow::WeightStationary:
      map = {shape.k, shape.n, shape.m};
      break;
    case Dataflow::InputStationary:
      map = {shape.k, shape.m, shape.n};
      break;
  }
  if (map.rows == 0 || map.columns == 0 || map.streamed == 0) return map;
  map.row_folds = ceil_divide(map.rows, rows_per_fold(array));
  map.column_folds = ceil_divide(map.columns, array.columns);
  return map;
}

FoldSchedule::FoldSchedule(const GemmShape& shape, const ArrayDesign& array,
                           const ElementBytes& bytes)
    : array_(array), bytes_(bytes), mapping_(map_gemm(shape, array)), length_(mapping_.streamed) {
  const bool output_stationary = array.dataflow == Dataflow::OutputStationary;
  outer_end_ = output_stationary ? mapping_.row_folds : mapping_.column_folds;
  inner_end_ = output_stationary ? mapping_.column_folds : mapping_.row_folds;
  if (done()) return;
  if (array.memory) cut(*array.memory);
  check_count(shape);
}

void FoldSchedule::cut(const MemoryDesign& memory) {
  const std::int64_t half_operand = std::min(memory.operand_scratchpad_bytes / 2, kLargestTransfer);
  const std::int64_t half_psum = std::min(memory.psum_scratchpad_bytes / 2, kLargestTransfer);
  if (array_.dataflow == Dataflow::OutputStationary) {
    cut_output_stationary(half_operand, half_psum);
  } else {
    cut_operand_stationary(half_operand, half_psum);
  }
  slices_ = ceil_divide(mapping_.streamed, length_);
}

void FoldSchedule::check_count(const GemmShape& shape) const {
  std::int64_t count = 0;
  const bool overflows =
      __builtin_mul_overflow(mapping_.row_folds, mapping_.column_folds, &count) ||
      __builtin_mul_overflow(count, slices_, &count);
  if (!overflows && count <= kMostSlices) return;
  throw Error(fmt::format(
      "GEMM {} x {} x {} on {} x {} PEs: more than {} folds or pieces of them, which memory timing "
      "would step through one by one; use a larger array or scratchpad, or the closed form: "
      "fidelity functional without [memory]",
      shape.m, shape.n, shape.k, array_.rows, array_.columns, kMostSlices));
}

void FoldSchedule::cut_output_stationary(std::int64_t half_operand, std::int64_t half_psum) {
  const std::int64_t rows = std::min(rows_per_fold(array_), mapping_.rows);
  const std::int64_t columns = std::min<std::int64_t>(array_.columns, mapping_.columns);
  length_ = std::min({length_, fitting(half_operand, rows * bytes_.a, kOperandKey),
                      fitting(half_operand, columns * bytes_.b, kOperandKey)});
  fitting(half_psum, rows * columns * bytes_.psum, kPsumKey);
}

void FoldSchedule::cut_operand_stationary(std::int64_t half_operand, std::int64_t half_psum) {
  const bool weights = array_.dataflow == Dataflow::WeightStationary;
  const std::int64_t rows = std::min<std::int64_t>(array_.rows, mapping_.rows);
  const std::int64_t columns = std::min<std::int64_t>(array_.columns, mapping_.columns);
  fitting(half_operand, rows * columns * (weights ? bytes_.b : bytes_.a), kOperandKey);
  const std::int64_t psums = fitting(half_psum, columns * bytes_.psum, kPsumKey);
  length_ =
      std::min(length_, fitting(half_operand, rows * (weights ? bytes_.a : bytes_.b), kOperandKey));
  psums_stay_ = psums >= mapping_.streamed;
  if (!psums_stay_) length_ = std::min(length_, psums);
}

Slice FoldSchedule::next() {
  const bool output_stationary = array_.dataflow == Dataflow::OutputStationary;
  row_fold_ = output_stationary ? outer_ : inner_;
  column_fold_ = output_stationary ? inner_ : outer_;
  const std::int64_t most_rows = rows_per_fold(array_);
  const std::int64_t rows = std::min(most_rows, mapping_.rows - row_fold_ * most_rows);
  const std::int64_t columns =
      std::min<std::int64_t>(array_.columns, mapping_.columns - column_fold_ * array_.columns);
  const std::int64_t length = std::min(length_, mapping_.streamed - slice_ * length_);
  Slice slice = output_stationary ? output_stationary_slice(rows, columns, length)
                                  : operand_stationary_slice(rows, columns, length);
  time(slice, rows, columns, length);
  advance();
  return slice;
}

void FoldSchedule::time(Slice& slice, std::int64_t rows, std::int64_t columns,
                        std::int64_t length) const {
  const bool overlapped = array_.policy == Policy::Overlapped;
  const bool follows = overlapped && (outer_ > 0 || inner_ > 0);
  const bool is_followed = overlapped && (outer_ + 1 < outer_end_ || inner_ + 1 < inner_end_);
  CycleParts& cycles = slice.cycles;
  cycles = fold_cycles(array_, rows, columns, length);
  if (slice_ > 0 || follows) cycles.load = cycles.fill = 0;
  if (slice_ + 1 < slices_ || is_followed) cycles.drain = 0;
  if (slice_ + 1 < slices_) cycles.pipeline += accumulation_gap(array_, rows);
  if (slice_ > 0 || !follows) return;
  const Succession next = succession(array_, mapping_.streamed, inner_ > 0);
  cycles.load = next.visible_load;
  cycles.pipeline += next.psum_wait;
  const bool a_is_held = array_.dataflow == Dataflow::InputStationary;
  (a_is_held ? slice.a_lead : slice.b_lead) = next.hidden_load;
}

Slice FoldSchedule::output_stationary_slice(std::int64_t rows, std::int64_t columns,
                                            std::int64_t length) {
  Slice slice;
  slice.a_read = rows * length * bytes_.a;
  slice.b_read = columns * length * bytes_.b;
  slice.a_fetch = fetched(a_held_, {row_fold_, slice_}, slice.a_read);
  slice.b_fetch = fetched(b_held_, {column_fold_, slice_}, slice.b_read);
  if (slice_ + 1 == slices_) {
    slice.psum_write = rows * columns * bytes_.psum;
    if (array_.memory) slice.psum_store = slice.psum_write;
  }
  return slice;
}

Slice FoldSchedule::operand_stationary_slice(std::int64_t rows, std::int64_t columns,
                                             std::int64_t length) {
  const bool weights = array_.dataflow == Dataflow::WeightStationary;
  const std::int64_t held_bytes = rows * columns * (weights ? bytes_.b : bytes_.a);
  const std::int64_t streamed_bytes = rows * length * (weights ? bytes_.a : bytes_.b);
  Block& held = weights ? b_held_ : a_held_;
  Block& streamed = weights ? a_held_ : b_held_;
  const std::int64_t held_fetch = fetched(held, {row_fold_, column_fold_}, held_bytes);
  const std::int64_t streamed_fetch = fetched(streamed, {row_fold_, slice_}, streamed_bytes);
  const std::int64_t held_read = slice_ == 0 ? held_bytes : 0;
  Slice slice;
  slice.a_fetch = weights ? streamed_fetch : held_fetch;
  slice.b_fetch = weights ? held_fetch : streamed_fetch;
  slice.a_read = weights ? streamed_bytes : held_read;
  slice.b_read = weights ? held_read : streamed_bytes;
  slice.psum_write = length * columns * bytes_.psum;
  if (row_fold_ > 0) slice.psum_read = slice.psum_write;
  if (!array_.memory) return slice;
  if (!psums_stay_) slice.psum_fetch = slice.psum_read;
  const bool finished = row_fold_ + 1 == mapping_.row_folds;
  if (!psums_stay_ || finished) slice.psum_store = slice.psum_write;
  slice.store_is_unfinished = !psums_stay_ && !finished;
  return slice;
}

std::int64_t FoldSchedule::fetched(Block& held, const Block& needed, std::int64_t bytes) const {
  if (!array_.memory || held == needed) return 0;
  held = needed;
  return bytes;
}

void FoldSchedule::advance() {
  if (++slice_ < slices_) return;
  slice_ = 0;
  if (++inner_ < inner_end_) return;
  inner_ = 0;
  ++outer_;
}

}  // namespace narrowmac
