#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "models/design/mac_design.h"
#include "models/numerics/gemm.h"

// Random designs and operands that reach every corner of the arithmetic, for tests of whatever
// claims the bits of the reference. Everything depends on the generator's state only.

namespace narrowmac::random_design {

using Generator = std::mt19937_64;

/// Uniform in low .. high, the same on every platform.
int integer(Generator& generator, int low, int high);
bool chance(Generator& generator, int percent);

NumberFormat any_float(Generator& generator);
/// Signed, sometimes with a fraction far from the point.
NumberFormat any_fixed(Generator& generator);
/// Any operand format, unsigned fixed point too.
NumberFormat any_operand(Generator& generator);
/// A format in the neighbourhood of the product of a and b, so that sums neither all vanish nor all
/// overflow.
NumberFormat accumulator_for(Generator& generator, const NumberFormat& a, const NumberFormat& b);
Rounding any_rounding(Generator& generator);
/// Any rounding and any overflow that the format allows.
Conversion any_conversion(Generator& generator, const NumberFormat& format, bool subnormals);

/// Any valid design: operands, product, accumulator, sometimes a chunk.
MacDesign any_design(Generator& generator);
/// A design of the kind that experiments use: small floats, nearest even.
MacDesign common_design(Generator& generator);

/// Any design with truncate-aligned rounding, with a dot, or exact (the latter two for `os` only).
MacDesign any_truncate_aligned(Generator& generator);
MacDesign any_dot(Generator& generator);
MacDesign any_exact(Generator& generator);

enum class Values {
  AnyCode,   ///< every code alike: the whole range, subnormals, infinities and NaN
  Finite,    ///< every code alike, without infinity and NaN
  Moderate,  ///< magnitudes around 1, or around the middle of a fixed-point range
  FewBits,   ///< one or two significant bits: sums and ties repeat
  Corners,   ///< zeros of both signs, smallest and largest values and their neighbours
  Sparse,    ///< Moderate, three quarters zeros
};
inline constexpr Values kValues[] = {Values::AnyCode, Values::Finite,  Values::Moderate,
                                     Values::FewBits, Values::Corners, Values::Sparse};

/// A value of `format`.
double any_value(Generator& generator, const NumberFormat& format, Values values);
/// A value of an operand format of the design: flushed where the design has no subnormals.
double any_operand_value(Generator& generator, const MacDesign& mac, const NumberFormat& operand,
                         Values values);
/// True if the design has a fixed-point accumulator or product, which NaN and infinity must not
/// reach.
bool has_fixed_sum(const MacDesign& mac);

/// A GEMM with its operands. Not copyable: the problem looks into the vectors.
struct Gemm {
  std::vector<double> a, b, c0;
  GemmProblem problem;
  Gemm() = default;
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;
  Gemm(Gemm&&) = default;
  Gemm& operator=(Gemm&&) = default;
};
/// Random operands of the given kind for a design, in the design's own order; with `with_c0` also
/// C0.
Gemm any_gemm(Generator& generator, const MacDesign& mac, const GemmShape& shape, Values values,
              bool with_c0);

}  // namespace narrowmac::random_design
