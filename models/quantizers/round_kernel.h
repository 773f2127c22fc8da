#pragma once

#include <cstddef>
#include <cstdint>

#include "models/design/mac_design.h"
#include "models/numerics/random.h"

namespace narrowmac {

/// What the rounding loops need of a Conversion and a scale, as numbers.
///
/// Arithmetic is exact in float64 lanes: an element and its scaled value have 24 significant bits,
/// a quantum is a power of two, and element / quantum is below 2^24 or an integer wherever its
/// fraction matters. Narrow formats to nearest even need float32 lanes only: adding and subtracting
/// 1.5 * 2^23 quanta rounds.
struct RoundPlan {
  RoundingMode mode = RoundingMode::NearestEven;
  bool fixed = false;
  bool in_float32 = false;      ///< float32 lanes give the same codes
  double inverse_scale = 1;     ///< the element is multiplied by this power of two first
  int fraction_bits = 0;        ///< float: quantum = 2^exponent / 2^fraction_bits
  double smallest_binade = 0;   ///< float: exponents below this power's count as it
  double flush_below = 0;       ///< float: smaller results become zero
  double quantum = 0;           ///< fixed point
  double max = 0, lowest = 0;   ///< rounded results beyond these overflow
  double above = 0, below = 0;  ///< what a result above max, below lowest becomes
  double plus_infinity = 0;     ///< what an infinite element becomes
  double minus_infinity = 0;
  int random_bits = 0;            ///< stochastic
  RandomRowKey random_key;        ///< stochastic: element i rounds with the column word of i ...
  std::uint32_t random_step = 0;  ///< ... and this step word
};

/// Who draws the random words of a tensor: the row -1, which is no GEMM's.
inline RandomRowKey tensor_random_key(std::uint64_t seed, std::uint64_t tensor_number) {
  return random_row_key(seed, tensor_number, -1, RandomLevel::Accumulator);
}

/// Whether a plan exists: every conversion but wrapping ones.
bool can_plan(const Conversion& to);
RoundPlan make_plan(const Conversion& to, double scale, const RandomRowKey& random_key);

/// out[i] = convert(in[i] * inverse_scale) as float; `out` may be `in`. `first` is the index of
/// in[0] in its tensor, modulo 2^32: the address of its random word. Returns how many elements
/// overflowed or were not finite.
std::int64_t round_block(const RoundPlan& plan, const float* in, std::size_t count, float* out,
                         std::uint32_t first);

/// The largest of |values| as bits of a float; an infinity counts above every finite value, a NaN
/// above infinity.
std::uint32_t largest_magnitude_bits(const float* values, std::size_t count);

}  // namespace narrowmac
