#pragma once

#include <cstdint>
#include <type_traits>

#include "models/numerics/kernel.h"

namespace narrowmac {

/// An integer as wide as a lane.
template <typename T>
using LaneWord = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// The registers of stochastic rounding: both parts of a PE's random word (random.h), and the bits
/// of the word that come before its own.
template <typename T>
struct PlaneRandom {
  LaneWord<T>* steps = nullptr;
  LaneWord<T>* fields = nullptr;
  LaneWord<T>* columns = nullptr;  ///< they go with the sums
  int steps_move = 0;              ///< 1: steps and fields move east with the streamed operand
};

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
  PlaneRandom<T> random;
};

/// One clock edge of every PE: operands move on by one PE and every PE adds its product.
template <typename T>
using PlaneFunction = void (*)(const LaneStep<T>& step, const PlaneClock<T>& clock);

/// Additions of a stochastic second level: totals <- R(totals + sums), each with a word of its own.
template <typename T>
struct RandomAdditions {
  const T* sums = nullptr;
  T* totals = nullptr;
  const LaneWord<T>* columns = nullptr;
  const LaneWord<T>* steps = nullptr;
  std::uint32_t field = 0;
  int count = 0;  ///< a multiple of the vector's lanes
};
template <typename T>
using RandomAddFunction = void (*)(const LaneStep<T>& step, const RandomAdditions<T>& work);

template <typename T>
struct PlaneKernel {
  PlaneFunction<T> output_stationary = nullptr;
  PlaneFunction<T> operand_stationary = nullptr;
  RandomAddFunction<T> add_at_random = nullptr;  ///< whatever the first level's rounding
};

/// The kernel of a level's rounding for this processor. Directed steps must run under
/// LaneDirection.
template <typename T>
PlaneKernel<T> select_plane_kernel(const LaneStep<T>& step);

/// Rows of planes are padded to this many elements, and `columns` to it: lanes of the widest
/// vectors.
template <typename T>
inline constexpr int kPlaneLanes = 64 / static_cast<int>(sizeof(T));

}  // namespace narrowmac
