#pragma once

#include <cstdint>
#include <deque>

#include "models/design/array_design.h"
#include "models/design/gemm_shape.h"

namespace narrowmac {

/// Where element (i, j) of a piece of a row-major matrix lies.
struct Strided {
  std::int64_t base = 0, first = 0, second = 0;
  [[nodiscard]] std::int64_t at(std::int64_t i, std::int64_t j) const {
    return base + i * first + j * second;
  }
};

/// Place of one multiplication in a GEMM.
struct MacIndex {
  std::int64_t m = 0, n = 0, k = 0;
};

/// What the PEs of an array do in one fold: which operands enter where and when, and which outputs
/// leave. Clocks count from the start of the fold's stream. Under os PE (r, c) takes product k of
/// its sum j at clock k * period + j + r + c. Under ws and is it takes streamed element s at clock
/// s + r * row_delay + c, and the psum reaches row r + 1 row_delay later.
struct Fold {
  Dataflow dataflow = Dataflow::OutputStationary;
  int height = 0, width = 0;  ///< PEs that the fold passes through
  std::int64_t rows = 0;      ///< rows of its piece of the GEMM: os: sum j of PE row r is row
                              ///< j * array_rows + r
  std::int64_t columns = 0;
  int array_rows = 0;
  std::int64_t streamed = 0;
  int sums = 1;          ///< os: sums that a PE interleaves
  int period = 1;        ///< os: clocks from one product of a sum to its next one
  int row_delay = 1;     ///< ws, is: an adder's stages
  int depth = 0;         ///< clocks from taking operands to a result, less one
  bool chained = false;  ///< ws, is: psums enter at the top instead of +0
  std::int64_t row_fold = 0, column_fold = 0;
  std::int64_t first_row = 0, first_column = 0;  ///< of the dimensions along rows and columns

  /// The operand that enters from the west: A, under is B. (row, streamed element).
  Strided west;
  /// os: B, which enters from the north: (column, streamed element). ws, is: the stationary
  /// operand, B or A: (row, column).
  Strided north;
  /// os: (row, column). ws, is: (column, streamed element).
  Strided out;

  [[nodiscard]] bool output_stationary() const { return dataflow == Dataflow::OutputStationary; }
  /// Clocks before the stream in which the stationary operand moves in, a row after the other.
  [[nodiscard]] std::int64_t load() const { return output_stationary() ? 0 : height; }
  /// Clocks in which new operands enter at the north-west corner.
  [[nodiscard]] std::int64_t span() const {
    return output_stationary() ? (streamed - 1) * period + sums : streamed;
  }
  /// Clocks from the start of the stream until the last result has left the array.
  [[nodiscard]] std::int64_t length() const {
    const std::int64_t rows_skew = std::int64_t{height - 1} * (output_stationary() ? 1 : row_delay);
    return span() + rows_skew + width - 1 + depth;
  }
  /// `row` counts the fold's rows, not the array's.
  [[nodiscard]] MacIndex index(std::int64_t row, std::int64_t column, std::int64_t element) const {
    switch (dataflow) {
      case Dataflow::WeightStationary:
        return {element, first_column + column, first_row + row};
      case Dataflow::InputStationary:
        return {first_column + column, element, first_row + row};
      default:
        return {first_row + row, first_column + column, element};
    }
  }
};

/// Registers that an array needs per PE for its sums: os: for those that a PE interleaves, ws and
/// is: for a psum on its way through the adder.
std::int64_t sum_registers(const ArrayDesign& array);

/// Fold (row_fold, column_fold) of a GEMM whose A, B and C are dense and row-major.
Fold make_fold(const GemmShape& shape, const ArrayDesign& array, std::int64_t row_fold,
               std::int64_t column_fold);

/// A fold that is under way; its stream starts at clock `start`.
struct ActiveFold {
  Fold fold;
  std::int64_t start = 0;
  [[nodiscard]] std::int64_t load_start() const { return start - fold.load(); }
  [[nodiscard]] std::int64_t end() const { return start + fold.length(); }
};

/// The folds of a GEMM, in order, each when the array can take it.
class FoldSequence {
 public:
  FoldSequence(const GemmShape& shape, const ArrayDesign& array);

  /// Moves on to `clock`, which grows by one from call to call, from 0.
  void advance(std::int64_t clock);
  /// Oldest first; those whose stationary operand is moving in included.
  [[nodiscard]] const std::deque<ActiveFold>& active() const { return active_; }
  /// True if the last result has left before `clock`.
  [[nodiscard]] bool done(std::int64_t clock) const { return !has_next_ && clock >= end_; }
  /// True if `clock` begins a fold that shares no clock with an earlier one.
  [[nodiscard]] bool restarts(std::int64_t clock) const {
    return active_.size() == 1 && active_.front().load_start() == clock;
  }

 private:
  void find_next();
  [[nodiscard]] std::int64_t start_after(const ActiveFold& last, bool same_sums) const;

  GemmShape shape_;
  ArrayDesign array_;
  std::int64_t row_folds_, column_folds_;
  std::int64_t row_fold_ = 0, column_fold_ = 0;
  bool has_next_ = false;
  ActiveFold next_;
  std::deque<ActiveFold> active_;
  std::int64_t end_ = 0;
};

}  // namespace narrowmac
