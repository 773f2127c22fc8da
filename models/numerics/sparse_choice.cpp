#include <fmt/format.h>

#include <algorithm>

#include "models/numerics/gradient_gemm.h"
#include "models/numerics/sparse_gemm.h"

namespace narrowmac {
namespace {

// Costs in rounded vector operations of 16 columns, measured: see docs/numerics.md.
constexpr double kStepCost = 1.25;     ///< of a list, against a register tile's 1
constexpr double kVisitCost = 1.5;     ///< loads and stores of a row's accumulators, per 16 columns
constexpr double kVisitRow = 1.0;      ///< of a row in a group
constexpr double kCompressCost = 0.4;  ///< of an element, into a list
constexpr double kRowCost = 8;         ///< of a row that becomes a list
constexpr double kFlushCost = 4;       ///< into the second accumulator, per 16 columns
constexpr double kPiece = 128;         ///< elements of a list of a matrix's row

struct Costs {
  double tiles, lists;
};

double vectors(const GemmProblem& problem) {
  return std::max(1.0, static_cast<double>(problem.b.columns()) / 16);
}

Costs costs_of_matrix(const GemmProblem& problem, double density) {
  const GemmShape shape = problem.shape();
  const double n = vectors(problem);
  const auto k = static_cast<double>(shape.k);
  double piece = std::min(kPiece, k);
  if (problem.order.chunk) {
    piece = std::min(piece, static_cast<double>(problem.order.chunk->length));
  }
  const double lists = k * (density * kStepCost * n + kCompressCost) +
                       k / piece * (kVisitCost * n + kRowCost) +
                       (problem.order.chunk ? k / piece * kFlushCost * n : 0);
  return {k * n, lists};
}

Costs costs_of_pixels(const GemmProblem& problem, double density) {
  const ConvolutionPatches& c = problem.a.convolution();
  const double n = vectors(problem);
  const auto channels = static_cast<double>(c.channels);
  const auto taps = static_cast<double>(c.kernel_height * c.kernel_width);
  const auto outputs = static_cast<double>(c.out_height * c.out_width);
  double lists_per_pixel = 1;
  double flushes = 0;
  if (problem.order.chunk) {
    const auto length = static_cast<double>(problem.order.chunk->length);
    lists_per_pixel = std::max(1.0, channels / length);
    flushes = taps * channels / std::min(length, taps * channels);
  }
  const double visit = lists_per_pixel * (kVisitCost * n + kVisitRow);
  const double per_pixel =
      taps / static_cast<double>(c.step * c.step) * (channels * density * kStepCost * n + visit) +
      channels * kCompressCost + lists_per_pixel * kRowCost;
  return {outputs * taps * channels * n,
          static_cast<double>(c.height * c.width) * per_pixel + outputs * n * kFlushCost * flushes};
}

}  // namespace

void choose_path(const GemmProblem& problem, GemmPlan& plan) {
  if (plan.lane == GemmPlan::Lane::Reference || plan.zero_products == ZeroProducts::Matter) return;
  if (problem.a.is_patches() && !pixels_fit(problem)) return;
  if (choose_gradient_kernel(problem, plan).kernel != GradientKernel::Tiles) return;
  const double share = plan.a.zero_share();
  const Costs costs = problem.a.is_patches() ? costs_of_pixels(problem, 1 - share)
                                             : costs_of_matrix(problem, 1 - share);
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
