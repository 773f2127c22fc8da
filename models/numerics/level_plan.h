#pragma once

#include <cstdint>
#include <string>

#include "models/design/mac_design.h"
#include "models/numerics/plan.h"

// The proofs of one level of accumulation in one lane type. Internal to the room; docs/numerics.md
// has them in words.

namespace narrowmac {

/// What is known of the addends of one level.
struct Addends {
  int precision = 0;         ///< significand bits
  int quantum_exponent = 0;  ///< every addend is a multiple of 2^quantum_exponent
  int bound_exponent = 0;    ///< every |addend| <= 2^bound_exponent
  std::int64_t count = 0;    ///< additions into one accumulator
};

/// A lane's significand bits and exponent range.
struct LaneTraits {
  const char* name;
  int significand;
  int max_exponent;      ///< of the largest finite value
  int quantum_exponent;  ///< of the smallest subnormal
};
inline constexpr LaneTraits kFloat32 = {"float32", 24, 127, -149};
inline constexpr LaneTraits kFloat64 = {"float64", 53, 1023, -1074};

/// A level planned in a lane, and what it hands on; or the reason why the lane is not exact.
struct LevelResult {
  LevelPlan plan;
  Addends results;  ///< count unused
  std::string reason;
  std::string failure;
  [[nodiscard]] bool ok() const { return failure.empty(); }
};

/// Plans one level: the cheapest rounding that is proven exact for these addends in this lane.
LevelResult plan_level(const Conversion& to, const Addends& addends, const LaneTraits& lane);

/// The same for every rounding but nearest even; fixed point only where bits are dropped.
LevelResult plan_directed(const Conversion& to, const Addends& addends, const LaneTraits& lane);

/// How a level's sums grow: after n steps from acc they stay within
/// (acc + n * addend) * ratio^n.
struct Growth {
  double addend = 0;
  double ratio = 1;
  int bound_exponent = 0;  ///< all sums of the level stay within 2^bound_exponent
};
Growth growth_of(const Conversion& to, const Addends& addends);

/// Decides how `result` meets sums beyond the format's range, and fills the bound of its results.
/// `headroom`: binades that the lane's intermediate values need above the sums.
LevelResult plan_overflow(LevelResult result, const Conversion& to, const Growth& growth,
                          const LaneTraits& lane, int headroom);

/// How subnormals of a float accumulator are met.
enum class Underflow : std::uint8_t { Impossible, Gradual, Flush };
Underflow underflow_of(const Conversion& to, int quantum_exponent);

/// Exponent of a quantum of all values of a float accumulator whose sums are multiples of the
/// addends' quantum.
int value_quantum(const LevelPlan& plan, const NumberFormat& format, const Addends& addends);

/// ceil(log2 value), the bits by which so many addends widen a sum; 0 for values up to 1.
int log2_ceil(std::int64_t value);

LevelResult level_fails(std::string why);

/// The lane's own arithmetic is the accumulator's: fp32 in float32 lanes.
bool lane_is_accumulator(const Conversion& to, const LaneTraits& lane);

}  // namespace narrowmac
