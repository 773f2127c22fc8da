#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/design/array_design.h"
#include "models/design/gemm_shape.h"
#include "models/design/mac_design.h"
#include "models/numerics/group_plan.h"
#include "models/numerics/integer_plan.h"
#include "models/numerics/kernel.h"
#include "models/numerics/operand_range.h"

namespace narrowmac {

/// How one level of accumulation is computed in a lane.
struct LevelPlan {
  LaneRounding rounding = LaneRounding::None;
  bool clamp = false;
  bool watch_overflow =
      false;  ///< lanes that may pass the largest value become non-finite and are recomputed
  /// Kernels that make infinite what rounds beyond the largest value are exact, unscaled; with
  /// watch_overflow as the other choice.
  bool to_infinity = false;
  LaneIncrement increment = LaneIncrement::None;  ///< Directed only
  int dropped = 0;          ///< Directed: bits of a lane below the result's last one
  int offset_exponent = 0;  ///< Directed fixed point: lanes are rounded at 2^offset_exponent
  bool underflows = false;  ///< Directed: results below 2^emin are possible
  /// While no sum of a tile exceeds `guard`, none can leave the range within so many steps; 0:
  /// every step is kept in range.
  std::int32_t guard_steps = 0;
  double guard = 0;
};

/// What a zero product does to an accumulator, and so whether kernels may leave it out.
enum class ZeroProducts : std::uint8_t {
  Matter,             ///< nothing is proven: every product is added
  ChangeNothing,      ///< every accumulator keeps its bits
  ChangeSignsOfZero,  ///< they only turn an accumulator of -0 into +0: if they are left out,
                      ///< results of -0 are recomputed and all others are exact
};

/// How the products of a GEMM are gone through. The bits are the same.
enum class GemmPath : std::uint8_t {
  Tiles,   ///< register tiles, every product; or a kernel for gradients
  Rows,    ///< rows of A as lists of their non-zero elements
  Pixels,  ///< pixels of a convolution as lists of their non-zero channels, no patch matrix
};

/// What a GEMM does, decided once: the lane type and its steps, or the reference where no proof
/// holds.
struct GemmPlan {
  enum class Lane : std::uint8_t { Reference, Float32, Float64, Integer, Groups };
  Lane lane = Lane::Reference;
  IntegerPlan integers;     ///< Lane::Integer, or what is faster than the floats of `lane`
  GroupPlan groups;         ///< Lane::Groups: order `dot` or `exact`
  LevelPlan first, second;  ///< second: only with chunks
  int scale_exponent =
      0;  ///< B is multiplied by 2^scale_exponent, so that the lane overflows where watched
  bool counts_in_lanes = false;  ///< the instrumented kernel is exact, too
  bool counts_in_steps = false;  ///< so is counting between steps of the kernel itself
  ZeroProducts zero_products = ZeroProducts::Matter;
  GemmPath path = GemmPath::Tiles;
  OperandRange a, b;                 ///< what it was proven from; the zeros choose a kernel
  bool infinities_in_lanes = false;  ///< unscaled kernels that make infinities are exact, too
  bool infinite_results = false;     ///< theirs are results, no lanes to recompute
  std::vector<std::string> reasons;  ///< one decision each, for people
};

/// What the plan is proven from. `operands` ranges are those of the values present.
struct PlanInput {
  const MacDesign& mac;
  const AccumulationOrder& order;
  GemmShape shape;
  OperandRange a, b;
  bool starts_from_c0 = false;
};

GemmPlan make_plan(const PlanInput& input);

/// The lane constants of a level: `conversion` the accumulator's, everything scaled by
/// 2^scale_exponent.
template <typename T>
LaneStep<T> lane_step(const Conversion& conversion, const LevelPlan& level, int scale_exponent);
/// Overflow and underflow thresholds of the instrumented kernel.
template <typename T>
CountingLimits<T> counting_limits(const Conversion& conversion, int scale_exponent);

}  // namespace narrowmac
