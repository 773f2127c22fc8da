#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "models/numerics/group_gemm.h"
#include "models/numerics/kernel_dot.h"
#include "models/numerics/random.h"
#include "models/numerics/reference.h"

namespace narrowmac {
namespace {

/// Products of a row of A that are packed at a time, about.
constexpr std::int64_t kPieceProducts = 512;
constexpr std::int64_t kMaxRowsPerTask = 16;

DotDesign design_of(const GemmProblem& problem) {
  const Conversion& to = problem.mac.accumulator;
  const Dot& dot = *problem.order.dot;
  DotDesign design;
  design.terms = dot.terms;
  design.fraction_bits = dot.fraction_bits;
  design.alignment = dot.alignment;
  design.separate = dot.accumulator == DotAccumulator::Separate;
  design.mode = to.rounding.mode;
  design.random_bits = to.rounding.random_bits;
  design.accumulator_fraction_bits = to.format.fraction_bits;
  design.accumulator_min_exponent = to.format.min_exponent();
  design.subnormals = to.subnormals;
  design.high = to.format.max_value();
  const bool saturates =
      to.overflow == Overflow::Saturate || to.rounding.mode == RoundingMode::TowardZero;
  if (saturates || to.rounding.mode == RoundingMode::Down) design.above_high = design.high;
  if (saturates) design.below_low = -design.high;
  return design;
}

/// Everything that is the same for all tiles.
template <typename T>
struct DotGrid {
  const GemmProblem& problem;
  GemmShape shape;
  DotDesign design;
  DotKernel<T> kernel;
  RowPacker<T> a;
  LaneB<T> b;
  LaneBuffer<LaneExponent<T>> b_exponents;
  std::int64_t piece;  ///< products: whole groups
  int a_min_exponent;
  bool sums_in_pairs;  ///< a group's sum may have more bits than a double, as GroupPlan says

  DotGrid(const GemmProblem& gemm, const GemmPlan& plan)
      : problem(gemm),
        shape(gemm.shape()),
        design(design_of(gemm)),
        kernel(select_dot_kernel<T>(design.alignment)),
        a(gemm.a),
        b(gemm.b, kernel.columns, 0),
        b_exponents(std::max<std::int64_t>(1, b.panels() * shape.k * kernel.columns)),
        piece(design.terms * std::max<std::int64_t>(1, kPieceProducts / design.terms)),
        a_min_exponent(gemm.mac.a.min_exponent()),
        sums_in_pairs(plan.groups.group_sums_in_pairs) {
    const int min_exponent = gemm.mac.b.min_exponent();
    tbb::parallel_for(std::int64_t{0}, b.panels() * ((shape.k + piece - 1) / piece),
                      [&](std::int64_t task) {
                        const std::int64_t panel = task % b.panels();
                        const std::int64_t first = task / b.panels() * piece;
                        const std::int64_t last = std::min(shape.k, first + piece);
                        for (std::int64_t k = first; k < last; ++k) {
                          kernel.exponents(b.panel(panel) + k * b.step(), kernel.columns,
                                           min_exponent, exponents(panel, k));
                        }
                      });
  }
  [[nodiscard]] LaneExponent<T>* exponents(std::int64_t panel, std::int64_t k) const {
    return b_exponents.data() + (panel * shape.k + k) * kernel.columns;
  }
  [[nodiscard]] std::int64_t tile_size() const { return std::int64_t{kDotRows} * kernel.columns; }
};

/// Some rows of A, a piece of k at a time, with their exponents. Rows beyond the last are zeros.
template <typename T>
class PackedRows {
 public:
  PackedRows(const DotGrid<T>& grid, std::int64_t first_row, std::int64_t rows)
      : grid_(grid),
        first_row_(first_row),
        rows_(rows),
        values_(static_cast<std::size_t>(padded_rows() * grid.piece)),
        exponents_(values_.size()) {}

  [[nodiscard]] std::int64_t padded_rows() const { return (rows_ + 1) / kDotRows * kDotRows; }

  void load(std::int64_t k, std::int64_t count) {
    for (std::int64_t r = 0; r < rows_; ++r) {
      grid_.a.pack(first_row_ + r, k, count, values_.data() + r * grid_.piece);
    }
    grid_.kernel.exponents(values_.data(), padded_rows() * grid_.piece, grid_.a_min_exponent,
                           exponents_.data());
  }
  [[nodiscard]] const T* row(std::int64_t r) const { return values_.data() + r * grid_.piece; }

