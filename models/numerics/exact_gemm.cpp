#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/numerics/dot_unit.h"
#include "models/numerics/group_gemm.h"
#include "models/numerics/kernel_dot.h"
#include "models/numerics/random.h"
#include "models/numerics/reference.h"

namespace narrowmac {
namespace {

/// Products of a row of A that are packed at a time.
constexpr std::int64_t kSliceLength = 512;

/// Cuts values into slices of the bits between their quantum and their bound, the lowest first:
/// their sum is the value.
class Slicer {
 public:
  Slicer(const OperandRange& range, int slices) : slices_(slices) {
    const int width = range.zero ? 1 : range.max_exponent + 1 - range.quantum_exponent;
    slice_bits_ = (width + slices - 1) / slices;
    quantum_ = range.quantum_exponent;
  }
  [[nodiscard]] int slices() const { return slices_; }
  /// Slice s of `count` values goes to `to` + s * distance.
  void cut(const double* values, std::int64_t count, double* to, std::int64_t distance) const {
    std::copy_n(values, count, to);
    for (int s = slices_ - 1; s > 0; --s) {
      const double unit = std::ldexp(1.0, quantum_ + s * slice_bits_);
      const double inverse = 1 / unit;
      double* slice = to + s * distance;
      for (std::int64_t i = 0; i < count; ++i) {
        slice[i] = std::trunc(to[i] * inverse) * unit;
        to[i] -= slice[i];
      }
    }
  }

 private:
  int slices_, slice_bits_, quantum_;
};

/// Everything that is the same for all outputs.
struct ExactGridOfSums {
  const GemmProblem& problem;
  GemmShape shape;
  RoundingTarget target;
  bool zeros_recomputed;
  SumKernel kernel;
  Slicer a_slicer, b_slicer;
  RowPacker<double> a;
  LaneB<double> b;
  LaneBuffer<double> b_copies;  ///< of panel, k: the slices of a row of the panel
  const std::vector<std::int64_t>* row_numbers;

  ExactGridOfSums(const GemmProblem& gemm, const GemmPlan& plan,
                  const std::vector<std::int64_t>* rows)
      : problem(gemm),
        shape(gemm.shape()),
        target(gemm.mac.accumulator),
        zeros_recomputed(plan.groups.zeros_recomputed),
        kernel(select_sum_kernel()),
        a_slicer(plan.a, plan.groups.a_slices),
        b_slicer(plan.b, plan.groups.b_slices),
        a(gemm.a),
        b(gemm.b, kernel.columns, 0),
        row_numbers(rows) {
    if (b_slicer.slices() == 1) return;
    const std::int64_t columns = kernel.columns;
    b_copies = LaneBuffer<double>(b.panels() * shape.k * columns * b_slicer.slices());
    tbb::parallel_for(std::int64_t{0}, b.panels() * shape.k, [&](std::int64_t line) {
      const std::int64_t k = line % shape.k;
      b_slicer.cut(b.panel(line / shape.k) + k * b.step(), columns,
                   b_copies.data() + line * columns * b_slicer.slices(), columns);
    });
  }
  [[nodiscard]] const double* panel(std::int64_t index, int slice) const {
    if (b_slicer.slices() == 1) return b.panel(index);
    return b_copies.data() +
           (index * shape.k * b_slicer.slices() + slice) * std::int64_t{kernel.columns};
  }
  [[nodiscard]] std::int64_t step() const {
    return b_slicer.slices() == 1 ? b.step() : std::int64_t{kernel.columns} * b_slicer.slices();
  }
  [[nodiscard]] int parts() const { return a_slicer.slices() * b_slicer.slices(); }
  [[nodiscard]] std::int64_t tile_size() const {
    return std::int64_t{kernel.rows} * kernel.columns;
  }
};

/// What becomes of one output's sums of slices.
struct RoundedOutput {
  StepOutcome outcome;
  double exact = 0;  ///< to the nearest double
};

RoundedOutput round_output(const ExactGridOfSums& grid, const double* parts, std::int64_t distance,
                           std::uint32_t random) {
  RoundedOutput output;
  if (grid.parts() == 1) {
    output.exact = parts[0] + 0.0;
    output.outcome = round_double(grid.target, output.exact, random);
    return output;
  }
  ExactTotal total;
  for (int p = 0; p < grid.parts(); ++p) {
    total.add(unpack(parts[p * distance]));
    output.exact += parts[p * distance];
  }
  output.outcome = total.round(grid.target, 0, random);
  return output;
}

/// The sums of one tile of rows, all columns.
class ExactRows {
 public:
  ExactRows(const ExactGridOfSums& grid, std::int64_t first)
      : grid_(grid),
        first_(first),
        valid_(std::min<std::int64_t>(grid.kernel.rows, grid.shape.m - first)),
        sums_(static_cast<std::size_t>(grid.b.panels() * grid.parts() * grid.tile_size())),
        values_(static_cast<std::size_t>(grid.kernel.rows * kSliceLength)),
        slices_(values_.size() * static_cast<std::size_t>(grid.a_slicer.slices())) {}

