#include "models/numerics/gemm.h"

#include <fmt/format.h>

#include "models/design/error.h"
#include "models/numerics/gradient_gemm.h"
#include "models/numerics/group_gemm.h"
#include "models/numerics/integer_gemm.h"
#include "models/numerics/lane_gemm.h"
#include "models/numerics/observe.h"
#include "models/numerics/plan.h"
#include "models/numerics/reference.h"
#include "models/numerics/sparse_gemm.h"

namespace narrowmac {
namespace {

void check_shapes(const GemmProblem& problem) {
  if (problem.a.columns() != problem.b.rows()) {
    throw Error(fmt::format("A is {} x {} and B is {} x {}: A's columns must equal B's rows",
                            problem.a.rows(), problem.a.columns(), problem.b.rows(),
                            problem.b.columns()));
  }
  if (problem.c0 &&
      (problem.c0->rows() != problem.a.rows() || problem.c0->columns() != problem.b.columns())) {
    throw Error(fmt::format("C0 is {} x {}, the result is {} x {}", problem.c0->rows(),
                            problem.c0->columns(), problem.a.rows(), problem.b.columns()));
  }
  check_length(problem.order, problem.a.columns());
}

GemmPlan plan_of(const GemmProblem& problem) {
  const PlanInput input{problem.mac,
                        problem.order,
                        problem.shape(),
                        scan_operand(problem.a, problem.mac.a),
                        scan_operand(problem.b, problem.mac.b),
                        problem.c0.has_value()};
  GemmPlan plan = make_plan(input);
  choose_path(problem, plan);
  return plan;
}

/// From this share of zeros on, skipping them beats integer lanes, twice as many as floats.
constexpr double kZerosBeatIntegers = 0.7;

/// True if the plan's integer lanes run: they can read the operands, and no kernel skips enough
/// zeros to be faster.
bool runs_in_integers(const GemmProblem& problem, const GemmPlan& plan) {
  if (!integer_lanes_apply(problem, plan)) return false;
  if (plan.path != GemmPath::Tiles && plan.a.zero_share() > kZerosBeatIntegers) return false;
  return choose_gradient_kernel(problem, plan).kernel == GradientKernel::Tiles;
}

/// False if only the reference can.
bool run_lanes(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  if (runs_in_integers(problem, plan)) {
    integer_gemm(problem, plan, out);
    return true;
  }
  switch (plan.lane) {
    case GemmPlan::Lane::Float32:
      lane_gemm<float>(problem, plan, out);
      return true;
    case GemmPlan::Lane::Float64:
      lane_gemm<double>(problem, plan, out);
      return true;
    case GemmPlan::Lane::Groups:
      group_gemm(problem, plan, out);
      return true;
    default:
      return false;
  }
}

}  // namespace

std::optional<GemmStatistics> gemm(const GemmProblem& problem, const OutputView& out,
                                   const std::optional<Observation>& observe) {
  check_shapes(problem);
  const GemmPlan plan = plan_of(problem);
  if (!run_lanes(problem, plan, out)) {
    if (observe) {
      GemmStatistics statistics;
      reference_gemm(problem, out, &statistics, *observe);
      return statistics;
    }
    reference_gemm(problem, out);
    return std::nullopt;
  }
  if (!observe) return std::nullopt;
  return observe_gemm(problem, plan, *observe);
}

std::string explain_plan(const GemmProblem& problem) {
  check_shapes(problem);
  const GemmShape shape = problem.shape();
  const GemmPlan plan = plan_of(problem);
  std::string text =
      fmt::format("GEMM {} x {} x {}: {}\n", shape.m, shape.n, shape.k, describe(problem.mac));
  if (runs_in_integers(problem, plan)) {
    text += "  " + plan.integers.reason + "\n";
    if (!plan.reasons.empty()) text += "  its statistics, if asked for:\n";
  }
  for (const std::string& reason : plan.reasons) text += "  " + reason + "\n";
  const std::string gradient = choose_gradient_kernel(problem, plan).reason;
  if (!gradient.empty()) text += "  " + gradient + "\n";
  return text;
}

}  // namespace narrowmac