  /// Tile row `tile` of the rows and a panel, from product `first` of the piece at k on.
  DotWork<T> work(std::int64_t tile, std::int64_t panel, std::int64_t k, std::int64_t first) const {
    const std::int64_t offset = tile * kDotRows * grid_.piece + first;
    DotWork<T> work;
    work.a = values_.data() + offset;
    work.a_exponents = exponents_.data() + offset;
    work.a_stride = grid_.piece;
    work.b = grid_.b.panel(panel) + (k + first) * grid_.b.step();
    work.b_step = grid_.b.step();
    work.b_exponents = grid_.exponents(panel, k + first);
    work.first_column = panel * grid_.kernel.columns;
    work.first_group = (k + first) / grid_.design.terms;
    return work;
  }

 private:
  const DotGrid<T>& grid_;
  std::int64_t first_row_, rows_;
  std::vector<T> values_;
  std::vector<LaneExponent<T>> exponents_;
};

template <typename T>
void set_keys(const GemmProblem& problem, std::int64_t row, int r, DotWork<T>& work) {
  if (problem.mac.accumulator.rounding.random_bits == 0) return;
  work.keys[r] = random_row_key(problem.seed, problem.gemm_number, row, RandomLevel::Accumulator);
}

/// Rows [first, last) of the outputs, all columns.
template <typename T>
void run_rows(const DotGrid<T>& grid, bool zeros_recomputed, std::int64_t first, std::int64_t last,
              const OutputView& out) {
  const GemmShape& shape = grid.shape;
  const std::int64_t panels = grid.b.panels();
  const int columns = grid.kernel.columns;
  PackedRows<T> rows(grid, first, last - first);
  const std::int64_t tile_rows = rows.padded_rows() / kDotRows;
  std::vector<double> sums(static_cast<std::size_t>(tile_rows * panels * grid.tile_size()));
  const auto sum_at = [&](std::int64_t m, std::int64_t n) -> double& {
    const std::int64_t tile = (m - first) / kDotRows * panels + n / columns;
    return sums[static_cast<std::size_t>(tile * grid.tile_size() +
                                         (m - first) % kDotRows * columns + n % columns)];
  };
  if (grid.problem.c0) {
    for (std::int64_t m = first; m < last; ++m) {
      for (std::int64_t n = 0; n < shape.n; ++n) {
        // What is not finite stays no number, and is recomputed.
        const double start = initial_value(grid.problem, m, n);
        sum_at(m, n) = std::isfinite(start) ? start : std::numeric_limits<double>::quiet_NaN();
      }
    }
  }
  for (std::int64_t k = 0; k < shape.k; k += grid.piece) {
    const std::int64_t count = std::min(grid.piece, shape.k - k);
    rows.load(k, count);
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      for (std::int64_t tile = 0; tile < tile_rows; ++tile) {
        DotWork<T> work = rows.work(tile, panel, k, 0);
        work.length = count;
        work.sums = sums.data() + (tile * panels + panel) * grid.tile_size();
        for (int r = 0; r < kDotRows; ++r) {
          set_keys(grid.problem, first + tile * kDotRows + r, r, work);
        }
        grid.kernel.run(grid.design, work);
      }
    }
  }
  for (std::int64_t m = first; m < last; ++m) {
    for (std::int64_t n = 0; n < shape.n; ++n) {
      const double value = sum_at(m, n);
      const bool proven = value == 0 ? !zeros_recomputed : std::isfinite(value);
      out.store(m, n, proven ? value : reference_output(grid.problem, m, n));
    }
  }
}

template <typename T>
void run_dot(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  const DotGrid<T> grid(problem, plan);
  const std::int64_t m = grid.shape.m;
  const std::int64_t threads = tbb::this_task_arena::max_concurrency();
  const std::int64_t per_task =
      std::clamp<std::int64_t>(m / (4 * threads) / kDotRows * kDotRows, kDotRows, kMaxRowsPerTask);
  tbb::parallel_for(std::int64_t{0}, (m + per_task - 1) / per_task, [&](std::int64_t task) {
    run_rows(grid, plan.groups.zeros_recomputed, task * per_task,
             std::min(m, (task + 1) * per_task), out);
  });
}

/// high + low = x + y, high nearest to it (Knuth, The Art of Computer Programming 2, 4.2.2, Theorem
/// B).
struct TwoSum {
  double high, low;
  TwoSum(double x, double y) : high(x + y) {
    const double part = high - x;
    low = (x - (high - part)) + (y - part);
  }
};

/// x + y + z is exactly `sum`. A number has one form as the nearest double and a rest, so that two
/// such pairs are opposite numbers if and only if their parts are.
bool is_exact_sum(double x, double y, double z, double sum) {
  const TwoSum two(x, y);
  const TwoSum remaining(two.high, -sum);
  const TwoSum rest(two.low, z);
  return remaining.high == -rest.high && remaining.low == -rest.low;
}

/// A tile of outputs, a group at a time: what each group did is told by comparing the accumulators
/// before and after with the exact sum of its products.
class CountedTile {
 public:
  CountedTile(const DotGrid<double>& grid, const DotDesign& unbounded, std::int64_t panel)
      : grid_(grid),
        unbounded_(unbounded),
        panel_(panel),
        columns_(std::min<std::int64_t>(grid.kernel.columns,
                                        grid.shape.n - panel * grid.kernel.columns)),
        sums_(static_cast<std::size_t>(grid.tile_size())),
        before_(sums_.size()),
        exact_(sums_.size()),
        exact_low_(sums_.size()),
        group_(sums_.size()),
        group_low_(sums_.size()) {}

