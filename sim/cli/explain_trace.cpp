#include "sim/cli/explain_trace.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <span>

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
    if (order_.dot || order_.exact) return trace_groups(a, b);
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
  /// Dot groups, or all products as one group.
  ExplainedDotProduct trace_groups(const std::vector<double>& a, const std::vector<double>& b) {
    const std::size_t size = order_.dot ? static_cast<std::size_t>(order_.dot->terms) : a.size();
    double acc = 0;
    for (std::size_t first = 0; first < a.size(); first += size) {
      const std::size_t count = std::min(size, a.size() - first);
      try {
        acc = order_.dot ? add_group(first, acc, std::span(a).subspan(first, count),
                                     std::span(b).subspan(first, count))
                         : add_all(a, b);
      } catch (const Error& error) {
        throw Error(
            fmt::format("in the sum of k = {} to {}: {}", first, first + count - 1, error.what()));
      }
    }
    dot_.result = acc;
    finish();
    return std::move(dot_);
  }

  ExplainedStep input_step(std::int64_t k, double a, double b) const {
    ExplainedStep step;
    step.k = k;
    step.a_input = a;
    step.b_input = b;
    step.a = convert(a, mac_.operand_conversion(mac_.a));
    step.b = convert(b, mac_.operand_conversion(mac_.b));
    return step;
  }

  /// A product that waits for the others of its sum.
  Addend add_term(ExplainedStep step, std::uint32_t random, std::vector<double>& terms_a,
                  std::vector<double>& terms_b) {
    step.level = 0;
    step.has_sum = false;
    Addend addend = product(step, random);
    step.addend = addend.value;
    step.what = addend.exact && !addend.exact->is_zero() ? "term" : "zero term";
    if (!addend.exact) step.what = "infinity or NaN";
    terms_a.push_back(step.a);
    terms_b.push_back(step.b);
    dot_.steps.push_back(std::move(step));
    return addend;
  }

  double add_group(std::size_t first, double acc, std::span<const double> a,
                   std::span<const double> b) {
    const Dot& dot = *order_.dot;
    const std::int64_t index = static_cast<std::int64_t>(first) / dot.terms;
    std::vector<double> terms_a;
    std::vector<double> terms_b;
    const std::size_t first_row = dot_.steps.size();
    for (std::size_t i = 0; i < a.size(); ++i) {
      add_term(input_step(static_cast<std::int64_t>(first + i), a[i], b[i]), 0, terms_a, terms_b);
    }
    const std::uint32_t random =
        random_of(mac_.accumulator.rounding, seed_, RandomLevel::Accumulator, index);
    const DotOutcome outcome = dot_step(mac_, dot, acc, terms_a, terms_b, random);
    ExactNumber sum;
    bool finite = true;
    for (std::size_t i = 0; i < terms_a.size(); ++i) {
      finite = finite && std::isfinite(terms_a[i]) && std::isfinite(terms_b[i]);
      if (!finite) continue;
      sum = sum + ExactNumber(terms_a[i]) * ExactNumber(terms_b[i]);
      if (outcome.quantum_exponent)
        show_alignment(dot_.steps[first_row + i], *outcome.quantum_exponent);
    }
    return add_sum(index, acc, outcome.step,
                   finite ? std::optional<ExactNumber>(sum) : std::nullopt);
  }

  /// A product as the other terms of its group see it.
  void show_alignment(ExplainedStep& term, int quantum_exponent) const {
    const ExactNumber exact = ExactNumber(term.a) * ExactNumber(term.b);
    if (exact.is_zero()) return;
    term.addend = aligned_product(term.a, term.b, quantum_exponent, order_.dot->alignment);
    term.bits_lost = std::max(0, quantum_exponent - exact.lowest_bit());
    if (term.addend == 0) {
      term.what = "lost in alignment";
    } else if (!(ExactNumber(term.addend) == exact)) {
      term.what = "cut in alignment";
    }
  }

  double add_all(std::span<const double> a, std::span<const double> b) {
    std::vector<double> terms_a;
    std::vector<double> terms_b;
    std::vector<std::uint32_t> random_products;
    ExactNumber sum;
    bool finite = true;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const auto k = static_cast<std::int64_t>(i);
      random_products.push_back(
          mac_.product ? random_of(mac_.product->rounding, seed_, RandomLevel::Product, k) : 0);
      const Addend addend =
          add_term(input_step(k, a[i], b[i]), random_products.back(), terms_a, terms_b);
      finite = finite && addend.exact.has_value();
      if (finite) sum = sum + *addend.exact;
    }
    const auto last = static_cast<std::int64_t>(a.size()) - 1;
    const std::uint32_t random =
        random_of(mac_.accumulator.rounding, seed_, RandomLevel::Accumulator, last);
    const StepOutcome outcome = exact_step(mac_, 0, terms_a, terms_b, random, random_products);
    return add_sum(last, 0, outcome, finite ? std::optional<ExactNumber>(sum) : std::nullopt);
  }

  /// The row of a group's or the exact sum. `sum` is that of the exact products; none: not finite.
  double add_sum(std::int64_t k, double acc, const StepOutcome& outcome,
                 const std::optional<ExactNumber>& sum) {
    ExplainedStep step;
    step.k = k;
    step.has_product = false;
    step.before = acc;
    Addend addend;
    addend.exact = sum;
    addend.value = sum ? sum->to_double() : outcome.value;
    judge(step, outcome, addend, mac_.accumulator.format, dot_);
    dot_.steps.push_back(std::move(step));
    return outcome.value;
  }

  double multiply_and_add(std::int64_t k, double acc, double a, double b) {
    ExplainedStep step = input_step(k, a, b);
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
    step.has_product = false;
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
