#include "models/array/pe/exact_mac.h"

#include <fmt/core.h>

#include <cmath>
#include <limits>

#include "models/design/error.h"

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
      product_(problem, RandomLevel::Product, multiplier_.random_bits()) {}

double ExactMac::step(double acc, double a, double b, const MacIndex& index) const {
  try {
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
