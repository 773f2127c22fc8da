#include "models/quantizers/gradient_quantizer.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/design/error.h"
#include "models/numerics/parallel_rows.h"
#include "models/numerics/random.h"
#include "models/quantizers/gradient_blocks.h"
#include "models/quantizers/round_kernel.h"

namespace narrowmac {

namespace {

void check_size(const GradientPlan& plan, std::size_t found, const char* what) {
  if (static_cast<std::int64_t>(found) == plan.rows * plan.columns) return;
  throw Error(fmt::format("found {} {} for a plan of {} x {}; accepted: as many as elements", found,
                          what, plan.rows, plan.columns));
}

template <typename T>
void encode_rows(const GradientPlan& plan, const T* values, double factor, const CodeDraw& draw,
                 float* codes) {
  const RandomRowKey key = tensor_random_key(draw.seed, draw.tensor_number);
  EncodeRule common;
  common.factor = factor;
  common.largest = plan.largest_code();
  common.stochastic = draw.rounding == CodeRounding::Stochastic;
  common.random_column = key.column;
  common.random_step = random_step_word(key, draw.trial);
  for_runs(plan.rows, plan.columns, [&](std::int64_t row, std::int64_t first, std::size_t count) {
    EncodeRule rule = common;
    rule.zero = plan.coding[static_cast<std::size_t>(row)].shift;
    rule.inverse_step = plan.inverse_steps[static_cast<std::size_t>(row)];
    if (!plan.centres.empty()) {
      rule.least = -plan.centres[static_cast<std::size_t>(row)];
      rule.largest += rule.least;
    }
    const std::int64_t element = row * plan.columns + first;
    encode_run(rule, values + element, count, static_cast<std::uint32_t>(element), codes + element);
  });
}

template <typename T>
void encode_matrix(const GradientPlan& plan, const SampleMatrix<T>& matrix, const CodeDraw& draw,
                   std::span<float> codes) {
  check_size(plan, matrix.values.size(), "values");
  check_size(plan, codes.size(), "codes");
  if (plan.groups.empty()) {
    encode_rows(plan, matrix.values.data(), std::ldexp(1.0, -plan.exponent), draw, codes.data());
  } else {
    encode_rows(plan, plan.transformed.data(), 1.0, draw, codes.data());
  }
}

template <typename T>
void decode_group(const GradientPlan& plan, const HouseholderGroup& group, std::int64_t first,
                  std::size_t count, const float* codes, T* values) {
  const double factor = std::ldexp(1.0, plan.exponent);
  BlockSums sums{};
  const auto row_of = [&](std::int64_t i) {
    return static_cast<std::size_t>(group.rows[static_cast<std::size_t>(i)]);
  };
  const auto element = [&](std::int64_t i) {
    return static_cast<std::int64_t>(row_of(i)) * plan.columns + first;
  };
  for (std::int64_t i = 0; i < group.size(); ++i) {
    add_weighted(plan.coding[row_of(i)], codes + element(i), count,
                 group.normal(i) / group.normal_divisor(), sums.data());
  }
  for (std::int64_t i = 0; i < group.size(); ++i) {
    const std::size_t row = row_of(i);
    // A row of one value is its offset, exactly: nothing of the others' errors.
    const double scale = plan.ranges[row] > 0 ? 1 / group.scale(i) : 0;
    const ReflectRule rule{scale, group.normal(i) * scale, plan.offsets[row], factor};
    reflect_run(plan.coding[row], rule, codes + element(i), count, sums.data(),
                values + element(i));
  }
}

template <typename T>
void decode_matrix(const GradientPlan& plan, std::span<const float> codes, std::span<T> values) {
  check_size(plan, codes.size(), "codes");
  check_size(plan, values.size(), "values");
  if (!plan.groups.empty()) {
    for_group_blocks(plan.groups, plan.columns,
                     [&](const HouseholderGroup& group, std::int64_t first, std::size_t count) {
                       decode_group(plan, group, first, count, codes.data(), values.data());
                     });
    return;
  }
  const double factor = std::ldexp(1.0, plan.exponent);
  for_runs(plan.rows, plan.columns, [&](std::int64_t row, std::int64_t first, std::size_t count) {
    const std::int64_t element = row * plan.columns + first;
    decode_run(plan.coding[static_cast<std::size_t>(row)], codes.data() + element, count, factor,
               values.data() + element);
  });
}

/// In place.
void transform_group_back(const GradientPlan& plan, const HouseholderGroup& group,
                          std::int64_t columns, std::int64_t first, std::size_t count,
                          float* values) {
  BlockSums sums{};
  const AffineRow same;
  const auto element = [&](std::int64_t i) {
    return values + group.rows[static_cast<std::size_t>(i)] * columns + first;
  };
  for (std::int64_t i = 0; i < group.size(); ++i) {
    add_weighted(same, element(i), count, group.normal(i) / group.normal_divisor(), sums.data());
  }
  for (std::int64_t i = 0; i < group.size(); ++i) {
    const auto row = static_cast<std::size_t>(group.rows[static_cast<std::size_t>(i)]);
    const double scale = plan.ranges[row] > 0 ? 1 / group.scale(i) : 0;
    reflect_run(same, ReflectRule{scale, group.normal(i) * scale, 0, 1}, element(i), count,
                sums.data(), element(i));
  }
}

/// Of one trial, in units of 2^exponent.
struct TrialError {
  double squares = 0;
  double mean = 0;
};

template <typename T>
TrialError trial_error(const GradientPlan& plan, const SampleMatrix<T>& matrix,
                       const std::vector<double>& decoded) {
  const double factor = std::ldexp(1.0, -plan.exponent);
  std::vector<TrialError> rows(static_cast<std::size_t>(plan.rows));
  for_rows(plan.rows, plan.columns, [&](std::int64_t row) {
    TrialError sum;
    for (std::int64_t i = row * plan.columns; i < (row + 1) * plan.columns; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double error = decoded[at] * factor - static_cast<double>(matrix.values[at]) * factor;
      sum.squares += error * error;
      sum.mean += error;
    }
    rows[static_cast<std::size_t>(row)] = sum;
  });
  TrialError total;
  for (const TrialError& row : rows) {
    total.squares += row.squares;
    total.mean += row.mean;
  }
  total.mean /= static_cast<double>(std::max<std::size_t>(1, matrix.values.size()));
  return total;
}

double bias_in_standard_errors(const std::vector<double>& means) {
  // About the first, so that equal means have no deviation at all.
  const auto count = static_cast<double>(means.size());
  double sum = 0;
  for (const double mean : means) sum += mean - means.front();
  const double centre = sum / count;
  double squares = 0;
  for (const double mean : means) {
    const double deviation = mean - means.front() - centre;
    squares += deviation * deviation;
  }
  const double standard_error = std::sqrt(squares / (count - 1) / count);
  return standard_error > 0 ? (means.front() + centre) / standard_error : 0;
}

template <typename T>
QuantizerNoise measure(const GradientPlan& plan, const SampleMatrix<T>& matrix,
                       const CodeDraw& draw, std::int64_t trials) {
  if (trials < 2) {
    throw Error(fmt::format("found {} trials; accepted: at least 2", trials));
  }
  std::vector<float> codes(matrix.values.size());
  std::vector<double> decoded(matrix.values.size());
  std::vector<double> means;
  double squares = 0;
  for (std::int64_t trial = 0; trial < trials; ++trial) {
    CodeDraw own = draw;
    own.trial = draw.trial + trial;
    encode(plan, matrix, own, codes);
    decode(plan, codes, std::span<double>(decoded));
    const TrialError error = trial_error(plan, matrix, decoded);
    squares += error.squares;
    means.push_back(error.mean);
  }
  const double variance = std::ldexp(squares / static_cast<double>(trials), 2 * plan.exponent);
  return {std::min(variance, std::numeric_limits<double>::max()), bias_in_standard_errors(means)};
}

}  // namespace

std::string_view to_string(GradientScheme scheme) {
  switch (scheme) {
    case GradientScheme::PerTensor:
      return "ptq";
    case GradientScheme::PerSample:
      return "psq";
    case GradientScheme::BlockHouseholder:
      return "bhq";
  }
  return "";
}

GradientScheme parse_gradient_scheme(std::string_view text) {
  for (const GradientScheme scheme :
       {GradientScheme::PerTensor, GradientScheme::PerSample, GradientScheme::BlockHouseholder}) {
    if (text == to_string(scheme)) return scheme;
  }
  throw Error(fmt::format("found gradient quantizer \"{}\"; accepted: ptq, psq, bhq", text));
}

std::string_view to_string(CodeRounding rounding) {
  return rounding == CodeRounding::Stochastic ? "stochastic" : "nearest-even";
}

CodeRounding parse_code_rounding(std::string_view text) {
  if (text == "stochastic") return CodeRounding::Stochastic;
  if (text == "nearest-even" || text == "nearest") return CodeRounding::NearestEven;
  throw Error(fmt::format("found rounding \"{}\"; accepted: stochastic, nearest-even", text));
}

void encode(const GradientPlan& plan, const SampleMatrix<float>& matrix, const CodeDraw& draw,
            std::span<float> codes) {
  encode_matrix(plan, matrix, draw, codes);
}
void encode(const GradientPlan& plan, const SampleMatrix<double>& matrix, const CodeDraw& draw,
            std::span<float> codes) {
  encode_matrix(plan, matrix, draw, codes);
}

void decode(const GradientPlan& plan, std::span<const float> codes, std::span<float> values) {
  decode_matrix(plan, codes, values);
}
void decode(const GradientPlan& plan, std::span<const float> codes, std::span<double> values) {
  decode_matrix(plan, codes, values);
}

void transform_back(const GradientPlan& plan, std::int64_t columns, std::span<float> values) {
  if (static_cast<std::int64_t>(values.size()) != plan.rows * columns) {
    throw Error(fmt::format("found {} values for {} rows of {}; accepted: as many as elements",
                            values.size(), plan.rows, columns));
  }
  for_group_blocks(plan.groups, columns,
                   [&](const HouseholderGroup& group, std::int64_t first, std::size_t count) {
                     transform_group_back(plan, group, columns, first, count, values.data());
                   });
}

QuantizerNoise measure_noise(const GradientPlan& plan, const SampleMatrix<float>& matrix,
                             const CodeDraw& draw, std::int64_t trials) {
  return measure(plan, matrix, draw, trials);
}
QuantizerNoise measure_noise(const GradientPlan& plan, const SampleMatrix<double>& matrix,
                             const CodeDraw& draw, std::int64_t trials) {
  return measure(plan, matrix, draw, trials);
}

}  // namespace narrowmac
