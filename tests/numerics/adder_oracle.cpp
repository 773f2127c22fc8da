#include "tests/numerics/adder_oracle.h"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "models/numerics/random.h"

namespace narrowmac::adder_oracle {
namespace {

using Integer = boost::multiprecision::cpp_int;
using Rational = boost::multiprecision::cpp_rational;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Rational power_of_two(int exponent) {
  const Integer power = Integer(1) << std::abs(exponent);
  return exponent >= 0 ? Rational(power) : Rational(Integer(1), power);
}

/// floor(log2 x) of x > 0.
int floor_log2(const Rational& x) {
  const Integer top = numerator(x);
  const Integer bottom = denominator(x);
  int exponent = static_cast<int>(msb(top)) - static_cast<int>(msb(bottom));
  if (power_of_two(exponent) > x) --exponent;
  return exponent;
}

Integer floor_of(const Rational& x) {
  const Integer quotient = numerator(x) / denominator(x);
  return x < 0 && Rational(quotient) != x ? Integer(quotient - 1) : quotient;
}

/// A number, or what is none; zeros have signs.
struct Value {
  Rational number = 0;
  bool negative_zero = false;
  double special = 0;  ///< NaN or an infinity; 0: a number
  [[nodiscard]] bool finite() const { return special == 0; }
};

Value value_of(double x) {
  Value value;
  if (!std::isfinite(x)) {
    value.special = x;
    return value;
  }
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  value.number = Rational(Integer(static_cast<long long>(std::ldexp(fraction, 53)))) *
                 power_of_two(exponent - 53);
  value.negative_zero = x == 0 && std::signbit(x);
  return value;
}

Value times(double a, double b) {
  const Value x = value_of(a);
  const Value y = value_of(b);
  Value product;
  if (!x.finite() || !y.finite()) {
    product.special = a * b;
    return product;
  }
  product.number = x.number * y.number;
  product.negative_zero = product.number == 0 && std::signbit(a) != std::signbit(b);
  return product;
}

struct Outcome {
  double value = 0;
  bool inexact = false, overflow = false, underflow = false;
};

struct DesignError {};

bool magnitude_rounds_up(const Rounding& rounding, bool negative, const Integer& whole,
                         const Rational& rest, std::uint32_t random) {
  if (rest == 0) return false;
  const Rational half(1, 2);
  switch (rounding.mode) {
    case RoundingMode::NearestEven:
      return rest > half || (rest == half && whole % 2 != 0);
    case RoundingMode::NearestAway:
      return rest >= half;
    case RoundingMode::Down:
      return negative;
    case RoundingMode::Stochastic: {
      const Rational steps = rest * power_of_two(rounding.random_bits);
      return floor_of(steps) + random >= (Integer(1) << rounding.random_bits);
    }
    default:
      return false;
  }
}

double to_double(const Rational& x) { return x.convert_to<double>(); }

double beyond_range(const Conversion& to, bool negative) {
  const double largest = negative ? to.format.lowest_value() : to.format.max_value();
  const RoundingMode mode = to.rounding.mode;
  if (to.overflow == Overflow::Saturate || mode == RoundingMode::TowardZero ||
      mode == RoundingMode::TruncateAligned || (mode == RoundingMode::Down && !negative)) {
    return largest;
  }
  if (to.format.family == NumberFormat::Family::FiniteFloat) return kNaN;
  return negative ? -kInfinity : kInfinity;
}

/// R(x) of a number that is not zero; what it lost is told against `exact`.
Outcome round(const Conversion& to, const Rational& x, const Rational& exact,
              std::uint32_t random) {
  Outcome outcome;
  const bool negative = x < 0;
  const Rational size = abs(x);
  const bool is_float = to.format.is_float();
  int quantum = -to.format.fraction_bits;
  if (is_float) {
    int exponent = floor_log2(size);
    if (to.subnormals) exponent = std::max(exponent, to.format.min_exponent());
    quantum += exponent;
  }
  const Rational units = size * power_of_two(-quantum);
  Integer whole = floor_of(units);
  if (magnitude_rounds_up(to.rounding, negative, whole, units - Rational(whole), random)) ++whole;
  Rational rounded = Rational(whole) * power_of_two(quantum);
  const Rational normal = power_of_two(is_float ? to.format.min_exponent() : quantum);
  if (is_float && !to.subnormals && rounded < normal) rounded = 0;
  Rational result = negative ? Rational(-rounded) : rounded;
  const bool above = !negative && rounded > value_of(to.format.max_value()).number;
  const bool below = negative && result < value_of(to.format.lowest_value()).number;
  outcome.overflow = above || below;
  if (outcome.overflow && to.overflow == Overflow::Wrap) {
    const Integer modulus = Integer(1) << to.format.width;
    Integer code = (negative ? Integer(-whole) : whole) % modulus;
    if (code < 0) code += modulus;
    if (code >= modulus / 2) code -= modulus;
    result = Rational(code) * power_of_two(quantum);
    outcome.value = to_double(result);
  } else if (outcome.overflow) {
    outcome.value = beyond_range(to, negative);
  } else {
    outcome.value = result == 0 && negative && is_float ? -0.0 : to_double(result);
  }
  outcome.inexact = outcome.overflow || result != exact;
  const bool small = is_float ? rounded < normal : outcome.value == 0;
  outcome.underflow = outcome.inexact && small && !(outcome.overflow && is_float);
  if (outcome.overflow && !is_float) outcome.underflow = outcome.value == 0;
  return outcome;
}

Outcome special_outcome(const Conversion& to, double special) {
  if (to.format.is_fixed()) throw DesignError();
  Outcome outcome;
  outcome.value = special;
  if (to.format.family == NumberFormat::Family::FiniteFloat) outcome.value = kNaN;
  return outcome;
}

Outcome zero_outcome(const Conversion& to, bool negative) {
  Outcome outcome;
  outcome.value = negative && to.format.is_float() ? -0.0 : 0.0;
  return outcome;
}

double sum_of_specials(const std::vector<Value>& terms) {
  double sum = 0;
  for (const Value& term : terms) sum += term.special;
  return sum;
}

bool is_negative(const Value& x) { return x.number < 0 || x.negative_zero; }

/// x truncated toward zero to a multiple of 2^quantum.
Value truncate(const Value& x, int quantum) {
  Value result;
  const Integer units = floor_of(abs(x.number) * power_of_two(-quantum));
  result.number = Rational(units) * power_of_two(quantum);
  if (x.number < 0) result.number = -result.number;
  result.negative_zero = result.number == 0 && is_negative(x);
  return result;
}

/// R(acc + addend), any rounding.
Outcome add(const Conversion& to, double acc, const Value& addend, std::uint32_t random) {
  Value x = value_of(acc);
  Value y = addend;
  if (!x.finite() || !y.finite()) return special_outcome(to, x.special + y.special);
  const Rational exact = x.number + y.number;
  if (to.rounding.mode == RoundingMode::TruncateAligned && (x.number != 0 || y.number != 0)) {
    int top = to.format.min_exponent();
    for (const Value& term : {x, y}) {
      if (term.number != 0) top = std::max(top, floor_log2(abs(term.number)));
    }
    const int quantum = top - to.format.fraction_bits - to.rounding.guard_bits;
    x = truncate(x, quantum);
    y = truncate(y, quantum);
  }
  const Rational sum = x.number + y.number;
  if (sum != 0) return round(to, sum, exact, random);
  const bool both = is_negative(x) && is_negative(y);
  const bool either = is_negative(x) || is_negative(y);
  Outcome outcome = zero_outcome(to, to.rounding.mode == RoundingMode::Down ? either : both);
  outcome.inexact = outcome.underflow = exact != 0;
  return outcome;
}

/// A term on the grid of its group.
Rational align(const Rational& x, int quantum, Alignment alignment) {
  const Rational units = x * power_of_two(-quantum);
  Integer whole = floor_of(units);
  if (alignment == Alignment::TowardZero && x < 0 && Rational(whole) != units) ++whole;
  if (alignment == Alignment::NearestEven) {
    const Rational rest = units - Rational(whole);
    const Rational half(1, 2);
    if (rest > half || (rest == half && whole % 2 != 0)) ++whole;
  }
  return Rational(whole) * power_of_two(quantum);
}

int unnormalised_exponent(double x, const NumberFormat& format) {
  return std::max(std::ilogb(x), format.min_exponent());
}

struct Factors {
  double a = 0, b = 0;
};

/// A group, padded to `terms` products.
struct GroupOutcome {
  Outcome step;
  bool counts = false;
};
GroupOutcome add_group(const MacDesign& mac, const Dot& dot, double acc,
                       const std::vector<Factors>& group, std::uint32_t random) {
  const Conversion& to = mac.accumulator;
  const bool aligned = dot.accumulator == DotAccumulator::Aligned;
  std::vector<Value> products;
  std::optional<int> top;
  Rational exact = 0;
  for (const Factors& f : group) {
    products.push_back(times(f.a, f.b));
    exact += products.back().number;
    if (!products.back().finite() || products.back().number == 0) continue;
    const int exponent = unnormalised_exponent(f.a, mac.a) + unnormalised_exponent(f.b, mac.b);
    top = std::max(top.value_or(exponent), exponent);
  }
  std::vector<Value> terms = products;
  const Value start = value_of(acc);
  if (aligned) terms.push_back(start);
  GroupOutcome outcome;
  const double special = sum_of_specials(terms);
  if (special != 0) {
    Value addend;
    addend.special = special;
    outcome.step = aligned ? special_outcome(to, special) : add(to, acc, addend, random);
    return outcome;
  }
  outcome.counts = start.finite() && exact != 0;
  if (aligned && start.number != 0) {
    int exponent = floor_log2(abs(start.number));
    if (to.format.is_float()) exponent = std::max(exponent, to.format.min_exponent());
    top = std::max(top.value_or(exponent), exponent);
  }
  Rational sum = 0;
  for (const Value& term : terms) {
    if (top) sum += align(term.number, *top - dot.fraction_bits, dot.alignment);
  }
  const bool all_negative = std::all_of(terms.begin(), terms.end(), is_negative) &&
                            group.size() == static_cast<std::size_t>(dot.terms);
  const Rational whole = start.number + exact;
  if (!aligned) {
    Value addend;
    addend.number = sum;
    addend.negative_zero = !top && all_negative;
    outcome.step = add(to, acc, addend, random);
    if (!start.finite()) return outcome;
    // What the alignment lost belongs to the step, too.
    if (sum != exact && !outcome.step.overflow) {
      const Rational value = value_of(outcome.step.value).number;
      outcome.step.inexact = value != whole;
      const Rational normal =
          to.format.is_float() ? power_of_two(to.format.min_exponent()) : Rational(0);
      outcome.step.underflow =
          outcome.step.inexact && (outcome.step.value == 0 || abs(value) < normal);
    }
    return outcome;
  }
  if (sum != 0) {
    outcome.step = round(to, sum, whole, random);
    return outcome;
  }
  const bool down = to.rounding.mode == RoundingMode::Down;
  outcome.step = zero_outcome(to, top ? down : all_negative);
  outcome.step.inexact = outcome.step.underflow = whole != 0;
  return outcome;
}

void count(GemmStatistics* statistics, double acc, const Outcome& outcome) {
  if (statistics == nullptr) return;
  ++statistics->steps;
  if (outcome.overflow) {
    ++statistics->overflowed;
  } else if (outcome.inexact) {
    ++(outcome.value == acc ? statistics->full_swamped : statistics->partial_swamped);
  }
  if (outcome.underflow) ++statistics->underflowed;
}

class Output {
 public:
  Output(const GemmProblem& problem, std::int64_t m, std::int64_t n, GemmStatistics* statistics)
      : problem_(problem), m_(m), n_(n), statistics_(statistics) {}

