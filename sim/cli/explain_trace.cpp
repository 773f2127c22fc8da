#include "sim/cli/explain_trace.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/random.h"
#include "models/numerics/reference.h"
#include "sim/cli/exact_number.h"

namespace narrowmac {
namespace {

std::string decimal(const ExactNumber& number) {
  return fmt::format("{}{}", number.is_double() ? "" : "~", number.to_double());
}

/// log2 of the accumulator's last bit where the exact sum lies.
int quantum_exponent(const NumberFormat& format, const ExactNumber& sum) {
  if (format.is_fixed()) return -format.fraction_bits;
  return std::max(sum.exponent(), format.min_exponent()) - format.fraction_bits;
}

std::string significand(double value, const NumberFormat& format) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  return ExactNumber(value).to_binary(format.is_float() ? format.fraction_bits : 0);
}

std::uint32_t random_of(const Rounding& rounding, std::uint64_t seed, RandomLevel level,
                        std::int64_t k) {
  return random_bits_at(seed, 0, 0, 0, level, k, rounding.random_bits);
}

/// The addend as an exact number; none if it is not finite.
struct Addend {
  double value = 0;  ///< to the nearest double
  std::optional<ExactNumber> exact;
};

/// Names what an addition did and counts it as GemmStatistics does.
void judge(ExplainedStep& step, const StepOutcome& outcome, const Addend& addend,
           const NumberFormat& format, ExplainedDotProduct& dot) {
  step.after = outcome.value;
  step.addend = addend.value;
  step.before_bits = significand(step.before, format);
  step.after_bits = significand(step.after, format);
  if (!addend.exact || !std::isfinite(step.before)) {
    step.what = "infinity or NaN";
    return;
  }
  const ExactNumber sum = ExactNumber(step.before) + *addend.exact;
  step.exact_sum = decimal(sum);
  step.exact_sum_bits = sum.to_binary();
  if (!sum.is_zero()) {
    step.bits_lost = std::max(0, quantum_exponent(format, sum) - sum.lowest_bit());
  }
  if (addend.exact->is_zero()) {
    step.what = "zero addend";
    return;
  }
  ++dot.counted_steps;
  step.what = "exact";
  if (outcome.overflow) {
    ++dot.overflowed;
    step.what = "overflow";
  } else if (outcome.value == step.before) {
    ++dot.full_swamped;
    step.what = "full swamping";
  } else if (outcome.inexact) {
    ++dot.partial_swamped;
    step.what = "partial swamping";
  }
  if (outcome.underflow) {
    ++dot.underflowed;
    step.what += ", underflow";
  }
}

class Tracer {
 public:
  Tracer(const MacDesign& mac, const AccumulationOrder& order, std::uint64_t seed)
      : mac_(mac), order_(order), seed_(seed) {}

  ExplainedDotProduct trace(const std::vector<double>& a, const std::vector<double>& b) {
    const auto length = static_cast<std::int64_t>(a.size());
    const std::int64_t chunk = order_.chunk ? order_.chunk->length : length;
    double first = 0;
    double second = 0;
    for (std::int64_t k = 0; k < length; ++k) {
      try {
        first = multiply_and_add(k, first, a[static_cast<std::size_t>(k)],
                                 b[static_cast<std::size_t>(k)]);
        const bool chunk_ends = (k + 1) % chunk == 0 || k + 1 == length;
        if (!order_.chunk || !chunk_ends) continue;
        second = add_chunk(k / chunk, second, first);
        first = 0;
      } catch (const Error& error) {
        throw Error(fmt::format("at k = {}, {} times {}: {}", k, a[static_cast<std::size_t>(k)],
                                b[static_cast<std::size_t>(k)], error.what()));
      }
    }
    dot_.result = order_.chunk ? second : first;
    finish();
    return std::move(dot_);
  }

 private:
  double multiply_and_add(std::int64_t k, double acc, double a, double b) {
    ExplainedStep step;
    step.k = k;
    step.a_input = a;
    step.b_input = b;
    step.a = convert(a, mac_.operand_conversion(mac_.a));
    step.b = convert(b, mac_.operand_conversion(mac_.b));
    step.before = acc;
    const std::uint32_t random_sum =
        random_of(mac_.accumulator.rounding, seed_, RandomLevel::Accumulator, k);
    const std::uint32_t random_product =
        mac_.product ? random_of(mac_.product->rounding, seed_, RandomLevel::Product, k) : 0;
    const Addend addend = product(step, random_product);
    const StepOutcome outcome = mac_step(mac_, acc, step.a, step.b, random_sum, random_product);
    judge(step, outcome, addend, mac_.accumulator.format, dot_);
    dot_.steps.push_back(std::move(step));
    return outcome.value;
  }

  Addend product(ExplainedStep& step, std::uint32_t random) {
    Addend addend;
    const bool finite = std::isfinite(step.a) && std::isfinite(step.b);
    if (finite) {
      addend.exact = ExactNumber(step.a) * ExactNumber(step.b);
      addend.value = addend.exact->to_double();
      step.exact_product = decimal(*addend.exact);
      exact_ = exact_ + *addend.exact;
    } else {
      addend.value = step.a * step.b;
      all_finite_ = false;
    }
    if (!mac_.product) return addend;
    // The first addition to a zero accumulator of the product's format rounds the exact product to
    // that format.
    MacDesign rounds = mac_;
    rounds.product.reset();
    rounds.accumulator = *mac_.product;
    addend.value = mac_step(rounds, 0.0, step.a, step.b, random).value;
    addend.exact.reset();
    if (std::isfinite(addend.value)) addend.exact = ExactNumber(addend.value);
    return addend;
  }

  double add_chunk(std::int64_t index, double acc, double sum) {
    const Conversion& second = order_.chunk->accumulator;
    ExplainedStep step;
    step.level = 2;
    step.k = index;
    step.before = acc;
    Addend addend;
    addend.value = sum;
    if (std::isfinite(sum)) addend.exact = ExactNumber(sum);
    const StepOutcome outcome = add_step(
        second, acc, sum, random_of(second.rounding, seed_, RandomLevel::SecondAccumulator, index));
    judge(step, outcome, addend, second.format, dot_);
    dot_.steps.push_back(std::move(step));
    return outcome.value;
  }

  void finish() {
    if (!all_finite_) return;
    dot_.exact = decimal(exact_);
    if (std::isfinite(dot_.result)) {
      dot_.error = (ExactNumber(dot_.result) + exact_ * ExactNumber(-1.0)).to_double();
    }
  }

  const MacDesign& mac_;
  const AccumulationOrder& order_;
  std::uint64_t seed_;
  ExactNumber exact_;
  bool all_finite_ = true;
  ExplainedDotProduct dot_;
};

}  // namespace

ExplainedDotProduct explain_dot_product(const MacDesign& mac, const AccumulationOrder& order,
                                        const std::vector<double>& a, const std::vector<double>& b,
                                        std::uint64_t seed) {
  return Tracer(mac, order, seed).trace(a, b);
}

}  // namespace narrowmac
