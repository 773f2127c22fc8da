#include "models/array/pe/fold.h"

#include <algorithm>

#include "models/array/fold_timing.h"
#include "models/array/schedule.h"

namespace narrowmac {
namespace {

/// Where the fold's piece of the three matrices lies.
void place(Fold& fold, const GemmShape& shape) {
  const auto [m, n, k] = shape;
  const std::int64_t row = fold.first_row;
  const std::int64_t column = fold.first_column;
  switch (fold.dataflow) {
    case Dataflow::OutputStationary:
      fold.west = {row * k, k, 1};
      fold.north = {column, 1, n};
      fold.out = {row * n + column, n, 1};
      break;
    case Dataflow::WeightStationary:
      fold.west = {row, 1, k};
      fold.north = {row * n + column, n, 1};
      fold.out = {column, 1, n};
      break;
    case Dataflow::InputStationary:
      fold.west = {row * n, n, 1};
      fold.north = {column * k + row, 1, k};
      fold.out = {column * n, n, 1};
      break;
  }
}

}  // namespace

std::int64_t sum_registers(const ArrayDesign& array) {
  if (array.dataflow != Dataflow::OutputStationary) return array.adder_latency;
  return std::max(array.interleave, array.adder_latency);
}

Fold make_fold(const GemmShape& shape, const ArrayDesign& array, std::int64_t row_fold,
               std::int64_t column_fold) {
  const Mapping map = map_gemm(shape, array);
  const std::int64_t most_rows = rows_per_fold(array);
  Fold fold;
  fold.dataflow = array.dataflow;
  fold.row_fold = row_fold;
  fold.column_fold = column_fold;
  fold.first_row = row_fold * most_rows;
  fold.first_column = column_fold * array.columns;
  fold.rows = std::min(most_rows, map.rows - fold.first_row);
  fold.columns = std::min<std::int64_t>(array.columns, map.columns - fold.first_column);
  fold.streamed = map.streamed;
  fold.chained = !fold.output_stationary() && array.psum == Psum::Chained;
  const bool ragged = array.policy == Policy::Ragged;
  fold.array_rows = array.rows;
  fold.height =
      ragged ? static_cast<int>(std::min<std::int64_t>(fold.rows, array.rows)) : array.rows;
  fold.width = ragged ? static_cast<int>(fold.columns) : array.columns;
  if (fold.output_stationary()) {
    const std::int64_t sums = (fold.rows + array.rows - 1) / array.rows;
    fold.sums = ragged ? static_cast<int>(sums) : array.interleave;
    fold.period = std::max(fold.sums, array.adder_latency);
  }
  fold.row_delay = array.adder_latency;
  fold.depth = array.multiplier_latency + array.adder_latency - 1;
  place(fold, shape);
  return fold;
}

FoldSequence::FoldSequence(const GemmShape& shape, const ArrayDesign& array)
    : shape_(shape), array_(array) {
  const Mapping map = map_gemm(shape, array);
  row_folds_ = map.row_folds;
  column_folds_ = map.column_folds;
  if (row_folds_ == 0) return;
  has_next_ = true;
  next_.fold = make_fold(shape_, array_, 0, 0);
  next_.start = next_.fold.load();
}

void FoldSequence::advance(std::int64_t clock) {
  while (!active_.empty() && active_.front().end() <= clock) active_.pop_front();
  while (has_next_ && next_.load_start() == clock) {
    active_.push_back(next_);
    end_ = next_.end();
    find_next();
  }
}

void FoldSequence::find_next() {
  // os: rows of folds outside; ws and is: columns outside, and k ascends inside.
  const bool columns_inside = array_.dataflow == Dataflow::OutputStationary;
  std::int64_t& inner = columns_inside ? column_fold_ : row_fold_;
  std::int64_t& outer = columns_inside ? row_fold_ : column_fold_;
  const std::int64_t inner_end = columns_inside ? column_folds_ : row_folds_;
  const std::int64_t outer_end = columns_inside ? row_folds_ : column_folds_;
  if (++inner == inner_end) {
    inner = 0;
    ++outer;
  }
  has_next_ = outer < outer_end;
  if (!has_next_) return;
  next_.fold = make_fold(shape_, array_, row_fold_, column_fold_);
  next_.start = start_after(active_.back(), inner > 0);
}

std::int64_t FoldSequence::start_after(const ActiveFold& last, bool same_sums) const {
  if (array_.policy != Policy::Overlapped) return last.end() + next_.fold.load();
  const Fold& fold = last.fold;
  if (fold.output_stationary()) return last.start + fold.span();
  // One stationary operand moves in while the other one is used; a chained psum must have come out
  // before it can go in again.
  const std::int64_t free = last.start + std::max<std::int64_t>(fold.span(), fold.load());
  if (!same_sums) return free;
  const std::int64_t adders = fold.chained ? fold.height : 1;
  return std::max(free, last.start + adders * fold.row_delay);
}

}  // namespace narrowmac
