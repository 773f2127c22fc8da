#include "models/numerics/lane_gemm.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "models/numerics/gradient_gemm.h"
#include "models/numerics/lane_operands.h"
#include "models/numerics/reference.h"

namespace narrowmac {
namespace {

/// Products of one piece of the accumulation: operands of a group of tiles stay in the L2 cache
/// meanwhile.
constexpr std::int64_t kPieceLength = 512;
constexpr std::int64_t kMaxTilesPerTask = 32;

/// Where pieces of about kPieceLength products begin in the list of segments.
std::vector<std::int64_t> piece_starts(const std::vector<Segment>& segments) {
  std::vector<std::int64_t> starts = {0};
  std::int64_t length = 0;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    length += segments[s].length;
    if (length >= kPieceLength && s + 1 < segments.size()) {
      starts.push_back(static_cast<std::int64_t>(s) + 1);
      length = 0;
    }
  }
  starts.push_back(static_cast<std::int64_t>(segments.size()));
  return starts;
}

/// Everything that is the same for all tiles of a GEMM.
template <typename T>
struct TileGrid {
  const GemmProblem& problem;
  GemmShape shape;
  LaneA<T> a;
  LaneB<T> b;
  LaneStep<T> first, second;
  int tile_rows, tile_columns;
  std::int64_t row_tiles;
  double unscale;

  TileGrid(const GemmProblem& gemm, const GemmPlan& plan, int rows, int columns)
      : problem(gemm),
        shape(gemm.shape()),
        a(gemm.a, gemm.order.chunk ? gemm.order.chunk->length : 0),
        b(gemm.b, columns, plan.scale_exponent),
        first(lane_step<T>(gemm.mac.accumulator, plan.first, plan.scale_exponent)),
        tile_rows(rows),
        tile_columns(columns),
        row_tiles((shape.m + rows - 1) / rows),
        unscale(std::ldexp(1.0, -plan.scale_exponent)) {
    if (gemm.order.chunk)
      second = lane_step<T>(gemm.order.chunk->accumulator, plan.second, plan.scale_exponent);
  }
  [[nodiscard]] bool chunked() const { return problem.order.chunk.has_value(); }
  [[nodiscard]] std::int64_t tile_size() const { return std::int64_t{tile_rows} * tile_columns; }

  /// The work of one tile, but for its segments.
  TileWork<T> work(std::int64_t row_tile, std::int64_t panel, T* sums, T* totals) const {
    TileWork<T> tile;
    for (int r = 0; r < tile_rows; ++r) {
      tile.a_rows[r] = a.row(std::min(row_tile * tile_rows + r, shape.m - 1));
    }
    tile.a_step = a.step();
    tile.b = b.panel(panel);
    tile.b_step = b.step();
    tile.sums = sums;
    tile.totals = chunked() ? totals : nullptr;
    return tile;
  }
};

/// True if no value is an infinity or NaN: an integer reduction, so that it vectorises.
template <typename T>
bool all_finite(const T* values, std::int64_t count) {
  using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Word kSpecial = std::bit_cast<Word>(std::numeric_limits<T>::infinity());
  Word largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, static_cast<Word>(std::bit_cast<Word>(values[i]) & kSpecial));
  }
  return largest != kSpecial;
}

/// A run of finite results in one row.
template <typename T>
void store_row(const OutputView& out, std::int64_t row, std::int64_t column, std::int64_t count,
               const T* values, double unscale) {
  const std::int64_t first = row * out.row_stride + column;
  if (out.f32 != nullptr) {
    const T factor = static_cast<T>(unscale);
    for (std::int64_t c = 0; c < count; ++c)
      out.f32[first + c] = static_cast<float>(values[c] * factor);
  } else {
    for (std::int64_t c = 0; c < count; ++c)
      out.f64[first + c] = static_cast<double>(values[c]) * unscale;
  }
}