  void add_products(std::int64_t* nonzero_products) {
    for (std::int64_t k = 0; k < grid_.shape.k; k += kSliceLength) {
      const std::int64_t count = std::min(kSliceLength, grid_.shape.k - k);
      for (std::int64_t r = 0; r < valid_; ++r) {
        grid_.a.pack(first_ + r, k, count, values_.data() + r * kSliceLength);
      }
      grid_.a_slicer.cut(values_.data(), std::ssize(values_), slices_.data(), std::ssize(values_));
      for (std::int64_t panel = 0; panel < grid_.b.panels(); ++panel) add_piece(panel, k, count);
      if (nonzero_products != nullptr) *nonzero_products += count_nonzero(k, count);
    }
  }
  /// The parts of output (first + r, n), tile_size() apart.
  [[nodiscard]] const double* parts(std::int64_t r, std::int64_t n) const {
    const std::int64_t columns = grid_.kernel.columns;
    return sums_.data() + n / columns * grid_.parts() * grid_.tile_size() + r * columns +
           n % columns;
  }
  [[nodiscard]] std::int64_t valid() const { return valid_; }
  /// Of the output's only rounding.
  [[nodiscard]] std::uint32_t random(std::int64_t r, std::int64_t n) const {
    const int bits = grid_.problem.mac.accumulator.rounding.random_bits;
    if (bits == 0) return 0;
    const std::int64_t m = grid_.row_numbers == nullptr
                               ? first_ + r
                               : (*grid_.row_numbers)[static_cast<std::size_t>(first_ + r)];
    return random_bits_at(grid_.problem.seed, grid_.problem.gemm_number, m, n,
                          RandomLevel::Accumulator, grid_.shape.k - 1, bits);
  }

 private:
  void add_piece(std::int64_t panel, std::int64_t k, std::int64_t count) {
    double* sums = sums_.data() + panel * grid_.parts() * grid_.tile_size();
    for (int i = 0; i < grid_.a_slicer.slices(); ++i) {
      const double* rows[8];
      for (int r = 0; r < grid_.kernel.rows; ++r) {
        rows[r] = slices_.data() + i * std::ssize(values_) + r * kSliceLength;
      }
      for (int j = 0; j < grid_.b_slicer.slices(); ++j) {
        grid_.kernel.run(rows, 1, grid_.panel(panel, j) + k * grid_.step(), grid_.step(), count,
                         sums + (i * grid_.b_slicer.slices() + j) * grid_.tile_size());
      }
    }
  }
  [[nodiscard]] std::int64_t count_nonzero(std::int64_t k, std::int64_t count) const {
    std::int64_t nonzero = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t rows = 0;
      for (std::int64_t r = 0; r < valid_; ++r) {
        rows += values_[static_cast<std::size_t>(r * kSliceLength + i)] != 0 ? 1 : 0;
      }
      if (rows == 0) continue;
      std::int64_t columns = 0;
      for (std::int64_t panel = 0; panel < grid_.b.panels(); ++panel) {
        const double* line = grid_.b.panel(panel) + (k + i) * grid_.b.step();
        for (int c = 0; c < grid_.kernel.columns; ++c) columns += line[c] != 0 ? 1 : 0;
      }
      nonzero += rows * columns;
    }
    return nonzero;
  }

