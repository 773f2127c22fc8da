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
#include "models/numerics/lane_output.h"
#include "models/numerics/level_kernels.h"
#include "models/numerics/random.h"
#include "models/numerics/sparse_gemm.h"

namespace narrowmac {
namespace {

/// Products of one piece of the accumulation: operands of a group of tiles stay in the L2 cache
/// meanwhile.
constexpr std::int64_t kTaskLength = 512;
constexpr std::int64_t kMaxTilesPerTask = 32;

/// Where pieces of about kTaskLength products begin in the list of segments; with `by_chunk` also
/// after every chunk.
std::vector<std::int64_t> piece_starts(const std::vector<Segment>& segments, bool by_chunk) {
  std::vector<std::int64_t> starts = {0};
  std::int64_t length = 0;
  for (std::size_t s = 0; s + 1 < segments.size(); ++s) {
    length += segments[s].length;
    if (length >= kTaskLength || (by_chunk && segments[s].ends_chunk)) {
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
  LevelKernels<T> kernels;
  LaneA<T> a;
  LaneB<T> b;
  std::vector<Segment> segments;
  int tile_rows, tile_columns;
  std::int64_t row_tiles;
  double unscale;
  Recompute recompute;

  TileGrid(const GemmProblem& gemm, const GemmPlan& plan)
      : problem(gemm),
        shape(gemm.shape()),
        kernels(gemm, plan),
        a(gemm.a, gemm.order.chunk ? gemm.order.chunk->length : 0),
        b(gemm.b, kernels.tile.columns, kernels.scale_exponent),
        segments(a.segments()),
        tile_rows(kernels.tile.rows),
        tile_columns(kernels.tile.columns),
        row_tiles((shape.m + tile_rows - 1) / tile_rows),
        unscale(std::ldexp(1.0, -kernels.scale_exponent)),
        recompute(plan.infinite_results ? Recompute::NotANumber : Recompute::NonFinite) {
    if (kernels.add == nullptr) return;
    for (Segment& segment : segments) segment.ends_chunk = false;
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
  /// The place of a tile in the random function of a level.
  [[nodiscard]] TileRandom random(std::int64_t row_tile, std::int64_t panel,
                                  RandomLevel level) const {
    TileRandom at;
    for (int r = 0; r < tile_rows; ++r) {
      const std::int64_t m = std::min(row_tile * tile_rows + r, shape.m - 1);
      const RandomRowKey key = random_row_key(problem.seed, problem.gemm_number, m, level);
      at.column_keys[r] = key.column;
      at.step_keys[r] = key.step;
    }
    at.first_column = panel * tile_columns;
    return at;
  }
};

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
    store_outputs(grid.problem, out, first_row + r, first_column, columns,
                  values + r * grid.tile_columns, grid.unscale, grid.recompute);
  }
}

/// A range of tiles on its way through the accumulation, piece by piece.
template <typename T>
class TileRange {
 public:
  TileRange(const TileGrid<T>& grid, std::int64_t begin, std::int64_t end)
      : grid_(grid),
        begin_(begin),
        size_(grid.tile_size()),
        storage_(2 * (end - begin) * size_),
        works_(static_cast<std::size_t>(end - begin)) {
    const LevelKernels<T>& kernels = grid.kernels;
    if (kernels.first.random_bits > 0) first_random_.resize(works_.size());
    if (kernels.second.random_bits > 0) second_random_.resize(works_.size());
    for (std::size_t i = 0; i < works_.size(); ++i) {
      const std::int64_t tile = begin + static_cast<std::int64_t>(i);
      const std::int64_t row_tile = tile % grid.row_tiles;
      const std::int64_t panel = tile / grid.row_tiles;
      works_[i] = grid.work(row_tile, panel, sums(i), sums(i) + size_);
      std::fill_n(sums(i), size_, kernels.first.start);
      std::fill_n(sums(i) + size_, size_, T{0});
      if (!first_random_.empty())
        first_random_[i] = grid.random(row_tile, panel, RandomLevel::Accumulator);
      if (!second_random_.empty())
        second_random_[i] = grid.random(row_tile, panel, RandomLevel::SecondAccumulator);
    }
  }

  /// Segments [first, last).
  void run_piece(std::int64_t first, std::int64_t last) {
    const LevelKernels<T>& kernels = grid_.kernels;
    {
      const LaneDirection direction(kernels.first.rounding, kernels.first.increment);
      for (std::size_t i = 0; i < works_.size(); ++i) {
        works_[i].segments = grid_.segments.data() + first;
        works_[i].segment_count = last - first;
        if (!first_random_.empty()) works_[i].random = &first_random_[i];
        kernels.tile.run(kernels.first, kernels.second, works_[i]);
      }
    }
    const Segment& ending = grid_.a.segments()[static_cast<std::size_t>(last - 1)];
    if (kernels.add == nullptr || !ending.ends_chunk) return;
    const LaneDirection direction(kernels.second.rounding, kernels.second.increment);
    const std::int64_t chunk = ending.k / grid_.problem.order.chunk->length;
    for (std::size_t i = 0; i < works_.size(); ++i) {
      if (!second_random_.empty()) works_[i].random = &second_random_[i];
      kernels.add(kernels.first, kernels.second, works_[i], grid_.tile_rows, grid_.tile_columns,
                  chunk);
    }
  }

  void store(const OutputView& out) {
    const LaneStep<T>& first = grid_.kernels.first;
    for (std::size_t i = 0; i < works_.size(); ++i) {
      T* values = grid_.chunked() ? sums(i) + size_ : sums(i);
      if (!grid_.chunked() && first.start != 0) {
        for (std::int64_t j = 0; j < size_; ++j) values[j] -= first.start;
      }
      if (grid_.chunked() ? grid_.kernels.second.positive_zero : first.positive_zero) {
        for (std::int64_t j = 0; j < size_; ++j) values[j] += T{0};
      }
      const std::int64_t tile = begin_ + static_cast<std::int64_t>(i);
      store_tile(grid_, tile % grid_.row_tiles, tile / grid_.row_tiles, values, out);
    }
  }

 private:
  [[nodiscard]] T* sums(std::size_t index) const {
    return storage_.data() + 2 * static_cast<std::int64_t>(index) * size_;
  }

  const TileGrid<T>& grid_;
  std::int64_t begin_, size_;
  LaneBuffer<T> storage_;
  std::vector<TileWork<T>> works_;
  std::vector<TileRandom> first_random_, second_random_;
};

}  // namespace

template <typename T>
void lane_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  const GemmShape shape = problem.shape();
  if (shape.m == 0 || shape.n == 0) return;
  if (plan.path == GemmPath::Rows) return sparse_matrix_gemm<T>(problem, plan, out);
  if (plan.path == GemmPath::Pixels) return sparse_pixel_gemm<T>(problem, plan, out);
  if constexpr (std::is_same_v<T, float>) {
    const GradientKernel gradient = choose_gradient_kernel(problem, plan).kernel;
    if (gradient != GradientKernel::Tiles && run_gradient_kernel(problem, plan, gradient, out)) {
      return;
    }
  }
  const TileGrid<T> grid(problem, plan);
  const std::vector<std::int64_t> pieces =
      piece_starts(grid.a.segments(), grid.kernels.add != nullptr);
  const std::int64_t tiles = grid.row_tiles * grid.b.panels();
  const std::int64_t per_task = std::clamp<std::int64_t>(
      tiles / (std::int64_t{4} * tbb::this_task_arena::max_concurrency()), 1, kMaxTilesPerTask);
  const std::int64_t tasks = (tiles + per_task - 1) / per_task;
  tbb::parallel_for(std::int64_t{0}, tasks, [&](std::int64_t task) {
    TileRange<T> range(grid, task * per_task, std::min(tiles, (task + 1) * per_task));
    for (std::size_t i = 0; i + 1 < pieces.size(); ++i) range.run_piece(pieces[i], pieces[i + 1]);
    range.store(out);
  });
}

template void lane_gemm<float>(const GemmProblem&, const GemmPlan&, const OutputView&);
template void lane_gemm<double>(const GemmProblem&, const GemmPlan&, const OutputView&);

}  // namespace narrowmac
