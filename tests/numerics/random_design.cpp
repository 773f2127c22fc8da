#include "tests/numerics/random_design.h"

#include <algorithm>
#include <cmath>

#include "models/numerics/convert.h"

namespace narrowmac::random_design {
namespace {

NumberFormat float_format(int exponent_bits, int fraction_bits) {
  return {NumberFormat::Family::Float, exponent_bits, fraction_bits,
          1 + exponent_bits + fraction_bits};
}

NumberFormat fixed_format(NumberFormat::Family family, int width, int fraction_bits) {
  return {family, 0, std::clamp(fraction_bits, -256, 256), width};
}

NumberFormat e4m3fn() { return {NumberFormat::Family::FiniteFloat, 4, 3, 8}; }

std::uint64_t code_mask(const NumberFormat& format) {
  return (std::uint64_t{1} << format.width) - 1;
}

/// floor(log2) of a magnitude in the middle of the format's range.
int middle_exponent(const NumberFormat& format) {
  return format.is_float() ? 0 : format.width / 2 - format.fraction_bits;
}

double finite_code(Generator& generator, const NumberFormat& format) {
  for (;;) {
    const double value = decode(generator() & code_mask(format), format);
    if (std::isfinite(value)) return value;
  }
}

double with_sign(Generator& generator, const NumberFormat& format, double size) {
  const bool negative = format.family != NumberFormat::Family::Unsigned && chance(generator, 50);
  return negative ? -size : size;
}

double clamped(double value, const NumberFormat& format) {
  return convert(value, {format, {}, Overflow::Saturate, true});
}

double moderate(Generator& generator, const NumberFormat& format) {
  const double size = std::ldexp(1.0 + std::ldexp(static_cast<double>(generator() >> 12), -52),
                                 middle_exponent(format) + integer(generator, -3, 2));
  return clamped(with_sign(generator, format, size), format);
}

double few_bits(Generator& generator, const NumberFormat& format) {
  const int spread = format.is_float() ? std::min(format.bias(), 12) : format.width / 2;
  const double leading =
      std::ldexp(1.0, middle_exponent(format) + integer(generator, -spread, spread));
  const double second = chance(generator, 50) ? std::ldexp(leading, -integer(generator, 1, 24)) : 0;
  return clamped(with_sign(generator, format, leading + second), format);
}

double corner(Generator& generator, const NumberFormat& format) {
  const double unit = format.smallest_value();
  const double normal = format.smallest_normal();
  const double choices[] = {0.0,
                            -0.0,
                            unit,
                            2 * unit,
                            normal,
                            normal - unit,
                            normal + unit,
                            format.max_value(),
                            format.max_value() / 2,
                            1.0};
  const double size = choices[integer(generator, 0, 9)];
  const double value = clamped(with_sign(generator, format, size), format);
  return format.is_fixed() && chance(generator, 10) ? format.lowest_value() : value;
}

}  // namespace

int integer(Generator& generator, int low, int high) {
  return low + static_cast<int>(generator() % static_cast<std::uint64_t>(high - low + 1));
}

bool chance(Generator& generator, int percent) { return integer(generator, 0, 99) < percent; }

NumberFormat any_float(Generator& generator) {
  if (chance(generator, 15)) return e4m3fn();
  const bool small = chance(generator, 60);
  return float_format(integer(generator, 2, 8), integer(generator, 1, small ? 5 : 23));
}

NumberFormat any_fixed(Generator& generator) {
  const int width = chance(generator, 60) ? integer(generator, 2, 12) : integer(generator, 2, 53);
  const int fraction =
      chance(generator, 10) ? integer(generator, -256, 256) : integer(generator, -4, width + 2);
  return fixed_format(NumberFormat::Family::Signed, width, fraction);
}

NumberFormat any_operand(Generator& generator) {
  if (chance(generator, 60)) return any_float(generator);
  NumberFormat format = any_fixed(generator);
  if (chance(generator, 30)) {
    format.family = NumberFormat::Family::Unsigned;
    if (chance(generator, 10)) format.width = 1;
  }
  return format;
}

NumberFormat accumulator_for(Generator& generator, const NumberFormat& a, const NumberFormat& b) {
  if (chance(generator, 10)) return any_fixed(generator);
  if (chance(generator, 60)) return any_float(generator);
  const int middle = middle_exponent(a) + middle_exponent(b);
  const int width = chance(generator, 70) ? integer(generator, 2, 24) : integer(generator, 25, 53);
  return fixed_format(NumberFormat::Family::Signed, width,
                      width - integer(generator, 0, width) - middle);
}

Rounding any_rounding(Generator& generator) {
  const auto mode = static_cast<RoundingMode>(integer(generator, 0, 4));
  return {mode, mode == RoundingMode::Stochastic ? integer(generator, 1, 24) : 0};
}

Conversion any_conversion(Generator& generator, const NumberFormat& format, bool subnormals) {
  Conversion conversion;
  conversion.format = format;
  conversion.rounding = any_rounding(generator);
  const bool first = chance(generator, 50);
  if (format.is_float()) {
    conversion.overflow = first ? Overflow::Infinity : Overflow::Saturate;
  } else {
    conversion.overflow = first ? Overflow::Wrap : Overflow::Saturate;
  }
  conversion.subnormals = subnormals;
  return conversion;
}

MacDesign any_design(Generator& generator) {
  const bool subnormals = chance(generator, 70);
  MacDesign mac;
  mac.a = any_operand(generator);
  mac.b = chance(generator, 50) ? mac.a : any_operand(generator);
  mac.accumulator = any_conversion(generator, accumulator_for(generator, mac.a, mac.b), subnormals);
  if (chance(generator, 25)) {
    mac.product = any_conversion(generator, accumulator_for(generator, mac.a, mac.b), subnormals);
  }
  if (chance(generator, 40)) {
    const NumberFormat second =
        chance(generator, 50) ? mac.accumulator.format : accumulator_for(generator, mac.a, mac.b);
    mac.chunk = Chunk{integer(generator, 1, 9), any_conversion(generator, second, subnormals)};
  }
  return mac;
}

MacDesign common_design(Generator& generator) {
  const NumberFormat operands[] = {float_format(5, 2), e4m3fn(), float_format(4, 3),
                                   float_format(5, 10), float_format(8, 7)};
  MacDesign mac;
  mac.a = operands[integer(generator, 0, 4)];
  mac.b = operands[integer(generator, 0, 4)];
  mac.accumulator.format = chance(generator, 20)
                               ? float_format(8, 23)
                               : float_format(integer(generator, 4, 8), integer(generator, 2, 11));
  mac.accumulator.overflow = chance(generator, 70) ? Overflow::Infinity : Overflow::Saturate;
  mac.accumulator.subnormals = chance(generator, 80);
  if (chance(generator, 30)) mac.chunk = Chunk{integer(generator, 1, 64), mac.accumulator};
  return mac;
}

double any_value(Generator& generator, const NumberFormat& format, Values values) {
  switch (values) {
    case Values::AnyCode:
      return decode(generator() & code_mask(format), format);
    case Values::Finite:
      return finite_code(generator, format);
    case Values::Moderate:
      return moderate(generator, format);
    case Values::FewBits:
      return few_bits(generator, format);
    case Values::Corners:
      return corner(generator, format);
    case Values::Sparse:
      return chance(generator, 75) ? 0.0 : moderate(generator, format);
  }
  return 0;
}

bool has_fixed_sum(const MacDesign& mac) {
  return mac.accumulator.format.is_fixed() || (mac.product && mac.product->format.is_fixed()) ||
         (mac.chunk && mac.chunk->accumulator.format.is_fixed());
}

double any_operand_value(Generator& generator, const MacDesign& mac, const NumberFormat& operand,
                         Values values) {
  const bool finite_only = values == Values::AnyCode && has_fixed_sum(mac);
  const double value = any_value(generator, operand, finite_only ? Values::Finite : values);
  return convert(value, mac.operand_conversion(operand));
}

Gemm any_gemm(Generator& generator, const MacDesign& mac, const GemmShape& shape, Values values,
              bool with_c0) {
  Gemm gemm;
  gemm.a.resize(static_cast<std::size_t>(shape.m * shape.k));
  gemm.b.resize(static_cast<std::size_t>(shape.k * shape.n));
  for (double& x : gemm.a) x = any_operand_value(generator, mac, mac.a, values);
  for (double& x : gemm.b) x = any_operand_value(generator, mac, mac.b, values);
  gemm.problem.mac = mac;
  gemm.problem.order = accumulation_order(mac);
  gemm.problem.a = OperandView::dense(gemm.a.data(), shape.m, shape.k, shape.k);
  gemm.problem.b = OperandView::dense(gemm.b.data(), shape.k, shape.n, shape.n);
  gemm.problem.seed = generator();
  gemm.problem.gemm_number = generator() & 0xffffU;
  if (with_c0) {
    const NumberFormat& last = mac.chunk ? mac.chunk->accumulator.format : mac.accumulator.format;
    gemm.c0.resize(static_cast<std::size_t>(shape.m * shape.n));
    for (double& x : gemm.c0) {
      x = any_value(generator, last, chance(generator, 50) ? Values::Corners : Values::Moderate);
      if (chance(generator, 30)) x *= 1.0 + 1.0 / 512;
    }
    gemm.problem.c0 = OperandView::dense(gemm.c0.data(), shape.m, shape.n, shape.n);
  }
  return gemm;
}

namespace {

MacDesign floats(Generator& generator) {
  MacDesign mac;
  mac.a = any_float(generator);
  mac.b = any_float(generator);
  const bool subnormals = !chance(generator, 20);
  mac.accumulator = any_conversion(generator, any_float(generator), subnormals);
  return mac;
}

}  // namespace

MacDesign any_truncate_aligned(Generator& generator) {
  MacDesign mac = floats(generator);
  if (chance(generator, 25)) mac.a = any_operand(generator);
  const auto rounding = [&] {
    Rounding aligned;
    aligned.mode = RoundingMode::TruncateAligned;
    aligned.guard_bits = chance(generator, 40) ? 0 : integer(generator, 1, 8);
    if (chance(generator, 5)) aligned.guard_bits = integer(generator, 9, 64);
    return aligned;
  };
  mac.accumulator.rounding = rounding();
  if (chance(generator, 40)) {
    Chunk chunk;
    chunk.length = integer(generator, 1, 20);
    chunk.accumulator = mac.accumulator;
    chunk.accumulator.format = any_float(generator);
    chunk.accumulator.rounding = chance(generator, 50) ? rounding() : Rounding{};
    if (chance(generator, 20)) mac.accumulator.rounding = Rounding{};
    mac.chunk = chunk;
  }
  return mac;
}

MacDesign any_dot(Generator& generator) {
  MacDesign mac = floats(generator);
  if (chance(generator, 10)) {
    const bool subnormals = mac.accumulator.subnormals;
    mac.accumulator =
        any_conversion(generator, accumulator_for(generator, mac.a, mac.b), subnormals);
  }
  Dot dot;
  dot.terms = chance(generator, 20) ? integer(generator, 1, 3) : integer(generator, 4, 40);
  dot.fraction_bits =
      chance(generator, 10) ? integer(generator, 30, 64) : integer(generator, 0, 30);
  dot.accumulator = static_cast<DotAccumulator>(integer(generator, 0, 1));
  dot.alignment = static_cast<Alignment>(integer(generator, 0, 2));
  mac.dot = dot;
  return mac;
}

MacDesign any_exact(Generator& generator) {
  MacDesign mac = any_design(generator);
  mac.product.reset();
  mac.chunk.reset();
  mac.exact = true;
  return mac;
}

}  // namespace narrowmac::random_design