  double evaluate() {
    const double start = problem_.c0 ? problem_.c0->at(m_, n_) : 0;
    const std::int64_t length = problem_.a.columns();
    if (problem_.order.exact) return exact(start, length);
    if (problem_.order.dot) return groups(start, length);
    const std::int64_t chunk = problem_.order.chunk ? problem_.order.chunk->length : length;
    double total = start;
    double acc = problem_.order.chunk ? 0 : start;
    for (std::int64_t k = 0; k < length; ++k) {
      acc = addition(problem_.mac.accumulator, RandomLevel::Accumulator, k, acc, times(a(k), b(k)));
      if (!problem_.order.chunk || ((k + 1) % chunk != 0 && k + 1 != length)) continue;
      total = addition(problem_.order.chunk->accumulator, RandomLevel::SecondAccumulator, k / chunk,
                       total, value_of(acc));
      acc = 0;
    }
    return problem_.order.chunk ? total : acc;
  }

 private:
  [[nodiscard]] double a(std::int64_t k) const { return problem_.a.at(m_, k); }
  [[nodiscard]] double b(std::int64_t k) const { return problem_.b.at(k, n_); }
  [[nodiscard]] std::uint32_t random(const Conversion& to, RandomLevel level,
                                     std::int64_t k) const {
    return random_bits_at(problem_.seed, problem_.gemm_number, m_, n_, level, k,
                          to.rounding.random_bits);
  }

