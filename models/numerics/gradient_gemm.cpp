#include "models/numerics/gradient_gemm.h"

#include <fmt/format.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "models/numerics/gradient_layout.h"
#include "models/numerics/gradient_run.h"
#include "models/numerics/kernel_gradient.h"
#include "models/numerics/lane_output.h"

namespace narrowmac {
namespace {

/// Bytes of sums of a block: with the stream and a few lines of the grid they stay in the L1 cache.
constexpr std::int64_t kBlockBytes = 20480;
/// Costs in vector operations of a list, whose sums are in registers: of a register tile's, which
/// reads two operands from the L2 cache; of a list's whose vectors no other tap meets again; of a
/// stream's, whose sums pass through memory; to look at a vector of scalars; to add a vector of
/// sums to the second accumulator.
constexpr double kTileCost = 1.15;
constexpr double kSingleTapCost = 1.25;
constexpr double kStreamCost = 1.4;
constexpr double kLookCost = 6;
constexpr double kGradientFlushCost = 2;
/// 32-bit offsets must reach every element of a slab and of the sums.
constexpr std::int64_t kMaxElements = std::numeric_limits<std::int32_t>::max() / 4;

/// Scalar channels of a block: all, unless their sums pass through memory.
std::int64_t block_channels(const GradientLayout& layout, const StreamKernel<float>& kernel,
                            bool chunked) {
  std::int64_t vectors = 1;
  for (const GradientPass& pass : layout.passes) {
    if (!lists_pay(pass, kernel, chunked)) vectors = std::max(vectors, pass.vectors());
  }
  const std::int64_t bytes = vectors * kernel.lanes * std::int64_t{sizeof(float)};
  return std::clamp<std::int64_t>(kBlockBytes / bytes, 1, layout.scalar_channels);
}

/// Vector operations of a layout if the scalars' share of zeros is `zero_share`.
double layout_cost(const GradientLayout& layout, const StreamKernel<float>& kernel,
                   double zero_share, double product_cost, std::int64_t chunk_length) {
  const auto images = static_cast<double>(layout.problem.patches.images);
  const auto channels = static_cast<double>(layout.scalar_channels);
  const bool chunked = chunk_length > 0;
  const auto block = static_cast<double>(block_channels(layout, kernel, chunked));
  double cost = 0;
  for (const GradientPass& pass : layout.passes) {
    const double pixels = static_cast<double>(pass.rows * pass.columns) * images;
    const double products = pixels * channels * (1 - zero_share) * product_cost;
    if (lists_pay(pass, kernel, chunked)) {
      const auto vectors = static_cast<double>(list_vectors(pass, kernel));
      cost += products * vectors * (pass.groups.size() > 1 ? 1 : kSingleTapCost) +
              pixels * channels / kernel.lanes * kLookCost;
    } else {
      cost += products * static_cast<double>(pass.vectors()) * kStreamCost +
              pixels * std::ceil(block / kernel.lanes) * (channels / block) * kLookCost;
    }
  }
  if (!chunked) return cost;
  const double chunks =
      std::ceil(static_cast<double>(layout.problem.k()) / static_cast<double>(chunk_length));
  return cost + static_cast<double>(layout.vectors()) * channels * chunks * kGradientFlushCost;
}

/// Cost of a product, of one in a register tile that rounds: three instructions. Tiles let the
/// multiply-add itself round to fixed point, lists need their loads.
struct ProductCosts {
  double tile, list;
};

ProductCosts product_costs(LaneRounding rounding) {
  switch (rounding) {
    case LaneRounding::None:
    case LaneRounding::Quantum:
      return {0.4, 1};
    case LaneRounding::Significand:
      return {1, 1};
    case LaneRounding::Repaired:
      return {5.0 / 3, 5.0 / 3};
    default:
      return {7.0 / 3, 7.0 / 3};
  }
}

double tile_cost(const GemmShape& shape, const GemmPlan& plan, int lanes) {
  const TileKernel<float> tile = select_tile<float>(shape.n, plan.first.rounding);
  const auto tiles = [](std::int64_t outputs, int side) {
    const std::int64_t sides = (outputs + side - 1) / side;
    return static_cast<double>(sides * side);
  };
  return tiles(shape.m, tile.rows) * tiles(shape.n, tile.columns) / lanes *
         static_cast<double>(shape.k) * kTileCost * product_costs(plan.first.rounding).tile;
}

bool fits_offsets(const GradientLayout& layout, int lanes) {
  const std::int64_t row = layout.vectors() * lanes;
  return layout.grid.image < kMaxElements && row < kMaxElements / layout.scalar_channels;
}

/// Products with the margins of dY's grid exist in no definition: they must change nothing at all.
bool has_margins(const GradientProblem& problem) {
  const ConvolutionPatches& c = problem.patches;
  return c.kernel_height > 1 || c.kernel_width > 1 || c.offset_y != 0 || c.offset_x != 0;
}

/// Stores what a block of scalar channels has summed: rows of channels, or columns.
class BlockStore {
 public:
  BlockStore(const GemmProblem& problem, const GemmPlan& plan, const GradientSetup& setup,
             const OutputView& out)
      : problem_(problem),
        setup_(setup),
        out_(out),
        unscale_(std::ldexp(1.0, -setup.scale_exponent)),
        recompute_(plan.infinite_results ? Recompute::NotANumber : Recompute::NonFinite),
        allowed_(problem.shape().m * problem.shape().n / 512 + 16) {
    if (plan.zero_products != ZeroProducts::ChangeNothing) {
      recompute_ = Recompute::NonFiniteOrMinusZero;
    }
  }