/// Stores a finished tile; what is not finite is recomputed, since a lane leaves the finite numbers
/// early.
template <typename T>
void store_tile(const TileGrid<T>& grid, std::int64_t row_tile, std::int64_t panel, const T* values,
                const OutputView& out) {
  const std::int64_t first_row = row_tile * grid.tile_rows;
  const std::int64_t first_column = panel * grid.tile_columns;
  const std::int64_t rows = std::min<std::int64_t>(grid.tile_rows, grid.shape.m - first_row);
  const std::int64_t columns =
      std::min<std::int64_t>(grid.tile_columns, grid.shape.n - first_column);
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* line = values + r * grid.tile_columns;
    const std::int64_t row = first_row + r;
    store_row(out, row, first_column, columns, line, grid.unscale);
    if (all_finite(line, columns)) continue;
    for (std::int64_t c = 0; c < columns; ++c) {
      if (!std::isfinite(line[c])) {
        out.store(row, first_column + c, reference_output(grid.problem, row, first_column + c));
      }
    }
  }
}

/// Computes a range of tiles, piece by piece of the accumulation.
template <typename T>
void run_tiles(const TileGrid<T>& grid, const TileKernel<T>& kernel,
               const std::vector<std::int64_t>& pieces, std::int64_t begin, std::int64_t end,
               const OutputView& out) {
  const std::int64_t size = grid.tile_size();
  LaneBuffer<T> storage(2 * (end - begin) * size);
  std::fill_n(storage.data(), 2 * (end - begin) * size, T{0});
  const auto sums = [&](std::int64_t tile) { return storage.data() + 2 * (tile - begin) * size; };
  std::vector<TileWork<T>> works;
  works.reserve(static_cast<std::size_t>(end - begin));
  for (std::int64_t tile = begin; tile < end; ++tile) {
    works.push_back(
        grid.work(tile % grid.row_tiles, tile / grid.row_tiles, sums(tile), sums(tile) + size));
  }
  for (std::size_t piece = 0; piece + 1 < pieces.size(); ++piece) {
    for (TileWork<T>& work : works) {
      work.segments = grid.a.segments().data() + pieces[piece];
      work.segment_count = pieces[piece + 1] - pieces[piece];
      kernel.run(grid.first, grid.second, work);
    }
  }
  for (std::int64_t tile = begin; tile < end; ++tile) {
    const T* values = grid.chunked() ? sums(tile) + size : sums(tile);
    store_tile(grid, tile % grid.row_tiles, tile / grid.row_tiles, values, out);
  }
}

}  // namespace

template <typename T>
void lane_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  const GemmShape shape = problem.shape();
  if (shape.m == 0 || shape.n == 0) return;
  if constexpr (std::is_same_v<T, float>) {
    const GradientKernel gradient = choose_gradient_kernel(problem, plan).kernel;
    if (gradient != GradientKernel::Tiles) return run_gradient_kernel(problem, plan, gradient, out);
  }
  const bool clamp = plan.first.clamp;
  const TileKernel<T> kernel = select_tile<T>(shape.n, plan.first.rounding, clamp);
  const TileGrid<T> grid(problem, plan, kernel.rows, kernel.columns);
  const std::vector<std::int64_t> pieces = piece_starts(grid.a.segments());
  const std::int64_t tiles = grid.row_tiles * grid.b.panels();
  const std::int64_t per_task = std::clamp<std::int64_t>(
      tiles / (std::int64_t{4} * tbb::this_task_arena::max_concurrency()), 1, kMaxTilesPerTask);
  const std::int64_t tasks = (tiles + per_task - 1) / per_task;
  tbb::parallel_for(std::int64_t{0}, tasks, [&](std::int64_t task) {
    run_tiles(grid, kernel, pieces, task * per_task, std::min(tiles, (task + 1) * per_task), out);
  });
}

template void lane_gemm<float>(const GemmProblem&, const GemmPlan&, const OutputView&);
template void lane_gemm<double>(const GemmProblem&, const GemmPlan&, const OutputView&);

}  // namespace narrowmac
