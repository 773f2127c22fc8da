#include <fmt/format.h>

#include <algorithm>

#include "models/numerics/gradient_gemm.h"
#include "models/numerics/sparse_gemm.h"

namespace narrowmac {
namespace {

// Costs in vector operations of 16 columns as register tiles do them (three instructions),
// measured: see docs/numerics.md.
constexpr double kTileRow = 8;         ///< of an output's row in a tile, against one in a list
constexpr double kTileVisit = 3;       ///< the same, per 16 columns
constexpr double kStepCost = 1.1;      ///< of a list, against a register tile's 1
constexpr double kVisitCost = 1.5;     ///< loads and stores of a row's accumulators, per 16 columns
constexpr double kVisitRow = 1.0;      ///< of a row in a group
constexpr double kCompressCost = 0.6;  ///< of an element, into a list
constexpr double kRowCost = 8;         ///< of a row that becomes a list
constexpr double kPackCost = 6;        ///< of 16 elements of B
constexpr double kFlushCost = 4;       ///< into the second accumulator, per 16 columns
constexpr double kPiece = 128;         ///< elements of a list of a matrix's row

/// Cost of a step of 16 columns, as instructions and by what the loads of a list allow.
struct StepCosts {
  double tile, list;
};

StepCosts step_costs(LaneRounding rounding) {
  switch (rounding) {
    case LaneRounding::None:
    case LaneRounding::Quantum:  // tiles let the multiply-add itself round
      return {0.4, kStepCost};
    case LaneRounding::Significand:
      return {1, kStepCost};
    case LaneRounding::Repaired:
      return {5.0 / 3, 5.0 / 3 * kStepCost};
    default:
      return {7.0 / 3, 7.0 / 3 * kStepCost};
  }
}

/// Of a whole GEMM.
struct Costs {
  double tiles, lists;
};

double vectors(const GemmProblem& problem) {
  return std::max(1.0, static_cast<double>(problem.b.columns()) / 16);
}

double tile_row(double vectors) { return kTileRow + kTileVisit * vectors; }

Costs costs_of_matrix(const GemmProblem& problem, const StepCosts& step, double density) {
  const GemmShape shape = problem.shape();
  const double n = vectors(problem);
  const auto m = static_cast<double>(shape.m);
  const auto k = static_cast<double>(shape.k);
  double piece = std::min(kPiece, k);
  if (problem.order.chunk) {
    piece = std::min(piece, static_cast<double>(problem.order.chunk->length));
  }
  const double flush = problem.order.chunk ? kFlushCost * n : 0;
  const double row = k * (density * step.list * n + kCompressCost) +
                     k / piece * (kVisitCost * n + kRowCost + flush);
  return {m * (k * n * step.tile + tile_row(n)), m * row + k * n * kPackCost};
}

Costs costs_of_pixels(const GemmProblem& problem, const StepCosts& step, double density) {
  const ConvolutionPatches& c = problem.a.convolution();
  const double n = vectors(problem);
  const auto channels = static_cast<double>(c.channels);
  const auto taps = static_cast<double>(c.kernel_height * c.kernel_width);
  const auto outputs = static_cast<double>(c.out_height * c.out_width);
  double lists = 1;  // per pixel
  double flushes = 0;
  if (problem.order.chunk) {
    const auto length = static_cast<double>(problem.order.chunk->length);
    lists = std::max(1.0, channels / length);
    flushes = taps * channels / std::min(length, taps * channels);
  }
  const double classes = static_cast<double>(c.step * c.step);
  const double used =
      static_cast<double>(std::min(c.step, c.kernel_height) * std::min(c.step, c.kernel_width));
  const double visit = lists * (kVisitCost * n + kVisitRow);
  const double pixel = taps / classes * (channels * density * step.list * n + visit) +
                       used / classes * (channels * kCompressCost + lists * kRowCost);
  return {outputs * (taps * channels * n * step.tile + tile_row(n)),
          static_cast<double>(c.height * c.width) * pixel + outputs * n * kFlushCost * flushes};
}

/// Offsets of rows and accumulators have 32 bits.
bool offsets_fit(const GemmProblem& problem) {
  if (!problem.a.is_patches()) return problem.a.row_stride() < std::int64_t{1} << 24;
  const ConvolutionPatches& c = problem.a.convolution();
  return c.height * c.width * c.divisor * c.divisor < std::int64_t{1} << 20;
}

}  // namespace

void choose_path(const GemmProblem& problem, GemmPlan& plan) {
  if (plan.lane != GemmPlan::Lane::Float32 && plan.lane != GemmPlan::Lane::Float64) return;
  if (plan.zero_products == ZeroProducts::Matter) return;
  if (problem.a.is_patches() && !pixels_fit(problem)) return;
  if (!offsets_fit(problem)) return;
  if (choose_gradient_kernel(problem, plan).kernel != GradientKernel::Tiles) return;
  const double share = plan.a.zero_share();
  const StepCosts step = step_costs(plan.first.rounding);
  const Costs costs = problem.a.is_patches() ? costs_of_pixels(problem, step, 1 - share)
                                             : costs_of_matrix(problem, step, 1 - share);
  const std::string zeros = fmt::format("{:.0f} % of A's values are zero", 100 * share);
  if (costs.lists >= costs.tiles) {
    plan.reasons.push_back(fmt::format("register tiles: {}, skipping them would not pay", zeros));
    return;
  }
  plan.path = problem.a.is_patches() ? GemmPath::Pixels : GemmPath::Rows;
  plan.reasons.push_back(fmt::format("{}: {}, an estimated {:.2f} of the register tiles' work",
                                     problem.a.is_patches()
                                         ? "pixels as lists of their non-zero channels"
                                         : "rows of A as lists of their non-zero elements",
                                     zeros, costs.lists / costs.tiles));
}

}  // namespace narrowmac
