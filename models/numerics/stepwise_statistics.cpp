#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/numerics/lane_operands.h"
#include "models/numerics/level_kernels.h"
#include "models/numerics/observe.h"
#include "models/numerics/random.h"

namespace narrowmac {
namespace {

/// A level of the kernels without its bounds, which are counted first and applied afterwards.
template <typename T>
LaneStep<T> unbounded(LaneStep<T> step) {
  step.clamp = step.to_infinity = false;
  step.guard_steps = 0;
  step.high = std::numeric_limits<T>::max();
  step.low = std::numeric_limits<T>::lowest();
  step.above_high = std::numeric_limits<T>::infinity();
  step.below_low = -std::numeric_limits<T>::infinity();
  return step;
}

/// What results beyond the range become, and the range.
template <typename T>
struct Bounds {
  CountingLimits<T> limits;
  T above_high, below_low;

  Bounds(const LaneStep<T>& step, const CountingLimits<T>& counting)
      : limits(counting), above_high(step.above_high), below_low(step.below_low) {
    if (step.clamp) {
      above_high = step.high;
      below_low = step.low;
    }
  }
};

/// Counts `count` additions before + addend -> after, and bounds the results. Exactness is judged
/// as in the instrumented kernels. False if a result is infinite.
template <typename T>
bool count_additions(const T* before, const T* addends, T* after, std::int64_t count,
                     const Bounds<T>& bounds, LaneCounts& counts) {
  const CountingLimits<T>& limits = bounds.limits;
  std::int32_t steps = 0, full = 0, partial = 0, overflowed = 0, underflowed = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const T acc = before[i];
    const T addend = addends[i];
    const T rounded = after[i];
    const bool step = addend != 0;
    const bool overflow = step & ((rounded > limits.high) | (rounded < limits.low));
    const bool exact = (rounded - acc == addend) & (rounded - addend == acc);
    const bool lossy = step & !overflow & !exact;
    const bool unchanged = rounded == acc;
    steps += step;
    overflowed += overflow;
    full += lossy & unchanged;
    partial += lossy & !unchanged;
    underflowed += lossy & (std::abs(rounded) < limits.smallest_normal);
  }
  counts.steps += steps;
  counts.full_swamped += full;
  counts.partial_swamped += partial;
  counts.overflowed += overflowed;
  counts.underflowed += underflowed;
  if (overflowed == 0) return true;
  bool finite = true;
  for (std::int64_t i = 0; i < count; ++i) {
    if (after[i] > limits.high) after[i] = bounds.above_high;
    if (after[i] < limits.low) after[i] = bounds.below_low;
    finite = finite && std::isfinite(after[i]);
  }
  return finite;
}

/// Everything that is the same for all tiles.
template <typename T>
struct StepGrid {
  const GemmProblem& problem;
  const std::vector<std::int64_t>& row_numbers;
  GemmShape shape;
  LevelKernels<T> kernels;
  LaneStep<T> first, second;
  Bounds<T> first_bounds, second_bounds;
  LaneA<T> a;
  LaneB<T> b;

  StepGrid(const GemmProblem& gemm, const GemmPlan& plan, const std::vector<std::int64_t>& rows)
      : problem(gemm),
        row_numbers(rows),
        shape(gemm.shape()),
        kernels(gemm, plan),
        first(unbounded(kernels.first)),
        second(unbounded(kernels.second)),
        first_bounds(kernels.first, counting_limits<T>(gemm.mac.accumulator, 0)),
        second_bounds(
            kernels.second,
            counting_limits<T>(
                gemm.order.chunk ? gemm.order.chunk->accumulator : gemm.mac.accumulator, 0)),
        a(gemm.a, gemm.order.chunk ? gemm.order.chunk->length : 0),
        b(gemm.b, kernels.tile.columns, 0) {}
};

/// One tile of outputs, a product at a time.
template <typename T>
class SteppedTile {
 public:
  SteppedTile(const StepGrid<T>& grid, std::int64_t row_tile, std::int64_t panel)
      : grid_(grid),
        first_row_(row_tile * grid.kernels.tile.rows),
        first_column_(panel * columns()),
        rows_(static_cast<int>(
            std::min<std::int64_t>(grid.kernels.tile.rows, grid.shape.m - first_row_))),
        size_(std::size_t(grid.kernels.tile.rows) * std::size_t(columns())),
        sums_(size_, grid.first.start),
        totals_(size_),
        before_(size_),
        addends_(size_),
        exact_(size_) {
    for (int r = 0; r < grid.kernels.tile.rows; ++r) work_.a_rows[r] = grid.a.row(row(r));
    work_.a_step = grid.a.step();
    work_.b = grid.b.panel(panel);
    work_.b_step = grid.b.step();
    work_.sums = sums_.data();
    if (grid.problem.order.chunk) work_.totals = totals_.data();
    place(RandomLevel::Accumulator, first_random_);
    place(RandomLevel::SecondAccumulator, second_random_);
  }

  /// False if a sum became infinite.
  bool run(GemmStatistics& statistics) {
    for (const Segment& segment : grid_.a.segments()) {
      for (std::int32_t i = 0; i < segment.length; ++i) {
        if (!add_product({segment.a_offset + i * work_.a_step, segment.k + i, 1, false})) {
          return false;
        }
      }
      if (segment.ends_chunk && !add_chunk(segment)) return false;
    }
    add_to(statistics);
    return true;
  }

