#include "models/numerics/integer_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/numerics/plan.h"

namespace narrowmac {
namespace {

/// The largest |code| of an operand whose codes count its quantum. Numbers in double: they only
/// need to be right up to 2^53.
double largest_code(const OperandRange& range, const NumberFormat& format) {
  if (range.zero) return 0;
  double largest = std::ldexp(1.0, range.max_exponent + 1 - range.quantum_exponent) - 1;
  if (format.is_fixed()) {
    const double end = std::max(format.max_value(), -format.lowest_value());
    largest = std::min(largest, std::ldexp(end, -range.quantum_exponent));
  }
  return largest;
}

struct Codes {
  double a = 0, b = 0, product = 0;  ///< largest magnitudes
  int a_exponent = 0, b_exponent = 0;
};

/// False if products are no multiples of the accumulator's quantum.
bool codes_of(const PlanInput& input, int quantum, Codes& codes) {
  const int a_quantum = input.a.quantum_exponent;
  const int shift = a_quantum + input.b.quantum_exponent - quantum;
  if (shift < 0 || shift > 30) return false;
  codes.a_exponent = -a_quantum;
  codes.b_exponent = a_quantum - quantum;
  codes.a = largest_code(input.a, input.mac.a);
  codes.b = std::ldexp(largest_code(input.b, input.mac.b), shift);
  codes.product = codes.a * codes.b;
  return codes.a <= 32767 && codes.b <= 32767;
}

bool is_16_bit_saturating(const Conversion& to) {
  return to.format.is_fixed() && to.format.width <= 16 && to.overflow == Overflow::Saturate;
}

/// True if sums of `bound` codes never leave the accumulator, or if it wraps and 32 bits know its
/// value.
bool order_is_free(const Conversion& to, double bound, bool& wraps) {
  if (bound <= to.format.max_value() * std::ldexp(1.0, to.format.fraction_bits)) return true;
  wraps = to.overflow == Overflow::Wrap && to.format.width <= 32;
  return wraps;
}

}  // namespace

IntegerPlan plan_integers(const PlanInput& input) {
  IntegerPlan plan;
  const Conversion& first = input.mac.accumulator;
  const Conversion* second = input.order.chunk ? &input.order.chunk->accumulator : nullptr;
  if (!first.format.is_fixed() || (second != nullptr && !second->format.is_fixed())) return plan;
  const int quantum = first.format.min_quantum_exponent();
  if (second != nullptr && second->format.min_quantum_exponent() != quantum) return plan;
  Codes codes;
  if (!codes_of(input, quantum, codes)) return plan;
  plan.a_exponent = codes.a_exponent;
  plan.b_exponent = codes.b_exponent;
  plan.sum_exponent = quantum;
  const double bound = codes.product * static_cast<double>(input.shape.k);
  bool first_wraps = false;
  bool second_wraps = false;
  bool any_order = order_is_free(first, bound, first_wraps);
  if (second != nullptr) {
    any_order = any_order && order_is_free(*second, bound, second_wraps);
    // Reducing twice is reducing once to the narrower of two wrapping accumulators, which must be
    // the last.
    if (first_wraps && !(second_wraps && second->format.width <= first.format.width)) {
      any_order = false;
    }
  }
  const bool wraps = first_wraps || second_wraps;
  if (any_order && (wraps || bound < 2147483648.0)) {
    plan.lanes = IntegerPlan::Lanes::Pairs32;
    if (wraps) plan.wrapped_bits = second != nullptr ? second->format.width : first.format.width;
    plan.reason = fmt::format(
        "int32 lanes: {}, so pairs of products are added at once",
        wraps ? "sums modulo 2^W do not depend on their order" : "no sum can leave the range");
    return plan;
  }
  if (codes.product <= 32767 && is_16_bit_saturating(first) &&
      (second == nullptr || is_16_bit_saturating(*second))) {
    plan.lanes = IntegerPlan::Lanes::Saturating16;
    plan.reason = "int16 lanes: products fit 16 bits, sums saturate by the instruction";
  }
  return plan;
}

}  // namespace narrowmac
