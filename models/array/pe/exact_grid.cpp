#include "models/array/pe/exact_grid.h"

#include <algorithm>

namespace narrowmac {

ExactGrid::ExactGrid(const GemmProblem& problem, const ArrayDesign& array)
    : PeGrid(stream_shape(problem), array),
      shape_(problem.shape()),
      mac_(problem),
      chunk_length_(problem.order.chunk ? problem.order.chunk->length : 0),
      columns_(array.columns),
      a_(mac_.tokens_of_a()),
      b_(mac_.tokens_of_b()),
      pes_(static_cast<std::size_t>(array.rows) * static_cast<std::size_t>(array.columns)),
      sums_(pes_.size() * static_cast<std::size_t>(sum_registers(array))) {
  out_.reserve(static_cast<std::size_t>(shape_.m * shape_.n));
  for (std::int64_t m = 0; m < shape_.m; ++m) {
    for (std::int64_t n = 0; n < shape_.n; ++n) out_.push_back(mac_.start(m, n));
  }
}

std::size_t ExactGrid::at(std::int64_t row, std::int64_t column) const {
  return static_cast<std::size_t>(row * columns_ + column);
}

ExactGrid::Sum& ExactGrid::sum_at(std::int64_t stage, int row, int column) {
  return sums_[static_cast<std::size_t>(stage) * pes_.size() + at(row, column)];
}

void ExactGrid::step(const FoldSequence& folds, std::int64_t clock) {
  // Older folds are further to the south-east: every register is read by its neighbour before it is
  // overwritten.
  for (const ActiveFold& active : folds.active()) {
    if (active.fold.output_stationary()) {
      step_output_stationary(active, clock);
    } else {
      move_stationary(active, clock);
      step_operand_stationary(active, clock);
    }
  }
}

/// The stationary operand moves in along the wavefront, and becomes the active one with the fold's
/// first element.
void ExactGrid::move_stationary(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  const std::vector<double>& held = fold.dataflow == Dataflow::WeightStationary ? b_ : a_;
  for (int r = 0; r < fold.rows; ++r) {
    const std::int64_t swapped = clock - active.start - std::int64_t{r} * fold.row_delay;
    if (swapped >= 0 && swapped < fold.columns) {
      Pe& pe = pes_[at(r, swapped)];
      pe.north = pe.next;
    }
    const std::int64_t loaded = swapped + fold.load();
    if (loaded >= 0 && loaded < fold.columns) {
      pes_[at(r, loaded)].next = held[static_cast<std::size_t>(fold.north.at(r, loaded))];
    }
  }
}

void ExactGrid::step_output_stationary(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  const std::int64_t stage = clock % fold.period;
  for (int r = fold.height - 1; r >= 0; --r) {
    for (int c = static_cast<int>(fold.columns) - 1; c >= 0; --c) {
      const std::int64_t token = clock - active.start - r - c;
      if (token < 0 || token >= fold.span()) continue;
      const std::int64_t j = token % fold.period;
      const std::int64_t row = j * fold.array_rows + r;
      if (j >= fold.sums || row >= fold.rows) continue;
      const std::int64_t k = token / fold.period;
      Pe& pe = pes_[at(r, c)];
      pe.west =
          c > 0 ? pes_[at(r, c - 1)].west : a_[static_cast<std::size_t>(fold.west.at(row, k))];
      pe.north =
          r > 0 ? pes_[at(r - 1, c)].north : b_[static_cast<std::size_t>(fold.north.at(c, k))];
      take_product(fold, r, c, token, sum_at(stage, r, c));
    }
  }
}

void ExactGrid::take_product(const Fold& fold, int row, int column, std::int64_t token, Sum& sum) {
  const std::int64_t k = token / fold.period;
  const std::int64_t fold_row = token % fold.period * fold.array_rows + row;
  const MacIndex index = fold.index(fold_row, column, k);
  double& out = out_[static_cast<std::size_t>(fold.out.at(fold_row, column))];
  const Pe& pe = pes_[at(row, column)];
  if (k == 0) {
    sum.total = out;
    sum.sum = chunk_length_ == 0 ? out : 0;
  }
  sum.sum = mac_.step(sum.sum, pe.west, pe.north, index);
  const bool last = k + 1 == fold.streamed;
  if (chunk_length_ > 0 && (last || (k + 1) % chunk_length_ == 0)) {
    sum.total = mac_.add(sum.total, sum.sum, index, k / chunk_length_);
    sum.sum = 0;
  }
  if (last) out = chunk_length_ > 0 ? sum.total : sum.sum;
}

void ExactGrid::step_operand_stationary(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  const std::int64_t stage = clock % fold.row_delay;
  for (int r = fold.height - 1; r >= 0; --r) {
    for (int c = static_cast<int>(fold.columns) - 1; c >= 0; --c) {
      const std::int64_t element = clock - active.start - std::int64_t{r} * fold.row_delay - c;
      if (element < 0 || element >= fold.streamed) continue;
      const double psum = next_psum(fold, r, c, element, stage);
      sum_at(stage, r, c).sum = psum;
      if (r + 1 == fold.height) leave(fold, c, element, psum);
    }
  }
}

/// The psum that PE (row, column) hands on: with its product, unless the row is idle.
double ExactGrid::next_psum(const Fold& fold, int row, int column, std::int64_t element,
                            std::int64_t stage) {
  double psum = 0;
  if (row > 0) {
    psum = sum_at(stage, row - 1, column).sum;
  } else if (chunk_length_ == 0) {
    psum = out_[static_cast<std::size_t>(fold.out.at(column, element))];
  }
  if (row >= fold.rows) return psum;
  const bool weights = fold.dataflow == Dataflow::WeightStationary;
  const std::vector<double>& streamed = weights ? a_ : b_;
  Pe& pe = pes_[at(row, column)];
  pe.west = column > 0 ? pes_[at(row, column - 1)].west
                       : streamed[static_cast<std::size_t>(fold.west.at(row, element))];
  return mac_.step(psum, weights ? pe.west : pe.north, weights ? pe.north : pe.west,
                   fold.index(row, column, element));
}

void ExactGrid::leave(const Fold& fold, int column, std::int64_t element, double psum) {
  double& out = out_[static_cast<std::size_t>(fold.out.at(column, element))];
  out = chunk_length_ == 0
            ? psum
            : mac_.add(out, psum, fold.index(fold.rows - 1, column, element), fold.row_fold);
}

void ExactGrid::write(const OutputView& out) const {
  std::size_t i = 0;
  for (std::int64_t m = 0; m < shape_.m; ++m) {
    for (std::int64_t n = 0; n < shape_.n; ++n) out.store(m, n, out_[i++]);
  }
}

std::unique_ptr<PeGrid> make_exact_grid(const GemmProblem& problem, const ArrayDesign& array) {
  return std::make_unique<ExactGrid>(problem, array);
}

}  // namespace narrowmac