  /// False if a sum left the range and is no number.
  bool run(const PackedRows<double>& rows, int valid_rows, std::int64_t k, std::int64_t count,
           const RandomRowKey* keys, GemmStatistics& statistics) {
    const std::int64_t terms = grid_.design.terms;
    for (std::int64_t first = 0; first < count; first += terms) {
      DotWork<double> work = rows.work(0, panel_, k, first);
      work.length = std::min(terms, count - first);
      work.sums = sums_.data();
      std::copy_n(keys, kDotRows, work.keys);
      before_ = sums_;
      grid_.kernel.run(unbounded_, work);
      add_group(work, valid_rows, statistics);
      for (int r = 0; r < valid_rows; ++r) {
        if (!judge(static_cast<std::size_t>(r) * row_step(), statistics)) return false;
      }
    }
    return true;
  }
  void add_outputs(int row, GemmStatistics& statistics) const {
    for (std::int64_t c = 0; c < columns_; ++c) {
      const std::size_t at =
          static_cast<std::size_t>(row) * row_step() + static_cast<std::size_t>(c);
      statistics.add_output(sums_[at], exact_[at] + exact_low_[at]);
    }
  }

 private:
  [[nodiscard]] std::size_t row_step() const {
    return static_cast<std::size_t>(grid_.kernel.columns);
  }
  void add_group(const DotWork<double>& work, int valid_rows, GemmStatistics& statistics) {
    std::fill(group_.begin(), group_.end(), 0.0);
    std::fill(group_low_.begin(), group_low_.end(), 0.0);
    const auto columns = static_cast<std::size_t>(columns_);
    for (int r = 0; r < valid_rows; ++r) {
      const std::size_t line = static_cast<std::size_t>(r) * row_step();
      for (std::int64_t t = 0; t < work.length; ++t) {
        const double factor = work.a[r * work.a_stride + t];
        if (factor == 0) continue;
        const double* b = work.b + t * work.b_step;
        if (grid_.sums_in_pairs) {
          add_products_in_pairs(factor, b, group_.data() + line, group_low_.data() + line);
        } else {
          for (std::size_t c = 0; c < columns; ++c) group_[line + c] += factor * b[c];
        }
        std::int64_t nonzero = 0;
        for (std::size_t c = 0; c < columns; ++c) nonzero += b[c] != 0 ? 1 : 0;
        statistics.nonzero_products += nonzero;
      }
    }
  }
  /// The low parts are multiples of the products' quantum and small enough to be exact.
  void add_products_in_pairs(double factor, const double* b, double* high, double* low) const {
    for (std::size_t c = 0; c < static_cast<std::size_t>(columns_); ++c) {
      const TwoSum sum(high[c], factor * b[c]);
      high[c] = sum.high;
      low[c] += sum.low;
    }
  }
  bool judge(std::size_t line, GemmStatistics& statistics) {
    const Conversion& to = grid_.problem.mac.accumulator;
    const double normal = to.format.smallest_normal();
    const DotDesign& bounds = grid_.design;
    bool finite = true;
    for (std::size_t i = line; i < line + static_cast<std::size_t>(columns_); ++i) {
      const TwoSum addend(group_[i], group_low_[i]);
      const TwoSum exact(exact_[i], addend.high);
      exact_[i] = exact.high;
      exact_low_[i] += exact.low + addend.low;
      if (addend.high == 0) continue;
      const double acc = before_[i];
      const double after = sums_[i];
      ++statistics.steps;
      if (std::fabs(after) > bounds.high) {
        ++statistics.overflowed;
        sums_[i] = after > 0 ? bounds.above_high : bounds.below_low;
        finite = finite && std::isfinite(sums_[i]);
        continue;
      }
      if (is_exact_sum(acc, addend.high, addend.low, after)) continue;
      ++(after == acc ? statistics.full_swamped : statistics.partial_swamped);
      if (std::fabs(after) < normal) ++statistics.underflowed;
    }
    return finite;
  }