  const ExactGridOfSums& grid_;
  std::int64_t first_, valid_;
  std::vector<double> sums_, values_, slices_;
};

void count_output(const ExactGridOfSums& grid, const double* parts, const RoundedOutput& output,
                  GemmStatistics& statistics) {
  const StepOutcome& outcome = output.outcome;
  ExactSum sum;
  if (grid.parts() > 1) {
    for (int p = 0; p < grid.parts(); ++p) sum.add(unpack(parts[p * grid.tile_size()]));
  }
  const bool counts = grid.parts() > 1 ? !sum.is_zero() : output.exact != 0;
  if (counts) {
    ++statistics.steps;
    if (outcome.overflow) {
      ++statistics.overflowed;
    } else if (outcome.inexact) {
      ++(outcome.value == 0 ? statistics.full_swamped : statistics.partial_swamped);
    }
    if (outcome.underflow) ++statistics.underflowed;
  }
  if (std::isfinite(outcome.value)) statistics.add_output(outcome.value, output.exact);
}

template <typename Body>
void for_tiles(const ExactGridOfSums& grid, const Body& body) {
  const std::int64_t rows = grid.kernel.rows;
  tbb::parallel_for(std::int64_t{0}, (grid.shape.m + rows - 1) / rows,
                    [&](std::int64_t tile) { body(tile, tile * rows); });
}

}  // namespace

void exact_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  const ExactGridOfSums grid(problem, plan, nullptr);
  for_tiles(grid, [&](std::int64_t /*tile*/, std::int64_t first) {
    ExactRows rows(grid, first);
    rows.add_products(nullptr);
    for (std::int64_t r = 0; r < rows.valid(); ++r) {
      for (std::int64_t n = 0; n < grid.shape.n; ++n) {
        const double value =
            round_output(grid, rows.parts(r, n), grid.tile_size(), rows.random(r, n)).outcome.value;
        const bool proven = value != 0 || !grid.zeros_recomputed;
        out.store(first + r, n, proven ? value : reference_output(problem, first + r, n));
      }
    }
  });
}

GemmStatistics exact_statistics(const GemmProblem& problem, const GemmPlan& plan,
                                const std::vector<std::int64_t>& row_numbers) {
  const ExactGridOfSums grid(problem, plan, &row_numbers);
  const std::int64_t tiles = (grid.shape.m + grid.kernel.rows - 1) / grid.kernel.rows;
  std::vector<GemmStatistics> parts(static_cast<std::size_t>(tiles));
  for_tiles(grid, [&](std::int64_t tile, std::int64_t first) {
    GemmStatistics& statistics = parts[static_cast<std::size_t>(tile)];
    ExactRows rows(grid, first);
    rows.add_products(&statistics.nonzero_products);
    for (std::int64_t r = 0; r < rows.valid(); ++r) {
      for (std::int64_t n = 0; n < grid.shape.n; ++n) {
        const double* sums = rows.parts(r, n);
        count_output(grid, sums, round_output(grid, sums, grid.tile_size(), rows.random(r, n)),
                     statistics);
      }
    }
    statistics.products += rows.valid() * grid.shape.n * grid.shape.k;
  });
  GemmStatistics total;
  for (const GemmStatistics& part : parts) total += part;
  return total;
}

}  // namespace narrowmac
