#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/design/error.h"
#include "models/numerics/parallel_rows.h"
#include "models/quantizers/gradient_blocks.h"
#include "models/quantizers/gradient_quantizer.h"

namespace narrowmac {

namespace {

/// Computing a sum of squares rounds; a bound stays one.
constexpr double kRoundingRoom = 1 + 0x1p-40;

/// In units of 2^exponent.
struct RowRange {
  double least = 0;
  double greatest = 0;
};

template <typename T>
[[noreturn]] void refuse_not_finite(const SampleMatrix<T>& matrix) {
  std::int64_t i = 0;
  while (std::isfinite(matrix.values[static_cast<std::size_t>(i)])) ++i;
  throw Error(fmt::format(
      "element [{}, {}] is {}; accepted: finite numbers", i / matrix.columns, i % matrix.columns,
      std::isnan(matrix.values[static_cast<std::size_t>(i)]) ? "NaN" : "infinity"));
}

template <typename T>
void check(const SampleMatrix<T>& matrix, int bits) {
  if (bits < kMinCodeBits || bits > kMaxCodeBits) {
    throw Error(fmt::format("found codes of {} bits; accepted: {} to {}", bits, kMinCodeBits,
                            kMaxCodeBits));
  }
  if (static_cast<std::int64_t>(matrix.values.size()) != matrix.rows * matrix.columns) {
    throw Error(fmt::format("found {} values for {} x {} elements; accepted: as many",
                            matrix.values.size(), matrix.rows, matrix.columns));
  }
}

template <typename T>
std::vector<Extrema> row_extrema(const SampleMatrix<T>& matrix) {
  std::vector<Extrema> extrema(static_cast<std::size_t>(matrix.rows));
  if (matrix.columns == 0) return extrema;
  for_rows(matrix.rows, matrix.columns, [&](std::int64_t row) {
    extrema[static_cast<std::size_t>(row)] = find_extrema(
        matrix.values.data() + row * matrix.columns, static_cast<std::size_t>(matrix.columns));
  });
  const auto finite = [](const Extrema& row) { return row.finite; };
  if (!std::all_of(extrema.begin(), extrema.end(), finite)) refuse_not_finite(matrix);
  return extrema;
}

/// Squares and differences of floats are within double's range as they are.
int exponent_of(const SampleMatrix<float>& /*matrix*/, const std::vector<Extrema>& /*extrema*/) {
  return 0;
}
int exponent_of(const SampleMatrix<double>& /*matrix*/, const std::vector<Extrema>& extrema) {
  double largest = 0;
  for (const Extrema& row : extrema) {
    largest = std::max({largest, std::abs(row.least), std::abs(row.greatest)});
  }
  return largest == 0 ? 0 : std::clamp(std::ilogb(largest), -1000, 1000);
}

AffineRow affine(double least, double range, double largest_code) {
  return {range / largest_code, least};
}

/// One range for all rows, widened so that zero is a code.
AffineRow tensor_coding(double least, double greatest, double largest_code) {
  if (least == greatest) return {std::abs(least), std::min(least, 0.0)};  // exact
  if (least >= 0) return {greatest / largest_code, 0.0};
  // Zero's code: where the range puts it, moved down to an integer, which widens the top.
  const double zero_code =
      std::min(std::floor(-least * largest_code / (greatest - least)), largest_code);
  // A negative part of less than a step: the range grows downwards to one step.
  const double step = zero_code >= 1 ? -least / zero_code : greatest / (largest_code - 1);
  // Few enough bits for zero_code * step to be exact; up, so that the ends stay within.
  int exponent = 0;
  constexpr double kUnits = 0x1p36;
  const double fraction = std::frexp(step, &exponent);
  const double rounded = std::ldexp(std::ceil(fraction * kUnits) / kUnits, exponent);
  return {rounded, -std::max(zero_code, 1.0) * rounded};
}

void plan_tensor(GradientPlan& plan, const std::vector<RowRange>& rows) {
  RowRange all = rows.empty() ? RowRange() : rows.front();
  for (const RowRange& row : rows) {
    all.least = std::min(all.least, row.least);
    all.greatest = std::max(all.greatest, row.greatest);
  }
  const AffineRow coding = tensor_coding(all.least, all.greatest, plan.largest_code());
  plan.coding.assign(rows.size(), coding);
  plan.inverse_steps.assign(rows.size(), coding.slope > 0 ? 1 / coding.slope : 0);
  if (all.least == all.greatest) return;
  plan.bound = static_cast<double>(plan.rows) * static_cast<double>(plan.columns) * coding.slope *
               coding.slope / 4 * kRoundingRoom;
}

/// A range for each of the coded rows. `weights`: what a row's error adds to the error of X.
void plan_rows(GradientPlan& plan, const std::vector<RowRange>& rows,
               const std::vector<double>& ranges, const std::vector<double>& weights) {
  double sum = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    plan.coding.push_back(affine(rows[i].least, ranges[i], plan.largest_code()));
    plan.inverse_steps.push_back(ranges[i] > 0 ? plan.largest_code() / ranges[i] : 0);
    sum += plan.coding.back().slope * plan.coding.back().slope * weights[i];
  }
  plan.bound = static_cast<double>(plan.columns) / 4 * sum * kRoundingRoom;
}

template <typename T>
void transform(GradientPlan& plan, const SampleMatrix<T>& matrix) {
  plan.transformed.resize(matrix.values.size());
  const double factor = std::ldexp(1.0, -plan.exponent);
  for_group_blocks(
      plan.groups, plan.columns,
      [&](const HouseholderGroup& group, std::int64_t first, std::size_t count) {
        BlockSums sums{};
        const auto row_of = [&](std::int64_t i) { return group.rows[static_cast<std::size_t>(i)]; };
        const auto element = [&](std::int64_t i) {
          return static_cast<std::size_t>(row_of(i) * plan.columns + first);
        };
        const auto input = [&](std::int64_t i) {
          return AffineRow{factor, -plan.offsets[static_cast<std::size_t>(row_of(i))]};
        };
        for (std::int64_t i = 0; i < group.size(); ++i) {
          add_weighted(input(i), matrix.values.data() + element(i), count,
                       group.normal(i) * group.scale(i) / group.normal_divisor(), sums.data());
        }
        for (std::int64_t i = 0; i < group.size(); ++i) {
          const ReflectRule rule{group.scale(i), group.normal(i), 0, 1};
          reflect_run(input(i), rule, matrix.values.data() + element(i), count, sums.data(),
                      plan.transformed.data() + element(i));
        }
      });
}

/// sum_j (S^-1)_ji^2 for each transformed row i, over the rows j that are not restored exactly. H
/// has four different entries, so this takes no k^2 steps.
std::vector<double> error_weights(const GradientPlan& plan) {
  std::vector<double> weights(static_cast<std::size_t>(plan.rows));
  for (const HouseholderGroup& group : plan.groups) {
    const auto row_of = [&](std::int64_t i) {
      return static_cast<std::size_t>(group.rows[static_cast<std::size_t>(i)]);
    };
    const auto square = [&](std::int64_t i, std::int64_t j) {
      const double entry = group.reflection(i, j) / group.scale(j);
      return entry * entry;
    };
    double small = 0;  // small rows that are not constant
    for (std::int64_t i = 1; i < group.size(); ++i) small += plan.ranges[row_of(i)] > 0 ? 1 : 0;
    weights[row_of(0)] = square(0, 0) + small * square(0, 1);
    const double others = group.size() > 2 ? square(1, 2) : 0;
    for (std::int64_t i = 1; i < group.size(); ++i) {
      const bool counts = plan.ranges[row_of(i)] > 0;
      weights[row_of(i)] =
          square(i, 0) + (counts ? square(i, i) + (small - 1) * others : small * others);
    }
  }
  return weights;
}

template <typename T>
void plan_householder(GradientPlan& plan, const SampleMatrix<T>& matrix,
                      const std::vector<RowRange>& rows) {
  for (const RowRange& row : rows) plan.offsets.push_back(row.least);
  transform(plan, matrix);
  const SampleMatrix<double> transformed{plan.transformed, plan.rows, plan.columns};
  std::vector<RowRange> coded;
  std::vector<double> ranges;
  for (const Extrema& row : row_extrema(transformed)) {
    coded.push_back({row.least, row.greatest});
    ranges.push_back(row.greatest - row.least);
  }
  plan_rows(plan, coded, ranges, error_weights(plan));
}

template <typename T>
GradientPlan make_plan(const SampleMatrix<T>& matrix, const std::vector<Extrema>& extrema,
                       GradientScheme scheme, int bits) {
  GradientPlan plan;
  plan.scheme = scheme;
  plan.bits = bits;
  plan.rows = matrix.rows;
  plan.columns = matrix.columns;
  plan.exponent = exponent_of(matrix, extrema);
  const double factor = std::ldexp(1.0, -plan.exponent);
  constexpr double kSmallestRange = 0x1p-900;  // steps below could not be inverted
  std::vector<RowRange> rows;
  for (const Extrema& row : extrema) {
    rows.push_back({row.least * factor, row.greatest * factor});
    const double range = rows.back().greatest - rows.back().least;
    plan.ranges.push_back(range < kSmallestRange ? 0.0 : range);
  }
  if (scheme == GradientScheme::PerTensor) {
    plan_tensor(plan, rows);
    return plan;
  }
  if (scheme == GradientScheme::BlockHouseholder) plan.groups = householder_groups(plan.ranges);
  if (plan.groups.empty()) {
    plan_rows(plan, rows, plan.ranges, std::vector<double>(rows.size(), 1.0));
  } else {
    plan_householder(plan, matrix, rows);
  }
  return plan;
}

}  // namespace