  const DotGrid<double>& grid_;
  const DotDesign& unbounded_;
  std::int64_t panel_, columns_;
  /// A group's products add up to group_ + group_low_, exactly.
  std::vector<double> sums_, before_, exact_, exact_low_, group_, group_low_;
};

/// The observed rows of one tile row. Empty if a sum is no number.
std::optional<GemmStatistics> count_rows(const DotGrid<double>& grid, const DotDesign& unbounded,
                                         const std::vector<std::int64_t>& row_numbers,
                                         std::int64_t first) {
  const GemmShape& shape = grid.shape;
  const auto valid = static_cast<int>(std::min<std::int64_t>(kDotRows, shape.m - first));
  PackedRows<double> rows(grid, first, valid);
  DotWork<double> keys;
  for (int r = 0; r < valid; ++r) {
    set_keys(grid.problem, row_numbers[static_cast<std::size_t>(first + r)], r, keys);
  }
  GemmStatistics statistics;
  std::vector<CountedTile> tiles;
  for (std::int64_t panel = 0; panel < grid.b.panels(); ++panel) {
    tiles.emplace_back(grid, unbounded, panel);
  }
  for (std::int64_t k = 0; k < shape.k; k += grid.piece) {
    const std::int64_t count = std::min(grid.piece, shape.k - k);
    rows.load(k, count);
    for (CountedTile& tile : tiles) {
      if (!tile.run(rows, valid, k, count, keys.keys, statistics)) return std::nullopt;
    }
  }
  for (int r = 0; r < valid; ++r) {
    for (const CountedTile& tile : tiles) tile.add_outputs(r, statistics);
  }
  statistics.products += valid * shape.n * shape.k;
  return statistics;
}

}  // namespace

void dot_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  if (plan.groups.kernel == GroupPlan::Kernel::DotFloat32) {
    run_dot<float>(problem, plan, out);
  } else {
    run_dot<double>(problem, plan, out);
  }
}

std::optional<GemmStatistics> dot_statistics(const GemmProblem& problem, const GemmPlan& plan,
                                             const std::vector<std::int64_t>& row_numbers) {
  const DotGrid<double> grid(problem, plan);
  DotDesign unbounded = grid.design;
  unbounded.high = std::numeric_limits<double>::infinity();
  const std::int64_t tiles = (grid.shape.m + kDotRows - 1) / kDotRows;
  std::vector<std::optional<GemmStatistics>> parts(static_cast<std::size_t>(tiles));
  tbb::parallel_for(std::int64_t{0}, tiles, [&](std::int64_t tile) {
    parts[static_cast<std::size_t>(tile)] =
        count_rows(grid, unbounded, row_numbers, tile * kDotRows);
  });
  GemmStatistics total;
  for (const std::optional<GemmStatistics>& part : parts) {
    if (!part) return std::nullopt;
    total += *part;
  }
  return total;
}

}  // namespace narrowmac
