#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/numerics/lane_gemm.h"
#include "models/numerics/lane_operands.h"
#include "models/numerics/wide_gemm.h"

namespace narrowmac {
namespace {

/// Statistics of one row tile over all panels.
struct RowTileStatistics {
  GemmStatistics statistics;
  bool finite = true;
};

/// Everything that is the same for all tiles of an observed GEMM.
template <typename T>
struct CountingGrid {
  GemmShape shape;
  bool chunked;
  LaneA<T> a;
  LaneB<T> b;
  LaneStep<T> first, second;
  CountingLimits<T> first_limits, second_limits;
  CountingKernel<T> kernel;
  double unscale;
  const double* exact;  ///< M x N: sums without intermediate rounding

  CountingGrid(const GemmProblem& gemm, const GemmPlan& plan, const CountingKernel<T>& counting,
               const double* exact_sums)
      : shape(gemm.shape()),
        chunked(gemm.order.chunk.has_value()),
        a(gemm.a, chunked ? gemm.order.chunk->length : 0),
        b(gemm.b, counting.columns, plan.scale_exponent),
        first(lane_step<T>(gemm.mac.accumulator, plan.first, plan.scale_exponent)),
        first_limits(counting_limits<T>(gemm.mac.accumulator, plan.scale_exponent)),
        kernel(counting),
        unscale(std::ldexp(1.0, -plan.scale_exponent)),
        exact(exact_sums) {
    if (!chunked) return;
    second = lane_step<T>(gemm.order.chunk->accumulator, plan.second, plan.scale_exponent);
    second_limits = counting_limits<T>(gemm.order.chunk->accumulator, plan.scale_exponent);
  }

  /// The work of one tile: all of its products.
  CountingWork<T> work(std::int64_t row_tile, std::int64_t panel, T* sums, T* totals) const {
    CountingWork<T> work;
    const std::int64_t first_row = row_tile * kernel.rows;
    for (int r = 0; r < kernel.rows; ++r) {
      work.tile.a_rows[r] = a.row(std::min(first_row + r, shape.m - 1));
    }
    work.tile.a_step = a.step();
    work.tile.b = b.panel(panel);
    work.tile.b_step = b.step();
    work.tile.sums = sums;
    work.tile.totals = chunked ? totals : nullptr;
    work.tile.segments = a.segments().data();
    work.tile.segment_count = static_cast<std::int64_t>(a.segments().size());
    work.rows = static_cast<int>(std::min<std::int64_t>(kernel.rows, shape.m - first_row));
    work.columns =
        static_cast<int>(std::min<std::int64_t>(kernel.columns, shape.n - panel * kernel.columns));
    work.first = first_limits;
    work.second = second_limits;
    return work;
  }
};

template <typename T>
RowTileStatistics count_row_tile(const CountingGrid<T>& grid, std::int64_t row_tile) {
  const std::int64_t columns = grid.kernel.columns;
  const std::int64_t size = grid.kernel.rows * columns;
  const std::int64_t panels = grid.b.panels();
  const std::int64_t rows =
      std::min<std::int64_t>(grid.kernel.rows, grid.shape.m - row_tile * grid.kernel.rows);
  LaneBuffer<T> storage(2 * size * panels);
  std::fill_n(storage.data(), 2 * size * panels, T{0});
  LaneCounts counts;
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    T* sums = storage.data() + 2 * size * panel;
    grid.kernel.run(grid.first, grid.second, grid.work(row_tile, panel, sums, sums + size), counts);
  }
  RowTileStatistics result;
  GemmStatistics& statistics = result.statistics;
  statistics.steps = counts.steps;
  statistics.full_swamped = counts.full_swamped;
  statistics.partial_swamped = counts.partial_swamped;
  statistics.overflowed = counts.overflowed;
  statistics.underflowed = counts.underflowed;
  statistics.nonzero_products = counts.nonzero_products;
  statistics.products = rows * grid.shape.n * grid.shape.k;
  for (std::int64_t r = 0; r < rows; ++r) {
    const double* exact = grid.exact + (row_tile * grid.kernel.rows + r) * grid.shape.n;
    for (std::int64_t n = 0; n < grid.shape.n; ++n) {
      const T* values = storage.data() + 2 * size * (n / columns) + (grid.chunked ? size : 0);
      const T value = values[r * columns + n % columns];
      if (!std::isfinite(value)) result.finite = false;
      statistics.add_output(static_cast<double>(value) * grid.unscale, exact[n]);
    }
  }
  return result;
}

}  // namespace

template <typename T>
std::optional<GemmStatistics> lane_statistics(const GemmProblem& problem, const GemmPlan& plan) {
  const GemmShape shape = problem.shape();
  if (shape.m == 0 || shape.n == 0) return GemmStatistics{};
  std::vector<double> exact(static_cast<std::size_t>(shape.m * shape.n));
  wide_gemm(problem.a, problem.b, OutputView::of(exact.data(), shape.n));
  const CountingGrid<T> grid(problem, plan, select_counting_tile<T>(plan.first.rounding),
                             exact.data());
  const std::int64_t row_tiles = (shape.m + grid.kernel.rows - 1) / grid.kernel.rows;
  std::vector<RowTileStatistics> parts(static_cast<std::size_t>(row_tiles));
  tbb::parallel_for(std::int64_t{0}, row_tiles, [&](std::int64_t row_tile) {
    parts[static_cast<std::size_t>(row_tile)] = count_row_tile(grid, row_tile);
  });
  GemmStatistics total;
  for (const RowTileStatistics& part : parts) {
    if (!part.finite) return std::nullopt;
    total += part.statistics;
  }
  return total;
}

template std::optional<GemmStatistics> lane_statistics<float>(const GemmProblem&, const GemmPlan&);
template std::optional<GemmStatistics> lane_statistics<double>(const GemmProblem&, const GemmPlan&);

}  // namespace narrowmac