  double addition(const Conversion& to, RandomLevel level, std::int64_t k, double acc,
                  const Value& addend) {
    const Outcome outcome = add(to, acc, addend, random(to, level, k));
    if (std::isfinite(acc) && addend.finite() && addend.number != 0) {
      count(statistics_, acc, outcome);
    }
    return outcome.value;
  }

  double groups(double acc, std::int64_t length) {
    const Dot& dot = *problem_.order.dot;
    for (std::int64_t first = 0; first < length; first += dot.terms) {
      std::vector<Factors> group;
      for (std::int64_t k = first; k < std::min(length, first + dot.terms); ++k) {
        group.push_back({a(k), b(k)});
      }
      const GroupOutcome outcome =
          add_group(problem_.mac, dot, acc, group,
                    random(problem_.mac.accumulator, RandomLevel::Accumulator, first / dot.terms));
      if (outcome.counts) count(statistics_, acc, outcome.step);
      acc = outcome.step.value;
    }
    return acc;
  }

  double exact(double start, std::int64_t length) {
    if (length == 0) return start;
    const Conversion& to = problem_.mac.accumulator;
    std::vector<Value> terms = {value_of(start)};
    for (std::int64_t k = 0; k < length; ++k) terms.push_back(times(a(k), b(k)));
    const double special = sum_of_specials(terms);
    if (special != 0) return special_outcome(to, special).value;
    Rational sum = 0;
    for (const Value& term : terms) sum += term.number;
    Outcome outcome;
    if (sum != 0) {
      outcome = round(to, sum, sum, random(to, RandomLevel::Accumulator, length - 1));
    } else {
      const bool down = to.rounding.mode == RoundingMode::Down;
      outcome = zero_outcome(to, down ? std::any_of(terms.begin(), terms.end(), is_negative)
                                      : std::all_of(terms.begin(), terms.end(), is_negative));
    }
    if (sum != terms.front().number) count(statistics_, start, outcome);
    return outcome.value;
  }

  const GemmProblem& problem_;
  std::int64_t m_, n_;
  GemmStatistics* statistics_;
};

}  // namespace

std::optional<double> output(const GemmProblem& problem, std::int64_t m, std::int64_t n,
                             GemmStatistics* statistics) {
  try {
    return Output(problem, m, n, statistics).evaluate();
  } catch (const DesignError&) {
    return std::nullopt;
  }
}

}  // namespace narrowmac::adder_oracle
