#include "tests/numerics/oracle.h"

#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <limits>

#include "models/numerics/random.h"

namespace narrowmac::oracle {
namespace {

using boost::multiprecision::cpp_int;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// units * 2^exponent, and the sign that a zero keeps.
struct Number {
  bool nan = false;
  bool infinite = false;
  bool minus = false;
  cpp_int units = 0;  ///< never negative
  int exponent = 0;
  [[nodiscard]] bool finite() const { return !nan && !infinite; }
  [[nodiscard]] bool zero() const { return finite() && units == 0; }
};

Number number(double x) {
  Number result;
  result.minus = std::signbit(x);
  result.nan = std::isnan(x);
  result.infinite = std::isinf(x);
  if (!result.finite()) return result;
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(x), &exponent);
  result.units = cpp_int(std::ldexp(fraction, 53));
  result.exponent = exponent - 53;
  return result;
}

Number product(const Number& x, const Number& y) {
  Number result;
  result.minus = x.minus != y.minus;
  result.nan = x.nan || y.nan || (x.infinite && y.zero()) || (y.infinite && x.zero());
  result.infinite = !result.nan && (x.infinite || y.infinite);
  result.units = x.units * y.units;
  result.exponent = x.exponent + y.exponent;
  return result;
}

Number sum(const Number& x, const Number& y, RoundingMode mode) {
  Number result;
  if (!x.finite() || !y.finite()) {
    result.nan = x.nan || y.nan || (x.infinite && y.infinite && x.minus != y.minus);
    result.infinite = !result.nan;
    result.minus = x.infinite ? x.minus : y.minus;
    return result;
  }
  result.exponent = std::min(x.exponent, y.exponent);
  const auto integer = [&](const Number& z) -> cpp_int {
    const cpp_int size = z.units << static_cast<unsigned>(z.exponent - result.exponent);
    return z.minus ? cpp_int(-size) : size;
  };
  const cpp_int total = integer(x) + integer(y);
  result.minus = total < 0;
  result.units = abs(total);
  if (total == 0) {
    const bool both_minus = x.minus && y.minus;
    const bool both_plus = !x.minus && !y.minus;
    result.minus = both_minus || (mode == RoundingMode::Down && !both_plus);
  }
  return result;
}

/// |x| as a multiple of 2^quantum, rounded.
cpp_int rounded_units(const Number& x, int quantum, const Rounding& rounding, std::uint32_t random,
                      bool& inexact) {
  if (x.exponent >= quantum) return x.units << static_cast<unsigned>(x.exponent - quantum);
  const cpp_int divisor = cpp_int(1) << static_cast<unsigned>(quantum - x.exponent);
  const cpp_int whole = x.units / divisor;
  const cpp_int rest = x.units % divisor;
  inexact = rest != 0;
  const cpp_int twice = 2 * rest;
  bool up = false;
  switch (rounding.mode) {
    case RoundingMode::NearestEven:
      up = twice > divisor || (twice == divisor && whole % 2 == 1);
      break;
    case RoundingMode::NearestAway:
      up = twice >= divisor;
      break;
    case RoundingMode::TowardZero:
    case RoundingMode::TruncateAligned:  // adder_oracle.h's
      break;
    case RoundingMode::Down:
      up = x.minus && inexact;
      break;
    case RoundingMode::Stochastic: {
      const cpp_int range = cpp_int(1) << static_cast<unsigned>(rounding.random_bits);
      up = rest * range / divisor + random >= range;
      break;
    }
  }
  return up ? cpp_int(whole + 1) : whole;
}

double to_double(bool minus, const cpp_int& units, int exponent) {
  if (units == 0) return minus ? -0.0 : 0.0;
  // Exact: at most 53 bits remain after rounding; what has more is out of every range.
  const unsigned top = msb(units);
  const cpp_int leading = top > 60 ? cpp_int(units >> (top - 60)) : units;
  const int shift = top > 60 ? static_cast<int>(top) - 60 : 0;
  const double size =
      std::ldexp(static_cast<double>(static_cast<std::uint64_t>(leading)), exponent + shift);
  return minus ? -size : size;
}

double float_overflow(const Conversion& to, bool minus, double largest) {
  const RoundingMode mode = to.rounding.mode;
  bool away = to.overflow == Overflow::Infinity;
  if (mode == RoundingMode::TowardZero) away = false;
  if (mode == RoundingMode::Down && !minus) away = false;
  if (!away) return minus ? -largest : largest;
  if (to.format.family == NumberFormat::Family::FiniteFloat) return kNaN;
  return minus ? -kInfinity : kInfinity;
}

Outcome round_float(const Conversion& to, const Number& x, std::uint32_t random) {
  const NumberFormat& format = to.format;
  const bool finite_only = format.family == NumberFormat::Family::FiniteFloat;
  Outcome outcome;
  if (!x.finite()) {
    outcome.value = x.nan || finite_only ? kNaN : (x.minus ? -kInfinity : kInfinity);
    return outcome;
  }
  if (x.units == 0) {
    outcome.value = x.minus ? -0.0 : 0.0;
    return outcome;
  }
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const int emin = 1 - bias;
  const double smallest_normal = std::ldexp(1.0, emin);
  // The largest significand: all ones, of which e4m3fn gives the last code to NaN.
  const double ones = 2.0 - std::ldexp(finite_only ? 2.0 : 1.0, -format.fraction_bits);
  const double largest = std::ldexp(ones, finite_only ? bias + 1 : bias);
  int exponent = static_cast<int>(msb(x.units)) + x.exponent;
  if (to.subnormals) exponent = std::max(exponent, emin);
  const int quantum = exponent - format.fraction_bits;
  const cpp_int units = rounded_units(x, quantum, to.rounding, random, outcome.inexact);
  double size = to_double(false, units, quantum);
  if (!to.subnormals && size < smallest_normal) {
    size = 0;
    outcome.inexact = true;
  }
  outcome.value = x.minus ? -size : size;
  outcome.overflow = size > largest;
  if (outcome.overflow) {
    outcome.inexact = true;
    outcome.value = float_overflow(to, x.minus, largest);
  }
  outcome.underflow =
      !outcome.overflow && (size == 0 || (size < smallest_normal && outcome.inexact));
  return outcome;
}

std::optional<Outcome> round_fixed(const Conversion& to, const Number& x, std::uint32_t random) {
  if (!x.finite()) return std::nullopt;
  const NumberFormat& format = to.format;
  const bool is_signed = format.family == NumberFormat::Family::Signed;
  Outcome outcome;
  cpp_int code = rounded_units(x, -format.fraction_bits, to.rounding, random, outcome.inexact);
  if (x.minus) code = -code;
  const cpp_int modulus = cpp_int(1) << static_cast<unsigned>(format.width);
  const cpp_int high = (is_signed ? cpp_int(modulus / 2) : modulus) - 1;
  const cpp_int low = is_signed ? cpp_int(-modulus / 2) : cpp_int(0);
  if (code < low || code > high) {
    outcome.overflow = true;
    outcome.inexact = true;
    if (to.overflow == Overflow::Infinity) return std::nullopt;
    if (to.overflow == Overflow::Saturate) {
      code = code < low ? low : high;
    } else {
      code %= modulus;  // the sign of the dividend
      if (code < low) code += modulus;
      if (code > high) code -= modulus;
    }
  }
  outcome.value = code == 0 ? 0.0 : to_double(code < 0, abs(code), -format.fraction_bits);
  outcome.underflow = x.units != 0 && code == 0;
  return outcome;
}

std::optional<Outcome> round_number(const Conversion& to, const Number& x, std::uint32_t random) {
  if (to.format.is_fixed()) return round_fixed(to, x, random);
  return round_float(to, x, random);
}

std::optional<Outcome> add_numbers(const Conversion& to, const Number& acc, const Number& addend,
                                   std::uint32_t random) {
  std::optional<Outcome> outcome = round_number(to, sum(acc, addend, to.rounding.mode), random);
  if (outcome) outcome->counts = acc.finite() && addend.finite() && !addend.zero();
  return outcome;
}

void count(GemmStatistics* statistics, double acc, const Outcome& outcome) {
  if (statistics == nullptr || !outcome.counts) return;
  statistics->steps += 1;
  statistics->overflowed += outcome.overflow ? 1 : 0;
  statistics->underflowed += outcome.underflow ? 1 : 0;
  if (outcome.overflow) return;
  const bool unchanged = outcome.value == acc;
  statistics->full_swamped += unchanged ? 1 : 0;
  statistics->partial_swamped += outcome.inexact && !unchanged ? 1 : 0;
}

std::uint32_t draw(const GemmProblem& problem, std::int64_t m, std::int64_t n, RandomLevel level,
                   std::int64_t k, const Rounding& rounding) {
  if (rounding.mode != RoundingMode::Stochastic) return 0;
  // Up to 8 bits: one byte of a word each, the top one first; up to 16 bits: one half.
  const int bits = rounding.random_bits;
  const int field = bits <= 8 ? 8 : bits <= 16 ? 16 : 32;
  const int fields = 32 / field;
  const std::uint64_t word =
      random_word(problem.seed, problem.gemm_number, m, n, level, k / fields);
  const auto below = static_cast<int>(fields - 1 - k % fields) * field;
  return static_cast<std::uint32_t>((word >> below & ((std::uint64_t{1} << field) - 1)) >>
                                    (field - bits));
}

double nearest_double(const Number& x) {
  if (x.units == 0) return 0;
  Number copy = x;
  bool inexact = false;
  const int quantum = static_cast<int>(msb(x.units)) + x.exponent - 52;
  const cpp_int units = rounded_units(copy, quantum, {}, 0, inexact);
  return to_double(x.minus, units, quantum);
}

}  // namespace