  /// A result that the reference must recompute costs as much as hundreds of others: where there
  /// are many, the GEMM gives up.
  [[nodiscard]] bool gave_up() const { return recomputed_.load() > allowed_; }

  void store(const GradientBlock& block, std::int64_t first, std::int64_t end) {
    const GradientLayout& layout = setup_.layout;
    for (std::int64_t pass = 0; pass < std::ssize(layout.passes); ++pass) {
      for (const SumGroup& group : layout.passes[static_cast<std::size_t>(pass)].groups) {
        const std::int64_t offset = std::int64_t{group.first_vector} * setup_.kernel.lanes;
        if (layout.scalars == GradientScalars::B) {
          store_columns(block, group.first_row, offset, first, end);
          continue;
        }
        for (std::int64_t channel = first; channel < end; ++channel) {
          store_run(group.first_row + channel, 0, layout.problem.n,
                    block.results(channel, pass) + offset);
        }
      }
    }
  }

 private:
  /// The outputs of a kernel row, whose channels lie along the vectors.
  void store_columns(const GradientBlock& block, std::int64_t first_row, std::int64_t offset,
                     std::int64_t first, std::int64_t end) {
    constexpr std::int64_t kRows = 16;
    const ConvolutionPatches& c = setup_.layout.problem.patches;
    const std::int64_t rows = c.kernel_width * c.channels;
    const std::int64_t columns = end - first;
    std::vector<float> lines(static_cast<std::size_t>(kRows * columns));
    for (std::int64_t row = 0; row < rows; row += kRows) {
      const std::int64_t count = std::min(kRows, rows - row);
      for (std::int64_t column = 0; column < columns; ++column) {
        const float* from = block.results(first + column, 0) + offset + row;
        float* to = lines.data() + column;
        for (std::int64_t r = 0; r < count; ++r) to[r * columns] = from[r];
      }
      for (std::int64_t r = 0; r < count; ++r) {
        store_run(first_row + row + r, first, columns, lines.data() + r * columns);
      }
    }
  }

  void store_run(std::int64_t row, std::int64_t column, std::int64_t count, const float* values) {
    const std::int64_t first = row * out_.row_stride + column;
    if (store_values(out_, first, count, values, unscale_, recompute_)) return;
    std::int64_t missing = 0;
    for (std::int64_t c = 0; c < count; ++c) missing += is_final(values[c], recompute_) ? 0 : 1;
    if (recomputed_.fetch_add(missing) + missing > allowed_) return;
    store_outputs(problem_, out_, row, column, count, values, unscale_, recompute_);
  }

