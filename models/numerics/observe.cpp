#include "models/numerics/observe.h"

#include <tbb/parallel_for.h>

#include <chrono>
#include <iterator>
#include <vector>

#include "models/numerics/group_gemm.h"
#include "models/numerics/lane_gemm.h"
#include "models/numerics/patch_row.h"
#include "models/numerics/reference.h"

namespace narrowmac {
namespace {

/// Statistics of the observed rows, output by output.
GemmStatistics reference_statistics(const GemmProblem& problem, const Observation& observe) {
  const GemmShape shape = problem.shape();
  const std::vector<std::int64_t> rows = observed_rows(observe, shape.m);
  std::vector<GemmStatistics> parts(rows.size());
  tbb::parallel_for(std::size_t{0}, rows.size(), [&](std::size_t i) {
    for (std::int64_t n = 0; n < shape.n; ++n) {
      reference_output(problem, rows[i], n, &parts[i]);
    }
  });
  GemmStatistics total;
  for (const GemmStatistics& part : parts) total += part;
  return total;
}

/// The rows of A that are observed, gathered: a few rows of a convolution must not cost a copy of
/// its tensor.
class ObservedRows {
 public:
  ObservedRows(const GemmProblem& problem, const Observation& observe) : problem_(problem) {
    const OperandView& a = problem.a;
    const GemmShape shape = problem.shape();
    const std::vector<std::int64_t> rows = observed_rows(observe, shape.m);
    const bool positions = a.is_patches() && !a.is_transposed_patches();
    if (std::ssize(rows) == shape.m && !positions) return;
    const std::size_t size = rows.size() * static_cast<std::size_t>(shape.k);
    if (a.is_double()) {
      doubles_.resize(size);
      tbb::parallel_for(std::size_t{0}, rows.size(), [&](std::size_t i) {
        double* line = doubles_.data() + i * static_cast<std::size_t>(shape.k);
        for (std::int64_t k = 0; k < shape.k; ++k) line[k] = a.at(rows[i], k);
      });
      problem_.a = OperandView::dense(doubles_.data(), std::ssize(rows), shape.k, shape.k);
      return;
    }
    floats_.resize(size);
    tbb::parallel_for(std::size_t{0}, rows.size(), [&](std::size_t i) {
      float* line = floats_.data() + i * static_cast<std::size_t>(shape.k);
      if (positions) {
        copy_patch_rows(a.convolution(), a.float_data(), rows[i], 1, line);
      } else {
        for (std::int64_t k = 0; k < shape.k; ++k) line[k] = static_cast<float>(a.at(rows[i], k));
      }
    });
    problem_.a = OperandView::dense(floats_.data(), std::ssize(rows), shape.k, shape.k);
  }
  [[nodiscard]] const GemmProblem& problem() const { return problem_; }

 private:
  GemmProblem problem_;
  std::vector<float> floats_;
  std::vector<double> doubles_;
};

template <typename T>
std::optional<GemmStatistics> statistics_in_lanes(const GemmProblem& problem, const GemmPlan& plan,
                                                  const std::vector<std::int64_t>& row_numbers) {
  if (plan.counts_in_steps) return stepwise_statistics<T>(problem, plan, row_numbers);
  std::optional<GemmStatistics> counted = sparse_statistics<T>(problem, plan);
  return counted ? counted : lane_statistics<T>(problem, plan);
}

}  // namespace

GemmStatistics observe_gemm(const GemmProblem& problem, const GemmPlan& plan,
                            const Observation& observe) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<GemmStatistics> counted;
  if (plan.counts_in_lanes || plan.counts_in_steps || plan.groups.counts) {
    const ObservedRows observed(problem, observe);
    const std::vector<std::int64_t> rows = observed_rows(observe, problem.shape().m);
    if (plan.lane == GemmPlan::Lane::Groups) {
      counted = group_statistics(observed.problem(), plan, rows);
    } else if (plan.lane == GemmPlan::Lane::Float32) {
      counted = statistics_in_lanes<float>(observed.problem(), plan, rows);
    } else {
      counted = statistics_in_lanes<double>(observed.problem(), plan, rows);
    }
  }
  if (!counted) counted = reference_statistics(problem, observe);
  if (observe.seconds != nullptr) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    *observe.seconds += elapsed.count();
  }
  return *counted;
}

}  // namespace narrowmac