double GradientPlan::variance_bound() const {
  return std::min(std::ldexp(bound, 2 * exponent), std::numeric_limits<double>::max());
}

std::int64_t GradientPlan::transform_macs() const {
  return groups.empty() ? 0 : 6 * rows * columns;
}

GradientPlan plan_gradient(const SampleMatrix<float>& matrix, GradientScheme scheme, int bits) {
  check(matrix, bits);
  return make_plan(matrix, row_extrema(matrix), scheme, bits);
}
GradientPlan plan_gradient(const SampleMatrix<double>& matrix, GradientScheme scheme, int bits) {
  check(matrix, bits);
  return make_plan(matrix, row_extrema(matrix), scheme, bits);
}
GradientPlan plan_gradient(const SampleMatrix<float>& matrix, const std::vector<Extrema>& extrema,
                           GradientScheme scheme, int bits) {
  check(matrix, bits);
  return make_plan(matrix, extrema, scheme, bits);
}

GradientPlan plan_training_gradient(const SampleMatrix<float>& matrix,
                                    const std::vector<Extrema>& extrema, GradientScheme scheme,
                                    int bits) {
  GradientPlan plan = plan_gradient(matrix, extrema, scheme, bits);
  if (plan.groups.empty()) return plan;
  GradientPlan rows = plan_gradient(matrix, extrema, GradientScheme::PerSample, bits);
  rows.scheme = scheme;
  return rows.bound <= plan.bound ? rows : plan;
}

void centre_codes(GradientPlan& plan) {
  plan.centres.assign(plan.coding.size(), 0.0);
  for (std::size_t i = 0; i < plan.coding.size(); ++i) {
    AffineRow& row = plan.coding[i];
    if (row.slope == 0) continue;
    plan.centres[i] = std::clamp(std::nearbyint(-row.shift / row.slope), 0.0, plan.largest_code());
    row.shift += plan.centres[i] * row.slope;
  }
}

}  // namespace narrowmac
