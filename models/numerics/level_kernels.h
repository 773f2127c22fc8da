#pragma once

#include "models/numerics/gemm.h"
#include "models/numerics/kernel_directed.h"
#include "models/numerics/plan.h"

// What the register tiles of a planned GEMM run. Internal to the room.

namespace narrowmac {

/// fma itself rounds to fixed point while the accumulator holds `magic` besides its sum.
template <typename T>
LaneStep<T> biased(LaneStep<T> step) {
  step.rounding = LaneRounding::None;
  step.start = step.magic;
  if (step.clamp) {
    step.low += step.magic;
    step.high += step.magic;
  }
  step.guard_low += step.magic;
  step.guard_high += step.magic;
  return step;
}

/// The steps of both levels, and the kernels that do them.
template <typename T>
struct LevelKernels {
  int scale_exponent;
  LaneStep<T> first, second;
  TileKernel<T> tile;
  AddFunction<T> add = nullptr;  ///< the second level, where the tile kernel does not do it itself

  LevelKernels(const GemmProblem& gemm, const GemmPlan& plan)
      : scale_exponent(plan.infinities_in_lanes ? 0 : plan.scale_exponent),
        first(lane_step<T>(gemm.mac.accumulator, plan.first, scale_exponent)) {
    first.to_infinity = plan.infinities_in_lanes && plan.first.to_infinity;
    if (first.rounding == LaneRounding::Quantum) first = biased(first);
    if (gemm.order.chunk) {
      second = lane_step<T>(gemm.order.chunk->accumulator, plan.second, scale_exponent);
      second.to_infinity = plan.infinities_in_lanes && plan.second.to_infinity;
    }
    const std::int64_t n = gemm.shape().n;
    const bool first_directed = first.rounding == LaneRounding::Directed;
    const bool second_directed = second.rounding == LaneRounding::Directed;
    if (first_directed) {
      tile = select_directed_tile<T>(n, first.increment, first.random_bits);
    } else {
      tile = select_tile<T>(n, first.rounding);
    }
    if (gemm.order.chunk && (first_directed || second_directed)) {
      add = second_directed ? select_directed_add<T>() : select_add<T>();
    }
  }
};

}  // namespace narrowmac