std::optional<Outcome> round(const Conversion& to, double x, std::uint32_t random) {
  const bool clamps = std::isinf(x) && to.format.is_fixed() && to.overflow == Overflow::Saturate;
  return round_number(to, number(clamps ? std::copysign(1e300, x) : x), random);
}

std::optional<Outcome> add(const Conversion& accumulator, double acc, double addend,
                           std::uint32_t random) {
  return add_numbers(accumulator, number(acc), number(addend), random);
}

std::optional<Outcome> step(const MacDesign& mac, double acc, double a, double b,
                            std::uint32_t random_sum, std::uint32_t random_product) {
  Number addend = product(number(a), number(b));
  if (mac.product) {
    const std::optional<Outcome> rounded = round_number(*mac.product, addend, random_product);
    if (!rounded) return std::nullopt;
    addend = number(rounded->value);
  }
  return add_numbers(mac.accumulator, number(acc), addend, random_sum);
}

std::optional<double> output(const GemmProblem& problem, std::int64_t m, std::int64_t n,
                             GemmStatistics* statistics) {
  const MacDesign& mac = problem.mac;
  const std::int64_t length = problem.a.columns();
  const bool chunked = problem.order.chunk.has_value();
  const std::int64_t run = chunked ? problem.order.chunk->length : length;
  Conversion last = chunked ? problem.order.chunk->accumulator : mac.accumulator;
  double start = 0;
  if (problem.c0) {
    Conversion nearest = last;
    nearest.rounding = {};
    const std::optional<Outcome> rounded = round(nearest, problem.c0->at(m, n));
    if (!rounded) return std::nullopt;
    start = rounded->value;
  }
  double total = start;
  double acc = chunked ? 0 : start;
  Number exact = number(start);
  for (std::int64_t k = 0; k < length; ++k) {
    const double a = problem.a.at(m, k);
    const double b = problem.b.at(k, n);
    const std::uint32_t random_product =
        mac.product ? draw(problem, m, n, RandomLevel::Product, k, mac.product->rounding) : 0;
    const auto outcome = step(
        mac, acc, a, b, draw(problem, m, n, RandomLevel::Accumulator, k, mac.accumulator.rounding),
        random_product);
    if (!outcome) return std::nullopt;
    count(statistics, acc, *outcome);
    acc = outcome->value;
    if (statistics != nullptr) {
      exact = sum(exact, product(number(a), number(b)), RoundingMode::NearestEven);
      statistics->products += 1;
      statistics->nonzero_products += a != 0 && b != 0 ? 1 : 0;
    }
    const bool chunk_ends = chunked && ((k + 1) % run == 0 || k + 1 == length);
    if (!chunk_ends) continue;
    const auto added =
        add(last, total, acc,
            draw(problem, m, n, RandomLevel::SecondAccumulator, k / run, last.rounding));
    if (!added) return std::nullopt;
    count(statistics, total, *added);
    total = added->value;
    acc = 0;
  }
  const double narrow = chunked ? total : acc;
  if (statistics != nullptr && std::isfinite(narrow)) {
    statistics->add_output(narrow, nearest_double(exact));
  }
  return narrow;
}

}  // namespace narrowmac::oracle
