#pragma once

#include <cstdint>
#include <string>

namespace narrowmac {

/// How sums of many products that are rounded once are computed fast: order `dot` and `exact`.
struct GroupPlan {
  enum class Kernel : std::uint8_t {
    None,        ///< the reference
    DotFloat32,  ///< products in float32 lanes, aligned into int32
    DotFloat64,  ///< products in float64 lanes, aligned there
    Exact,       ///< float64 sums without rounding, of slices of the operands if need be
  };
  Kernel kernel = Kernel::None;
  /// Exact: A and B are sums of so many slices each, so that no sum of products of slices is
  /// rounded.
  int a_slices = 1, b_slices = 1;
  bool zeros_recomputed = false;  ///< the sign of a zero result is not proven
  bool counts = false;            ///< statistics come from kernels, too
  /// They take a group's exact sum as a pair of doubles, because one is too short for it.
  bool group_sums_in_pairs = false;
  std::string reason;  ///< for people
};

struct PlanInput;
GroupPlan plan_groups(const PlanInput& input);

}  // namespace narrowmac
