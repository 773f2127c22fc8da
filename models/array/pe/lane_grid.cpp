#include "models/array/pe/lane_grid.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "models/array/pe/exact_grid.h"
#include "models/array/pe/skew.h"
#include "models/design/error.h"
#include "models/numerics/kernel_directed.h"
#include "models/numerics/operand_range.h"
#include "models/numerics/reference.h"

namespace narrowmac {
namespace {

std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

int scale_of(const GemmPlan& plan) { return plan.infinities_in_lanes ? 0 : plan.scale_exponent; }

template <typename T>
LaneStep<T> step_of(const Conversion& conversion, const LevelPlan& level, const GemmPlan& plan) {
  LaneStep<T> step = lane_step<T>(conversion, level, scale_of(plan));
  step.to_infinity = plan.infinities_in_lanes && level.to_infinity;
  return step;
}

template <typename T>
std::vector<T> scaled_copy(const OperandView& view, int exponent) {
  std::vector<T> values = dense_copy<T>(view);
  if (exponent == 0) return values;
  const T factor = std::ldexp(T{1}, exponent);
  for (T& value : values) value *= factor;
  return values;
}

/// Random bits that a level draws in its lanes.
template <typename T>
int random_bits(const LaneStep<T>& step) {
  const bool draws =
      step.rounding == LaneRounding::Directed && step.increment == LaneIncrement::Random;
  return draws ? step.random_bits : 0;
}

template <typename T>
LaneStep<T> second_step(const GemmProblem& problem, const GemmPlan& plan) {
  if (!problem.order.chunk) return {};
  return step_of<T>(problem.order.chunk->accumulator, plan.second, plan);
}

}  // namespace

template <typename T>
LaneGrid<T>::LaneGrid(const GemmProblem& problem, const ArrayDesign& array, const GemmPlan& plan)
    : PeGrid(problem.shape(), array),
      problem_(problem),
      shape_(problem.shape()),
      infinite_results_(plan.infinite_results),
      unscale_(std::ldexp(1.0, -scale_of(plan))),
      first_(step_of<T>(problem.mac.accumulator, plan.first, plan)),
      second_(second_step<T>(problem, plan)),
      kernel_(select_plane_kernel<T>(first_)),
      chunk_length_(problem.order.chunk ? problem.order.chunk->length : 0),
      a_(dense_copy<T>(problem.a)),
      b_(scaled_copy<T>(problem.b, scale_of(plan))),
      out_(static_cast<std::size_t>(shape_.m * shape_.n), T{0}),
      stride_(round_up(array.columns, kPlaneLanes<T>) + kPlaneLanes<T>),
      height_(array.rows),
      columns_(static_cast<int>(round_up(array.columns, kPlaneLanes<T>))),
      plane_(stride_ * (height_ + 1)),
      planes_(3 + sum_registers(array)),
      storage_(planes_ * plane_),
      // A psum passes an idle row unchanged: -0 leaves every sum as it is, rounding down +0 does.
      idle_(first_.increment == LaneIncrement::Negative ? T{0} : T{-0.0}),
      random_(problem, array, random_bits(first_), stride_, sum_registers(array)),
      second_random_(problem, RandomLevel::SecondAccumulator, random_bits(second_)) {
  if (problem.order.chunk) {
    add_ = second_.rounding == LaneRounding::Directed ? select_directed_add<T>() : select_add<T>();
  }
  std::fill_n(storage_.data(), planes_ * plane_, T{0});
  // Slot -1 of a row is the last one of the row above, which no vector touches.
  west_ = storage_.data() + stride_;
  north_ = west_ + plane_;
  next_ = north_ + plane_;
  sums_ = first_sums_ = next_ + plane_;
  const std::int64_t most = round_up(std::max(array.rows, array.columns), kPlaneLanes<T>);
  leaving_sums_ = LaneBuffer<T>(most);
  leaving_totals_ = LaneBuffer<T>(most);
  leaving_columns_ = LaneBuffer<LaneWord<T>>(most);
  leaving_steps_ = LaneBuffer<LaneWord<T>>(most);
  std::fill_n(leaving_sums_.data(), most, T{0});
  std::fill_n(leaving_totals_.data(), most, T{0});
  std::fill_n(leaving_columns_.data(), most, LaneWord<T>{0});
  std::fill_n(leaving_steps_.data(), most, LaneWord<T>{0});
  leaving_.reserve(static_cast<std::size_t>(most));
}

template <typename T>
void LaneGrid<T>::step(const FoldSequence& folds, std::int64_t clock) {
  if (folds.active().empty()) return;
  const Fold& fold = folds.active().back().fold;
  if (folds.restarts(clock)) std::fill_n(storage_.data(), planes_ * plane_, T{0});
  const int stage = fold.output_stationary() ? fold.period : fold.row_delay;
  sums_ = first_sums_ + clock % stage * plane_;
  for (std::int64_t r = 0; r < height_; ++r) west_[r * stride_ - 1] = T{0};
  std::fill_n(north_ - stride_, columns_, T{0});
  for (const ActiveFold& active : folds.active()) {
    if (fold.output_stationary()) {
      feed_sums(active, clock);
    } else {
      move_stationary(active, clock);
      feed_stream(active, clock);
    }
    if (!random_.empty()) random_.feed(active, clock, clock % stage);
  }
  {
    const LaneDirection direction(first_.rounding, first_.increment);
    PlaneClock<T> planes{west_, north_, sums_, stride_, fold.height, columns_, {}};
    if (!random_.empty()) planes.random = random_.at_stage(clock % stage);
    fold.output_stationary() ? kernel_.output_stationary(first_, planes)
                             : kernel_.operand_stationary(first_, planes);
  }
  for (const ActiveFold& active : folds.active()) {
    fold.output_stationary() ? end_sums(active, clock) : leave(active, clock);
  }
}

/// The stationary operand moves in along the wavefront, and becomes the active one with the fold's
/// first element.
template <typename T>
void LaneGrid<T>::move_stationary(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  const T* held = fold.dataflow == Dataflow::WeightStationary ? b_.data() : a_.data();
  const std::int64_t now = clock - active.start;
  for_lanes(now, fold.row_delay, columns_, fold.height, [&](std::int64_t r, std::int64_t c) {
    north_[r * stride_ + c] = next_[r * stride_ + c];
  });
  for_lanes(now + fold.load(), fold.row_delay, columns_, fold.height,
            [&](std::int64_t r, std::int64_t c) {
              const bool here = r < fold.rows && c < fold.columns;
              next_[r * stride_ + c] = here ? held[fold.north.at(r, c)] : idle_;
            });
}

template <typename T>
void LaneGrid<T>::feed_stream(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  const T* values = fold.dataflow == Dataflow::WeightStationary ? a_.data() : b_.data();
  for_lanes(clock - active.start, fold.row_delay, fold.streamed, fold.rows,
            [&](std::int64_t r, std::int64_t element) {
              west_[r * stride_ - 1] = values[fold.west.at(r, element)];
            });
  feed_psums(active, clock);
}

template <typename T>
void LaneGrid<T>::feed_psums(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  if (!fold.chained) return;  // the inputs are zeros
  T* input = sums_ - stride_;
  for_lanes(clock - active.start, 1, fold.streamed, fold.columns,
            [&](std::int64_t c, std::int64_t element) {
              input[c] = out_[static_cast<std::size_t>(fold.out.at(c, element))];
            });
}

template <typename T>
void LaneGrid<T>::feed_sums(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  const std::int64_t now = clock - active.start;
  const auto feed = [&](std::int64_t lanes, auto take) {
    for_lanes(now, 1, fold.span(), lanes, [&](std::int64_t lane, std::int64_t token) {
      const std::int64_t j = fold.period == 1 ? 0 : token % fold.period;
      if (j < fold.sums) take(lane, j, fold.period == 1 ? token : token / fold.period);
    });
  };
  feed(fold.height, [&](std::int64_t r, std::int64_t j, std::int64_t k) {
    const std::int64_t row = j * fold.array_rows + r;
    if (row < fold.rows)
      west_[r * stride_ - 1] = a_[static_cast<std::size_t>(fold.west.at(row, k))];
  });
  T* input = north_ - stride_;
  feed(fold.columns, [&](std::int64_t c, std::int64_t, std::int64_t k) {
    input[c] = b_[static_cast<std::size_t>(fold.north.at(c, k))];
  });
}

/// The sums that end in this clock: they go to the second accumulators, or leave. PEs of one
/// diagonal work on the same product.
template <typename T>
void LaneGrid<T>::end_sums(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  const std::int64_t now = clock - active.start;
  const std::int64_t diagonals = fold.height + fold.columns - 1;
  const std::int64_t most = (now < 0 ? -1 : now) / fold.period;
  if (now < 0) return;
  const std::int64_t earliest = std::max<std::int64_t>(0, now - fold.sums + 1 - (diagonals - 1));
  const std::int64_t last = std::min(fold.streamed - 1, most);
  const auto end = [&](std::int64_t k) {
    for (std::int64_t j = 0; j < fold.sums; ++j) {
      const std::int64_t diagonal = now - k * fold.period - j;
      if (diagonal >= 0 && diagonal < diagonals) end_diagonal(fold, k, j, diagonal);
    }
  };
  if (chunk_length_ > 0) {
    const std::int64_t first = earliest / fold.period;
    for (std::int64_t k = round_up(first + 1, chunk_length_) - 1; k <= last; k += chunk_length_) {
      end(k);
    }
  }
  const bool ended = chunk_length_ > 0 && fold.streamed % chunk_length_ == 0;
  if (last == fold.streamed - 1 && !ended) end(last);
}

template <typename T>
void LaneGrid<T>::end_diagonal(const Fold& fold, std::int64_t k, std::int64_t j,
                               std::int64_t diagonal) {
  const std::int64_t first = std::max<std::int64_t>(0, diagonal - fold.columns + 1);
  const std::int64_t rows = std::min<std::int64_t>(fold.height, fold.rows - j * fold.array_rows);
  const std::int64_t end = std::min(rows, diagonal + 1);
  leaving_.clear();
  for (std::int64_t r = first; r < end; ++r) {
    T& sum = sums_[r * stride_ + diagonal - r];
    leaving_sums_.data()[r - first] = sum;
    sum = T{0};
    leaving_.push_back(
        static_cast<std::size_t>(fold.out.at(j * fold.array_rows + r, diagonal - r)));
  }
  if (chunk_length_ > 0) return add_to_totals(k / chunk_length_);
  for (std::size_t i = 0; i < leaving_.size(); ++i) out_[leaving_[i]] = leaving_sums_.data()[i];
}

/// What has reached the bottom row.
template <typename T>
void LaneGrid<T>::leave(const ActiveFold& active, std::int64_t clock) {
  const Fold& fold = active.fold;
  const T* bottom = sums_ + (fold.height - 1) * stride_;
  const std::int64_t now = clock - active.start - std::int64_t{fold.height - 1} * fold.row_delay;
  leaving_.clear();
  for_lanes(now, 1, fold.streamed, fold.columns, [&](std::int64_t c, std::int64_t element) {
    const auto out = static_cast<std::size_t>(fold.out.at(c, element));
    if (chunk_length_ == 0) {
      out_[out] = bottom[c];
    } else {
      leaving_sums_.data()[leaving_.size()] = bottom[c];
      leaving_.push_back(out);
    }
  });
  add_to_totals(fold.row_fold);
}

template <typename T>
void LaneGrid<T>::add_to_totals(std::int64_t chunk) {
  if (leaving_.empty()) return;
  T* totals = leaving_totals_.data();
  for (std::size_t i = 0; i < leaving_.size(); ++i) totals[i] = out_[leaving_[i]];
  const auto count = static_cast<int>(round_up(std::ssize(leaving_), kPlaneLanes<T>));
  const LaneDirection direction(second_.rounding, second_.increment);
  if (second_random_.bits() > 0) {
    add_at_random(count, chunk);
  } else {
    TileWork<T> work;
    work.sums = leaving_sums_.data();
    work.totals = totals;
    add_(first_, second_, work, 1, count, chunk);
  }
  for (std::size_t i = 0; i < leaving_.size(); ++i) out_[leaving_[i]] = totals[i];
}

template <typename T>
void LaneGrid<T>::add_at_random(int count, std::int64_t chunk) {
  for (std::size_t i = 0; i < leaving_.size(); ++i) {
    const auto out = static_cast<std::int64_t>(leaving_[i]);
    const std::int64_t m = out / shape_.n;
    leaving_columns_.data()[i] = second_random_.column_word(m, out % shape_.n);
    leaving_steps_.data()[i] = second_random_.step_word(m, chunk);
  }
  kernel_.add_at_random(second_,
                        {leaving_sums_.data(), leaving_totals_.data(), leaving_columns_.data(),
                         leaving_steps_.data(), second_random_.field(chunk), count});
}

template <typename T>
void LaneGrid<T>::write(const OutputView& out) const {
  for (std::int64_t m = 0; m < shape_.m; ++m) store_row(out, m);
}

template <typename T>
void LaneGrid<T>::store_row(const OutputView& out, std::int64_t m) const {
  const bool positive_zero = chunk_length_ > 0 ? second_.positive_zero : first_.positive_zero;
  for (std::int64_t n = 0; n < shape_.n; ++n) {
    const T value = out_[static_cast<std::size_t>(m * shape_.n + n)];
    if (std::isfinite(value) || (infinite_results_ && std::isinf(value))) {
      out.store(m, n, (positive_zero ? value + T{0} : value) * unscale_);
    } else {  // a lane leaves the finite numbers early
      out.store(m, n, reference_output(problem_, m, n));
    }
  }
}

template class LaneGrid<float>;
template class LaneGrid<double>;

namespace {

GemmPlan plan_of(const GemmProblem& problem) {
  return make_plan({problem.mac, problem.order, problem.shape(),
                    scan_operand(problem.a, problem.mac.a), scan_operand(problem.b, problem.mac.b),
                    problem.c0.has_value()});
}

}  // namespace

std::unique_ptr<PeGrid> make_pe_grid(const GemmProblem& problem, const ArrayDesign& array) {
  check_problem(problem);
  if (problem.order != accumulation_order(problem.mac, array)) {
    throw Error("the GEMM's order of accumulation is not the one of its MAC and its array");
  }
  const GemmPlan plan = plan_of(problem);
  if (plan.lane == GemmPlan::Lane::Float32) {
    return std::make_unique<LaneGrid<float>>(problem, array, plan);
  }
  if (plan.lane == GemmPlan::Lane::Float64) {
    return std::make_unique<LaneGrid<double>>(problem, array, plan);
  }
  return make_exact_grid(problem, array);
}

}  // namespace narrowmac