 private:
  [[nodiscard]] int columns() const { return grid_.kernels.tile.columns; }
  [[nodiscard]] std::int64_t row(int r) const {
    return std::min(first_row_ + r, grid_.shape.m - 1);
  }
  void place(RandomLevel level, TileRandom& at) const {
    for (int r = 0; r < grid_.kernels.tile.rows; ++r) {
      const std::int64_t number = grid_.row_numbers[static_cast<std::size_t>(row(r))];
      const RandomRowKey key =
          random_row_key(grid_.problem.seed, grid_.problem.gemm_number, number, level);
      at.column_keys[r] = key.column;
      at.step_keys[r] = key.step;
    }
    at.first_column = first_column_;
  }

  bool add_product(const Segment& one) {
    before_ = sums_;
    work_.segments = &one;
    work_.segment_count = 1;
    work_.random = &first_random_;
    {
      const LaneDirection direction(grid_.first.rounding, grid_.first.increment);
      grid_.kernels.tile.run(grid_.first, grid_.second, work_);
    }
    const T* b = work_.b + one.k * work_.b_step;
    const std::int64_t steps_before = counts_.steps;
    for (int r = 0; r < rows_; ++r) {
      const T factor = work_.a_rows[r][one.a_offset];
      if (factor == 0) continue;
      const std::size_t line = std::size_t(r) * std::size_t(columns());
      for (std::size_t c = 0; c < std::size_t(columns()); ++c) {
        addends_[line + c] = factor * b[c];
        exact_[line + c] += static_cast<double>(addends_[line + c]);
      }
      if (!count_additions(&before_[line], &addends_[line], &sums_[line], columns(),
                           grid_.first_bounds, counts_)) {
        return false;
      }
    }
    nonzero_products_ += counts_.steps - steps_before;
    return true;
  }

  bool add_chunk(const Segment& segment) {
    addends_ = sums_;
    before_ = totals_;
    work_.random = &second_random_;
    {
      const LaneDirection direction(grid_.second.rounding, grid_.second.increment);
      grid_.kernels.add(grid_.first, grid_.second, work_, grid_.kernels.tile.rows, columns(),
                        segment.k / grid_.problem.order.chunk->length);
    }
    const std::int64_t count = std::int64_t{rows_} * columns();
    return count_additions(before_.data(), addends_.data(), totals_.data(), count,
                           grid_.second_bounds, counts_);
  }

  void add_to(GemmStatistics& statistics) const {
    const std::vector<T>& results = grid_.problem.order.chunk ? totals_ : sums_;
    const std::int64_t outputs = std::min<std::int64_t>(columns(), grid_.shape.n - first_column_);
    for (int r = 0; r < rows_; ++r) {
      for (std::int64_t c = 0; c < outputs; ++c) {
        const auto at = static_cast<std::size_t>(r * std::int64_t{columns()} + c);
        statistics.add_output(static_cast<double>(results[at]), exact_[at]);
      }
    }
    statistics.steps += counts_.steps;
    statistics.full_swamped += counts_.full_swamped;
    statistics.partial_swamped += counts_.partial_swamped;
    statistics.overflowed += counts_.overflowed;
    statistics.underflowed += counts_.underflowed;
    statistics.nonzero_products += nonzero_products_;
    statistics.products += rows_ * outputs * grid_.shape.k;
  }

  const StepGrid<T>& grid_;
  std::int64_t first_row_, first_column_;
  int rows_;
  std::size_t size_;
  std::vector<T> sums_, totals_, before_, addends_;
  std::vector<double> exact_;
  TileRandom first_random_, second_random_;
  TileWork<T> work_;
  LaneCounts counts_;
  std::int64_t nonzero_products_ = 0;
};

}  // namespace

template <typename T>
std::optional<GemmStatistics> stepwise_statistics(const GemmProblem& problem, const GemmPlan& plan,
                                                  const std::vector<std::int64_t>& row_numbers) {
  const StepGrid<T> grid(problem, plan, row_numbers);
  const int rows = grid.kernels.tile.rows;
  const std::int64_t panels = grid.b.panels();
  const std::int64_t tiles = (grid.shape.m + rows - 1) / rows * panels;
  std::vector<std::optional<GemmStatistics>> parts(static_cast<std::size_t>(tiles));
  tbb::parallel_for(std::int64_t{0}, tiles, [&](std::int64_t tile) {
    GemmStatistics statistics;
    if (SteppedTile<T>(grid, tile / panels, tile % panels).run(statistics)) {
      parts[static_cast<std::size_t>(tile)] = statistics;
    }
  });
  GemmStatistics total;
  for (const std::optional<GemmStatistics>& part : parts) {
    if (!part) return std::nullopt;
    total += *part;
  }
  return total;
}

template std::optional<GemmStatistics> stepwise_statistics<float>(const GemmProblem&,
                                                                  const GemmPlan&,
                                                                  const std::vector<std::int64_t>&);
template std::optional<GemmStatistics> stepwise_statistics<double>(
    const GemmProblem&, const GemmPlan&, const std::vector<std::int64_t>&);

}  // namespace narrowmac
