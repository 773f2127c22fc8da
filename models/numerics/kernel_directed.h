#pragma once

#include <cfenv>
#include <cstdint>

#include "models/numerics/kernel.h"

namespace narrowmac {

/// The kernel of a Directed level; a narrow tile where N fits one vector, else a wide one. It knows
/// no chunks: segments must not end one. Run it under LaneDirection.
template <typename T>
TileKernel<T> select_directed_tile(std::int64_t n, LaneIncrement increment, int random_bits);
/// The second level's additions with a Directed rounding.
template <typename T>
AddFunction<T> select_directed_add();

/// The direction in which lanes round while it lives: toward zero, or down, for a Directed level,
/// to nearest for every other.
class LaneDirection {
 public:
  LaneDirection(LaneRounding rounding, LaneIncrement increment) : before_(std::fegetround()) {
    int direction = FE_TONEAREST;
    if (rounding == LaneRounding::Directed) {
      direction = increment == LaneIncrement::Negative ? FE_DOWNWARD : FE_TOWARDZERO;
    }
    std::fesetround(direction);
  }
  ~LaneDirection() { std::fesetround(before_); }
  LaneDirection(const LaneDirection&) = delete;
  LaneDirection& operator=(const LaneDirection&) = delete;

 private:
  int before_;
};

}  // namespace narrowmac
