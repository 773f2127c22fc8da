#pragma once

#include <cstdint>

#include "models/numerics/kernel.h"

namespace narrowmac {

/// The registers of all PEs, one plane per register, rows `stride` apart. Slot -1 of a row of
/// `west` and row -1 of the other planes are the array's inputs of this clock.
template <typename T>
struct PlaneClock {
  T* west = nullptr;   ///< the operand that moves east
  T* north = nullptr;  ///< os: the operand that moves south; ws, is: the stationary one
  T* sums = nullptr;   ///< os: accumulators; ws, is: psums, which move south
  std::int64_t stride = 0;
  int height = 0;   ///< rows that the fold passes through
  int columns = 0;  ///< a multiple of the vector's lanes
};

/// One clock edge of every PE: operands move on by one PE and every PE adds its product.
template <typename T>
using PlaneFunction = void (*)(const LaneStep<T>& step, const PlaneClock<T>& clock);

template <typename T>
struct PlaneKernel {
  PlaneFunction<T> output_stationary = nullptr;
  PlaneFunction<T> operand_stationary = nullptr;
};

/// The kernel of a level's rounding for this processor; null functions for a stochastic one.
/// Directed steps must run under LaneDirection.
template <typename T>
PlaneKernel<T> select_plane_kernel(const LaneStep<T>& step);

/// Rows of planes are padded to this many elements, and `columns` to it: lanes of the widest
/// vectors.
template <typename T>
inline constexpr int kPlaneLanes = 64 / static_cast<int>(sizeof(T));

}  // namespace narrowmac
