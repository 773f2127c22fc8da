#include "sim/experiment/accumulator_widths.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/design/error.h"
#include "models/numerics/gemm.h"

namespace narrowmac {
namespace {

constexpr int kMaxWidth = 53;
/// Steps differ from each other: a bit more than the sums of one need.
constexpr int kHeadroomBits = 1;

double mean_square(const OperandMatrix& matrix) {
  return std::visit(
      [](const auto& values) {
        double sum = 0;
        for (const auto value : values) sum += static_cast<double>(value) * value;
        return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
      },
      matrix.values);
}

/// The mean over a view's rows of the variance in a row.
double mean_row_variance(const OperandView& view) {
  double total = 0;
  for (std::int64_t row = 0; row < view.rows(); ++row) {
    Moments moments;
    for (std::int64_t column = 0; column < view.columns(); ++column) {
      moments.add(view.at(row, column));
    }
    total += moments.variance().value_or(0.0);
  }
  return view.rows() > 0 ? total / static_cast<double>(view.rows()) : 0.0;
}

double largest_magnitude(const NumberFormat& format) {
  return std::max(format.max_value(), -format.lowest_value());
}

/// Signed fixed point whose magnitudes stay below 2^range and whose unit is 2^-fraction.
NumberFormat signed_format(int range, int fraction) {
  NumberFormat format;
  format.family = NumberFormat::Family::Signed;
  format.exponent_bits = 0;
  format.fraction_bits = fraction;
  format.width = std::max(2, range + fraction + 1);
  if (format.width > kMaxWidth) {
    throw Error(
        fmt::format("found sums that need {} bits; accepted: at most {}", format.width, kMaxWidth));
  }
  return format;
}

/// The least power of two above a magnitude, as an exponent.
int exponent_above(double magnitude) { return magnitude > 0 ? std::ilogb(magnitude) + 1 : 0; }

/// Of all partial sums of the sampled outputs. Sums of fixed-point products are exact in double as
/// far as they matter here.
double largest_partial_sum(const FixedOperands& operands) {
  const OperandView a = operands.a.view();
  const OperandView b = operands.b.view();
  const auto columns = static_cast<std::size_t>(b.columns());
  // All sums of a row of A advance together, so that a row of B is read at once.
  std::vector<double> b_values(static_cast<std::size_t>(b.rows()) * columns);
  for (std::int64_t k = 0; k < b.rows(); ++k) {
    for (std::size_t n = 0; n < columns; ++n) {
      b_values[static_cast<std::size_t>(k) * columns + n] = b.at(k, static_cast<std::int64_t>(n));
    }
  }
  double largest = 0;
  std::vector<double> sums(columns);
  std::vector<double> extremes(columns);
  for (std::int64_t m = 0; m < a.rows(); ++m) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::int64_t k = 0; k < a.columns(); ++k) {
      const double x = a.at(m, k);
      if (x == 0) continue;
      const double* y = b_values.data() + static_cast<std::size_t>(k) * columns;
      for (std::size_t n = 0; n < columns; ++n) {
        sums[n] += x * y[n];
        extremes[n] = std::max(extremes[n], std::abs(sums[n]));
      }
    }
  }
  for (const double extreme : extremes) largest = std::max(largest, extreme);
  return largest;
}

/// Mean squared error of the sampled outputs in an accumulator.
double measured_noise(const FixedOperands& operands, const NumberFormat& accumulator) {
  GemmProblem problem;
  problem.mac.a = operands.a_format;
  problem.mac.b = operands.b_format;
  problem.mac.accumulator.format = accumulator;
  problem.mac.accumulator.overflow = Overflow::Saturate;
  problem.order = accumulation_order(problem.mac, operands.array);
  problem.a = operands.a.view();
  problem.b = operands.b.view();
  const GemmShape shape = problem.shape();
  std::vector<double> out(static_cast<std::size_t>(shape.m * shape.n));
  const std::optional<GemmStatistics> statistics =
      gemm(problem, OutputView::of(out.data(), shape.n), Observation{});
  return statistics && statistics->outputs() > 0
             ? statistics->squared_error / static_cast<double>(statistics->outputs())
             : 0.0;
}

NumberFormat wider(const NumberFormat& one, const NumberFormat& other) {
  return signed_format(
      std::max(one.width - one.fraction_bits, other.width - other.fraction_bits) - 1,
      std::max(one.fraction_bits, other.fraction_bits));
}

}  // namespace

AccumulatorWidths wider(const AccumulatorWidths& one, const AccumulatorWidths& other) {
  return {wider(one.theory, other.theory), wider(one.measured, other.measured)};
}

AccumulatorWidths accumulator_widths(const FixedOperands& operands) {
  for (const NumberFormat& format : {operands.a_format, operands.b_format}) {
    if (format.is_fixed()) continue;
    throw Error(fmt::format("found operands in {}; accepted: fixed point", format.to_string()));
  }
  const auto length = static_cast<double>(operands.a.columns);
  const double a_step = operands.a_format.smallest_value();
  const double b_step = operands.b_format.smallest_value();
  const double result_step = operands.result_step.value_or(0.0);
  // 12 times the variance that rounding the operands, and the result, leaves in a sum.
  const double a_square =
      operands.codes ? mean_row_variance(operands.a.view()) : mean_square(operands.a);
  const double b_square =
      operands.codes ? mean_row_variance(operands.b.view().transposed()) : mean_square(operands.b);
  const double noise = length * (a_square * b_step * b_step + b_square * a_step * a_step) +
                       result_step * result_step;
  const double allowed = kAccumulatorNoiseShare * noise;
  const int exact = operands.a_format.fraction_bits + operands.b_format.fraction_bits;
  const int range = exponent_above(length * largest_magnitude(operands.a_format) *
                                   largest_magnitude(operands.b_format));

  AccumulatorWidths widths;
  int fraction = exact;
  if (allowed > 0) fraction = std::min(exact, -std::ilogb(std::sqrt(allowed / length)));
  // At least one bit above the unit: a tensor of zeros has no noise and no sums either.
  fraction = std::max(fraction, 1 - range);
  widths.theory = signed_format(range, fraction);

  const int measured_range =
      operands.codes
          ? range
          : std::min(range, exponent_above(largest_partial_sum(operands)) + kHeadroomBits);
  const auto is_quiet = [&](int bits) {
    return measured_noise(operands, signed_format(range, bits)) * 12 <= allowed;
  };
  int measured = fraction;
  while (measured < std::min(exact, kMaxWidth - 1 - range) && !is_quiet(measured)) ++measured;
  while (measured > 1 - measured_range && is_quiet(measured - 1)) --measured;
  widths.measured = signed_format(measured_range, measured);
  return widths;
}

}  // namespace narrowmac
