#pragma once

#include <cstdint>
#include <span>

#include "models/design/mac_design.h"

namespace narrowmac {

// Values of every format are carried as double, which holds them all exactly (fixed point up to 53
// bits).

/// Rounds `x` to a value of `to.format`: rounding, overflow and subnormals as arithmetic requires.
/// NaN gives NaN in a float format; NaN into fixed point throws Error, infinity into fixed point
/// saturates only under `saturate` and throws otherwise. `random_word`: the r random bits of
/// stochastic rounding, in 0 .. 2^r - 1.
double convert(double x, const Conversion& to, std::uint32_t random_word = 0);

/// Rounds every element to an operand format in place, as `gemm` does with its inputs.
void convert_all(std::span<float> values, const Conversion& to);
void convert_all(std::span<double> values, const Conversion& to);

/// True if `x` is a value of the format (NaN and infinity: if the format has them).
bool is_value(double x, const NumberFormat& format);

/// The code (bit pattern, in the low `width` bits) of a value of the format, and back.
std::uint64_t encode(double value, const NumberFormat& format);
double decode(std::uint64_t code, const NumberFormat& format);

}  // namespace narrowmac
