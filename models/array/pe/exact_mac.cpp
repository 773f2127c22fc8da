#include "models/array/pe/exact_mac.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "models/design/error.h"
#include "models/numerics/convert.h"

namespace narrowmac {
namespace {

[[noreturn]] void rethrow(const Error& error, const MacIndex& index) {
  throw Error(
      fmt::format("output m = {}, n = {}, at k = {}: {}", index.m, index.n, index.k, error.what()));
}

double display_value(const ExactValue& value) {
  if (value.kind == ValueKind::NotANumber) return std::nan("");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (value.kind == ValueKind::Infinity) return value.negative ? -kInfinity : kInfinity;
  const double size = std::ldexp(static_cast<double>(value.magnitude), value.exponent);
  return value.negative ? -size : size;
}

}  // namespace

ExactMac::ExactMac(const GemmProblem& problem)
    : problem_(problem),
      adder_(problem.mac.accumulator),
      second_adder_(problem.order.chunk ? problem.order.chunk->accumulator
                                        : problem.mac.accumulator),
      multiplier_(problem.mac),
      first_(problem, RandomLevel::Accumulator, adder_.random_bits()),
      second_(problem, RandomLevel::SecondAccumulator,
              problem.order.chunk ? second_adder_.random_bits() : 0),
      product_(problem, RandomLevel::Product, multiplier_.random_bits()),
      length_(problem.shape().k),
      groups_(stream_shape(problem).k) {
  if (problem.order.dot) dot_.emplace(problem.mac, *problem.order.dot);
  if (problem.order.dot || problem.order.exact) {
    a_rows_ = dense_copy<double>(problem.a);
    b_columns_ = dense_copy<double>(problem.b.transposed());
  }
}

GemmShape stream_shape(const GemmProblem& problem) {
  GemmShape shape = problem.shape();
  if (problem.order.dot)
    shape.k = (shape.k + problem.order.dot->terms - 1) / problem.order.dot->terms;
  return shape;
}

std::vector<double> ExactMac::tokens_of_a() const {
  if (!problem_.order.dot) return dense_copy<double>(problem_.a);
  std::vector<double> places(static_cast<std::size_t>(problem_.shape().m * groups_));
  std::iota(places.begin(), places.end(), 0.0);
  return places;
}

std::vector<double> ExactMac::tokens_of_b() const {
  if (!problem_.order.dot) return dense_copy<double>(problem_.b);
  std::vector<double> places(static_cast<std::size_t>(problem_.shape().n * groups_));
  std::iota(places.begin(), places.end(), 0.0);
  return places;
}

double ExactMac::operand_a(double token) const {
  if (!problem_.order.dot) return token;
  const auto place = static_cast<std::int64_t>(token);
  return problem_.a.at(place / groups_, place % groups_ * problem_.order.dot->terms);
}

double ExactMac::operand_b(double token) const {
  if (!problem_.order.dot) return token;
  const auto place = static_cast<std::int64_t>(token);
  const std::int64_t n = problem_.shape().n;
  return problem_.b.at(place / n * problem_.order.dot->terms, place % n);
}

double ExactMac::shown_sum(double sum) const {
  if (!problem_.order.exact) return sum;
  Conversion to = problem_.mac.accumulator;
  to.rounding = {};
  return convert(sum, to);
}

/// Group index.k of the output; the tokens must be its groups.
MacOutcome ExactMac::step_of_group(double acc, double a, double b, const MacIndex& index,
                                   bool judge) const {
  const std::int64_t n = problem_.shape().n;
  if (a != static_cast<double>(index.m * groups_ + index.k) ||
      b != static_cast<double>(index.k * n + index.n)) {
    throw Error("groups of different sums meet in a PE", Error::Kind::System);
  }
  const std::int64_t first = index.k * problem_.order.dot->terms;
  const std::int64_t count = std::min(problem_.order.dot->terms, length_ - first);
  const double* a_terms = a_rows_.data() + index.m * length_ + first;
  const double* b_terms = b_columns_.data() + index.n * length_ + first;
  const DotOutcome group =
      dot_->step(acc, a_terms, b_terms, count, first_.draw(index.m, index.n, index.k), judge);
  MacOutcome outcome;
  if (judge) {
    for (std::int64_t i = 0; i < count; ++i) outcome.product += a_terms[i] * b_terms[i];
  }
  outcome.counts = group.counts;
  outcome.sum = group.step;
  return outcome;
}

MacOutcome ExactMac::step_of_exact_sum(double acc, double a, double b,
                                       const MacIndex& index) const {
  const double* a_terms = a_rows_.data() + index.m * length_;
  const double* b_terms = b_columns_.data() + index.n * length_;
  const auto same = [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  if (!same(a, a_terms[index.k]) || !same(b, b_terms[index.k])) {
    throw Error("operands of different sums meet in a PE", Error::Kind::System);
  }
  MacOutcome outcome;
  outcome.product = a * b;
  outcome.sum.value = acc + outcome.product;
  if (index.k + 1 < length_) return outcome;
  std::vector<std::uint32_t> random_products;
  for (std::int64_t k = 0; k < length_ && product_.bits() > 0; ++k) {
    random_products.push_back(product_.draw(index.m, index.n, k));
  }
  const auto size = static_cast<std::size_t>(length_);
  outcome.sum = exact_step(problem_.mac, start(index.m, index.n), {a_terms, size}, {b_terms, size},
                           first_.draw(index.m, index.n, index.k), random_products);
  outcome.counts = std::isfinite(outcome.sum.value);
  return outcome;
}

double ExactMac::step(double acc, double a, double b, const MacIndex& index) const {
  try {
    if (dot_) return step_of_group(acc, a, b, index, false).sum.value;
    if (problem_.order.exact) return step_of_exact_sum(acc, a, b, index).sum.value;
    const std::uint32_t sum_bits = first_.draw(index.m, index.n, index.k);
    const std::uint32_t product_bits = product_.draw(index.m, index.n, index.k);
    if (multiplier_.products_are_doubles()) {
      return adder_.add(acc, multiplier_.product(a, b, product_bits), sum_bits).value;
    }
    return adder_.add_exactly(acc, multiplier_.exact_product(a, b, product_bits), sum_bits).value;
  } catch (const Error& error) {
    rethrow(error, index);
  }
}

MacOutcome ExactMac::observed_step(double acc, double a, double b, const MacIndex& index) const {
  try {
    if (dot_) return step_of_group(acc, a, b, index, true);
    if (problem_.order.exact) return step_of_exact_sum(acc, a, b, index);
    const ExactValue product =
        multiplier_.exact_product(a, b, product_.draw(index.m, index.n, index.k));
    MacOutcome outcome;
    outcome.product = display_value(product);
    outcome.counts =
        product.kind == ValueKind::Finite && product.magnitude != 0 && std::isfinite(acc);
    outcome.sum = adder_.add_exactly(acc, product, first_.draw(index.m, index.n, index.k));
    return outcome;
  } catch (const Error& error) {
    rethrow(error, index);
  }
}

double ExactMac::add(double total, double sum, const MacIndex& index, std::int64_t chunk) const {
  try {
    return second_adder_.add(total, sum, second_.draw(index.m, index.n, chunk)).value;
  } catch (const Error& error) {
    rethrow(error, index);
  }
}

double ExactMac::start(std::int64_t m, std::int64_t n) const {
  return initial_value(problem_, m, n);
}

}  // namespace narrowmac