  const GemmProblem& problem_;
  const GradientSetup& setup_;
  const OutputView& out_;
  double unscale_;
  Recompute recompute_;
  std::int64_t allowed_;
  std::atomic<std::int64_t> recomputed_ = 0;
};

/// Taps that meet no pixel have products of zeros only.
void store_untouched(const GradientSetup& setup, const GemmShape& shape, const OutputView& out) {
  std::vector<bool> touched(static_cast<std::size_t>(shape.m), false);
  if (setup.layout.scalars == GradientScalars::B) return;
  const std::int64_t channels = setup.layout.scalar_channels;
  for (const GradientPass& pass : setup.layout.passes) {
    for (const SumGroup& group : pass.groups) {
      std::fill_n(touched.begin() + group.first_row, channels, true);
    }
  }
  for (std::int64_t row = 0; row < shape.m; ++row) {
    if (touched[static_cast<std::size_t>(row)]) continue;
    for (std::int64_t column = 0; column < shape.n; ++column) out.store(row, column, 0.0);
  }
}

bool run_blocks(const GemmProblem& problem, const GemmPlan& plan, GradientScalars scalars,
                const OutputView& out) {
  const GradientSetup setup(problem, plan, scalars);
  const GradientLayout& layout = setup.layout;
  const std::int64_t channels = layout.scalar_channels;
  const auto threads = std::min<std::int64_t>(
      tbb::this_task_arena::max_concurrency(),
      static_cast<std::int64_t>(
          tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism)));
  const std::int64_t largest = block_channels(layout, setup.kernel, setup.chunk_length > 0);
  std::int64_t blocks = (channels + largest - 1) / largest;
  // As many blocks for every thread, if there are channels enough; bits do not depend on it.
  blocks = std::min(channels, (blocks + threads - 1) / threads * threads);
  BlockStore store(problem, plan, setup, out);
  tbb::parallel_for(std::int64_t{0}, blocks, [&](std::int64_t index) {
    const std::int64_t first = index * channels / blocks;
    const std::int64_t end = (index + 1) * channels / blocks;
    if (store.gave_up()) return;
    GradientBlock block(setup, first, end - first);
    block.run();
    store.store(block, first, end);
  });
  store_untouched(setup, problem.shape(), out);
  return !store.gave_up();
}

/// The layout of a kernel that applies; empty if it does not.
std::optional<GradientLayout> layout_of(const GemmProblem& problem, const GemmPlan& plan,
                                        GradientKernel kernel) {
  if (kernel == GradientKernel::Tiles || plan.lane != GemmPlan::Lane::Float32 ||
      plan.zero_products == ZeroProducts::Matter || plan.first.rounding == LaneRounding::Directed) {
    return std::nullopt;
  }
  const std::optional<GradientProblem> gradient = as_gradient(problem);
  if (!gradient) return std::nullopt;
  const bool from_a = kernel == GradientKernel::ScalarsA;
  if (from_a && plan.zero_products != ZeroProducts::ChangeNothing && has_margins(*gradient)) {
    return std::nullopt;
  }
  const int lanes = gradient_stream_kernel(plan).lanes;
  GradientLayout layout =
      gradient_layout(*gradient, from_a ? GradientScalars::A : GradientScalars::B, lanes,
                      from_a && !plan.infinities_in_lanes && plan.scale_exponent != 0);
  if (!fits_offsets(layout, lanes)) return std::nullopt;
  return layout;
}

}  // namespace

GradientChoice choose_gradient_kernel(const GemmProblem& problem, const GemmPlan& plan) {
  GradientChoice choice;
  if (plan.lane != GemmPlan::Lane::Float32 || plan.first.rounding == LaneRounding::Directed ||
      !as_gradient(problem)) {
    return choice;
  }
  const StreamKernel<float> stream = gradient_stream_kernel(plan);
  const std::int64_t chunk = problem.order.chunk ? problem.order.chunk->length : 0;
  double best = tile_cost(problem.shape(), plan, stream.lanes);
  std::string costs = fmt::format("{:.3g} in tiles", best);
  for (const GradientKernel kernel : {GradientKernel::ScalarsA, GradientKernel::ScalarsB}) {
    const std::optional<GradientLayout> layout = layout_of(problem, plan, kernel);
    if (!layout) continue;
    const bool from_a = kernel == GradientKernel::ScalarsA;
    const double cost = layout_cost(*layout, stream, (from_a ? plan.a : plan.b).zero_share(),
                                    product_costs(plan.first.rounding).list, chunk);
    costs += fmt::format(", {:.3g} from the non-zero {}", cost, from_a ? "X" : "dY");
    if (cost >= best) continue;
    best = cost;
    choice.kernel = kernel;
  }
  const char* const names[] = {"register tiles", "the non-zero values of X times vectors of dY",
                               "the non-zero values of dY times vectors of X"};
  choice.reason =
      fmt::format("gradient: {} ({:.0f} % of X and {:.0f} % of dY are zero; vector operations: {})",
                  names[static_cast<int>(choice.kernel)], 100 * plan.a.zero_share(),
                  100 * plan.b.zero_share(), costs);
  return choice;
}

bool gradient_kernel_applies(const GemmProblem& problem, const GemmPlan& plan,
                             GradientKernel kernel) {
  return layout_of(problem, plan, kernel).has_value();
}

bool run_gradient_kernel(const GemmProblem& problem, const GemmPlan& plan, GradientKernel kernel,
                         const OutputView& out) {
  return run_blocks(problem, plan,
                    kernel == GradientKernel::ScalarsA ? GradientScalars::A : GradientScalars::B,
                    out);
}

}  // namespace narrowmac
