#include "models/numerics/statistics.h"

#include <array>
#include <cstddef>

namespace narrowmac {
namespace {

std::optional<double> fraction(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

/// Partial sums of a row of outputs: their number is part of the result, so it is no vector's
/// width.
constexpr std::size_t kPartialSums = 8;

/// The sum of element(i) for i = 0 .. count - 1.
template <typename Element>
double sum_of(std::size_t count, const Element& element) {
  std::array<double, kPartialSums> partial{};
  std::size_t i = 0;
  for (; i + kPartialSums <= count; i += kPartialSums) {
    for (std::size_t lane = 0; lane < kPartialSums; ++lane) partial[lane] += element(i + lane);
  }
  double sum = 0;
  for (const double part : partial) sum += part;
  for (; i < count; ++i) sum += element(i);
  return sum;
}

/// In two passes, from the first value: equal values have no variance at all.
Moments moments_of(std::span<const double> values) {
  Moments moments;
  if (values.empty()) return moments;
  const double first = values.front();
  const double sum = sum_of(values.size(), [&](std::size_t i) { return values[i] - first; });
  moments.count = static_cast<std::int64_t>(values.size());
  moments.mean = first + sum / static_cast<double>(values.size());
  moments.squared_deviations = sum_of(values.size(), [&](std::size_t i) {
    return (values[i] - moments.mean) * (values[i] - moments.mean);
  });
  return moments;
}

}  // namespace

void Moments::add(double x) {
  ++count;
  const double deviation = x - mean;
  mean += deviation / static_cast<double>(count);
  squared_deviations += deviation * (x - mean);
}

Moments& Moments::operator+=(const Moments& other) {
  if (other.count == 0) return *this;
  if (count == 0) return *this = other;
  const auto own = static_cast<double>(count);
  const auto added = static_cast<double>(other.count);
  const double deviation = other.mean - mean;
  mean += deviation * (added / (own + added));
  squared_deviations +=
      other.squared_deviations + deviation * deviation * (own * added / (own + added));
  count += other.count;
  return *this;
}

std::optional<double> Moments::variance() const {
  if (count == 0) return std::nullopt;
  return squared_deviations / static_cast<double>(count);
}

void GemmStatistics::add_output(double narrow_value, double exact_value) {
  narrow.add(narrow_value);
  exact.add(exact_value);
  const double error = narrow_value - exact_value;
  squared_error += error * error;
}

void GemmStatistics::add_outputs(std::span<const double> narrow_values,
                                 std::span<const double> exact_values) {
  narrow += moments_of(narrow_values);
  exact += moments_of(exact_values);
  squared_error += sum_of(narrow_values.size(), [&](std::size_t i) {
    const double error = narrow_values[i] - exact_values[i];
    return error * error;
  });
}

GemmStatistics& GemmStatistics::operator+=(const GemmStatistics& other) {
  steps += other.steps;
  full_swamped += other.full_swamped;
  partial_swamped += other.partial_swamped;
  overflowed += other.overflowed;
  underflowed += other.underflowed;
  products += other.products;
  nonzero_products += other.nonzero_products;
  narrow += other.narrow;
  exact += other.exact;
  squared_error += other.squared_error;
  return *this;
}

std::optional<double> GemmStatistics::full_swamping() const {
  return fraction(full_swamped, steps);
}
std::optional<double> GemmStatistics::partial_swamping() const {
  return fraction(partial_swamped, steps);
}
std::optional<double> GemmStatistics::overflow() const { return fraction(overflowed, steps); }
std::optional<double> GemmStatistics::underflow() const { return fraction(underflowed, steps); }
std::optional<double> GemmStatistics::nonzero_ratio() const {
  return fraction(nonzero_products, products);
}
std::optional<double> GemmStatistics::variance_narrow() const { return narrow.variance(); }
std::optional<double> GemmStatistics::variance_exact() const { return exact.variance(); }

std::optional<double> GemmStatistics::vrr() const {
  if (exact.count == 0 || exact.squared_deviations == 0) return std::nullopt;
  return narrow.squared_deviations / exact.squared_deviations;
}

std::optional<double> GemmStatistics::nmse() const {
  if (exact.count == 0 || exact.squared_deviations == 0) return std::nullopt;
  return squared_error / exact.squared_deviations;
}

}  // namespace narrowmac
