#include "models/quantizers/gradient_quantizer.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "models/numerics/random.h"

namespace narrowmac {
namespace {

constexpr GradientScheme kSchemes[] = {GradientScheme::PerTensor, GradientScheme::PerSample,
                                       GradientScheme::BlockHouseholder};
constexpr double kRounding = 1 + 1e-9;

template <typename T>
struct Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<T> values;
  [[nodiscard]] SampleMatrix<T> view() const { return {values, rows, columns}; }
  [[nodiscard]] std::span<const T> row(std::int64_t i) const {
    return std::span<const T>(values).subspan(static_cast<std::size_t>(i * columns),
                                              static_cast<std::size_t>(columns));
  }
};
using Doubles = Matrix<double>;

/// Gaussian rows with these standard deviations about `mean`.
Doubles gaussian(const std::vector<double>& deviations, std::int64_t columns, double mean = 0,
                 unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Doubles matrix{static_cast<std::int64_t>(deviations.size()), columns, {}};
  for (const double deviation : deviations) {
    for (std::int64_t i = 0; i < columns; ++i) {
      matrix.values.push_back(mean + deviation * normal(generator));
    }
  }
  return matrix;
}

std::vector<double> with_outlier(std::size_t rows, double outlier) {
  std::vector<double> deviations(rows, 1.0);
  deviations[rows / 3] = outlier;
  return deviations;
}

std::vector<double> log_normal(std::size_t rows, double spread) {
  std::mt19937 generator(7);
  std::normal_distribution<double> normal;
  std::vector<double> deviations;
  for (std::size_t i = 0; i < rows; ++i) deviations.push_back(std::exp(spread * normal(generator)));
  return deviations;
}

Doubles mapped(Doubles matrix, double (*function)(double)) {
  for (double& value : matrix.values) value = function(value);
  return matrix;
}

/// Matrices with whatever should be difficult.
std::map<std::string, Doubles> difficult_matrices() {
  std::map<std::string, Doubles> matrices;
  matrices["gaussian"] = gaussian(std::vector<double>(17, 1.0), 96);
  matrices["one outlier"] = gaussian(with_outlier(32, 1e4), 64);
  matrices["log-normal"] = gaussian(log_normal(40, 2.0), 48);
  matrices["wild log-normal"] = gaussian(log_normal(40, 20.0), 48);
  matrices["not negative"] =
      mapped(gaussian(with_outlier(9, 5.0), 64), [](double x) { return std::max(x, 0.0); });
  matrices["negative"] =
      mapped(gaussian(with_outlier(9, 5.0), 64), [](double x) { return -1 - std::abs(x); });
  matrices["barely negative"] =
      mapped(gaussian(with_outlier(9, 5.0), 64), [](double x) { return std::max(x, -1e-6); });
  matrices["large mean"] = gaussian(with_outlier(12, 10.0), 64, 1e6);
  matrices["one row"] = gaussian({3.0}, 64);
  matrices["two rows"] = gaussian({3.0, 0.01}, 64);
  matrices["three rows"] = gaussian({3.0, 0.01, 0.02}, 64);
  matrices["three equal rows"] = gaussian({1.0, 1.0, 1.0}, 64);
  matrices["one column"] = gaussian(with_outlier(12, 5.0), 1);
  matrices["constant rows"] = gaussian({0, 2.0, 0, 0, 0.5, 0}, 64, 0.3);
  matrices["one row that is not constant"] = gaussian({0, 0, 0, 1.0, 0}, 64, -0.7);
  matrices["huge"] =
      mapped(gaussian(with_outlier(8, 10.0), 64), [](double x) { return x * 1e150; });
  matrices["tiny"] =
      mapped(gaussian(with_outlier(8, 10.0), 64), [](double x) { return x * 1e-150; });
  return matrices;
}

std::vector<float> codes_of(const GradientPlan& plan, const SampleMatrix<double>& matrix,
                            const CodeDraw& draw = {}) {
  std::vector<float> codes(matrix.values.size());
  encode(plan, matrix, draw, codes);
  return codes;
}

std::vector<double> quantized(const GradientPlan& plan, const SampleMatrix<double>& matrix,
                              const CodeDraw& draw = {}) {
  std::vector<double> values(matrix.values.size());
  decode(plan, codes_of(plan, matrix, draw), std::span<double>(values));
  return values;
}

double range_of(std::span<const double> values) {
  return *std::max_element(values.begin(), values.end()) -
         *std::min_element(values.begin(), values.end());
}

TEST(GradientQuantizer, IsUnbiasedAndItsVarianceIsWithinTheBoundOnDifficultMatrices) {
  for (const auto& [name, matrix] : difficult_matrices()) {
    for (const GradientScheme scheme : kSchemes) {
      for (const int bits : {2, 5, 8}) {
        const GradientPlan plan = plan_gradient(matrix.view(), scheme, bits);
        const QuantizerNoise noise = measure_noise(plan, matrix.view(), {}, 60);
        const std::string what =
            name + ", " + std::string(to_string(scheme)) + ", bits " + std::to_string(bits);
        EXPECT_LT(std::abs(noise.bias_standard_errors), 5) << what;
        EXPECT_LE(noise.variance, plan.variance_bound() * kRounding) << what;
      }
    }
  }
}

TEST(GradientQuantizer, OnGaussianRowsTheVarianceIsTwoThirdsOfTheRowBounds) {
  for (const auto& deviations :
       {std::vector<double>(24, 1.0), with_outlier(64, 100), log_normal(64, 1.5)}) {
    const Doubles matrix = gaussian(deviations, 512);
    for (const GradientScheme scheme :
         {GradientScheme::PerSample, GradientScheme::BlockHouseholder}) {
      const GradientPlan plan = plan_gradient(matrix.view(), scheme, 5);
      const double ratio =
          measure_noise(plan, matrix.view(), {}, 10).variance / plan.variance_bound();
      EXPECT_GT(ratio, 0.60) << to_string(scheme);
      EXPECT_LT(ratio, 0.72) << to_string(scheme);
    }
  }
}

double variance_of(const Doubles& matrix, GradientScheme scheme) {
  return measure_noise(plan_gradient(matrix.view(), scheme, 5), matrix.view(), {}, 10).variance;
}

TEST(GradientQuantizer, OneOutlierRowCostsHouseholderAThousandthOfThePerTensorVariance) {
  // The mean puts the other 127 rows between two of the tensor's codes.
  const Doubles matrix = gaussian(with_outlier(128, 1e4), 256, 1000.0);
  const double ptq = variance_of(matrix, GradientScheme::PerTensor);
  const double psq = variance_of(matrix, GradientScheme::PerSample);
  const double bhq = variance_of(matrix, GradientScheme::BlockHouseholder);
  EXPECT_LE(bhq, 1e-3 * ptq);
  EXPECT_LT(bhq, psq / 50);
  EXPECT_LT(psq, ptq / 50);
}

TEST(GradientQuantizer, RowsNextToPerTensorsZeroSufferLittleFromIt) {
  // Rounding x next to a code errs with variance |x| (step - |x|), far below the bound.
  const Doubles matrix = gaussian(with_outlier(128, 1e4), 256);
  const double ptq = variance_of(matrix, GradientScheme::PerTensor);
  EXPECT_LT(ptq,
            0.02 * plan_gradient(matrix.view(), GradientScheme::PerTensor, 5).variance_bound());
  EXPECT_LT(variance_of(matrix, GradientScheme::BlockHouseholder), ptq / 50);
}

TEST(GradientQuantizer, RowBoundIsTheSumOfSquaredRanges) {
  const Doubles matrix = gaussian(log_normal(20, 1.0), 33);
  double sum = 0;
  for (std::int64_t i = 0; i < matrix.rows; ++i) sum += std::pow(range_of(matrix.row(i)), 2);
  const GradientPlan plan = plan_gradient(matrix.view(), GradientScheme::PerSample, 4);
  EXPECT_NEAR(plan.variance_bound(), 33 * sum / (4 * 15.0 * 15.0), 1e-9 * plan.variance_bound());
}

TEST(GradientQuantizer, TensorBoundIsThatOfTheRangeWidenedUntilZeroIsACode) {
  const Doubles matrix{1, 4, {-0.3, 0.0, 0.45, 0.6}};  // zero at 1.0 of 3: nothing to widen
  EXPECT_NEAR(plan_gradient(matrix.view(), GradientScheme::PerTensor, 2).variance_bound(),
              4 * 0.81 / 36, 1e-9);
  const Doubles wider{1, 4, {-0.3, 0.0, 0.4, 0.2}};  // zero at 1.29 of 3: range grows to 0.9
  EXPECT_NEAR(plan_gradient(wider.view(), GradientScheme::PerTensor, 2).variance_bound(),
              4 * 0.81 / 36, 1e-9);
  const Doubles positive{1, 2, {0.1, 0.6}};  // its own branch: from zero up
  EXPECT_NEAR(plan_gradient(positive.view(), GradientScheme::PerTensor, 2).variance_bound(),
              2 * 0.36 / 36, 1e-9);
}

TEST(GradientQuantizer, PerTensorZeroStaysExactlyZero) {
  for (const auto& [name, matrix] : difficult_matrices()) {
    Doubles with_zero = matrix;
    for (std::size_t i = 0; i < with_zero.values.size(); i += 3) with_zero.values[i] = 0;
    const GradientPlan plan = plan_gradient(with_zero.view(), GradientScheme::PerTensor, 3);
    for (int trial = 0; trial < 3; ++trial) {
      const auto values =
          quantized(plan, with_zero.view(), {CodeRounding::Stochastic, 1, 0, trial});
      for (std::size_t i = 0; i < values.size(); i += 3) ASSERT_EQ(values[i], 0.0) << name;
    }
  }
}

TEST(GradientQuantizer, RowsOfOneValueComeBackExactly) {
  const Doubles matrix = gaussian({0, 1e3, 0, 2.0, 0, 0, 1.0}, 40, 0.3);
  for (const GradientScheme scheme :
       {GradientScheme::PerSample, GradientScheme::BlockHouseholder}) {
    const auto values = quantized(plan_gradient(matrix.view(), scheme, 3), matrix.view());
    for (std::size_t row : {0U, 2U, 4U, 5U}) {
      for (std::size_t i = 0; i < 40; ++i) ASSERT_EQ(values[row * 40 + i], 0.3);
    }
  }
  for (const double constant : {0.0, 0.3, -1e-300, 5e-324, -1.7e308}) {
    for (const std::int64_t rows : {1, 2, 3, 8}) {
      const Doubles all{rows, 7, std::vector<double>(static_cast<std::size_t>(rows * 7), constant)};
      for (const GradientScheme scheme : kSchemes) {
        const GradientPlan plan = plan_gradient(all.view(), scheme, 4);
        EXPECT_EQ(quantized(plan, all.view()), all.values) << constant;
        EXPECT_EQ(plan.variance_bound(), 0);
        EXPECT_EQ(measure_noise(plan, all.view(), {}, 3).bias_standard_errors, 0);
      }
    }
  }
}

TEST(GradientQuantizer, FewerThanThreeRowsAreNotMixed) {
  for (const std::size_t rows : {1U, 2U}) {
    const Doubles matrix = gaussian(with_outlier(rows, 50), 30);
    const auto bhq = plan_gradient(matrix.view(), GradientScheme::BlockHouseholder, 4);
    const auto psq = plan_gradient(matrix.view(), GradientScheme::PerSample, 4);
    EXPECT_TRUE(bhq.groups.empty());
    EXPECT_EQ(bhq.transform_macs(), 0);
    EXPECT_EQ(bhq.variance_bound(), psq.variance_bound());
    EXPECT_EQ(codes_of(bhq, matrix.view()), codes_of(psq, matrix.view()));
  }
}

TEST(GradientQuantizer, CodesAreIntegersOfTheirWidthAndReachBothEnds) {
  const Doubles matrix = gaussian(log_normal(10, 1.0), 700);
  for (const GradientScheme scheme : kSchemes) {
    for (const int bits : {2, 8, 16}) {
      const auto codes = codes_of(plan_gradient(matrix.view(), scheme, bits), matrix.view());
      const auto largest = static_cast<float>((1 << bits) - 1);
      float low = largest;
      float high = 0;
      for (const float code : codes) {
        ASSERT_EQ(code, std::trunc(code));
        low = std::min(low, code);
        high = std::max(high, code);
      }
      EXPECT_EQ(low, 0) << to_string(scheme);
      EXPECT_LE(high, largest);
      EXPECT_GE(high, scheme == GradientScheme::PerTensor ? largest / 2 : largest);
    }
  }
}

TEST(GradientQuantizer, CodesCanBeReplayedFromTheirRandomWords) {
  const Doubles matrix = gaussian({1.0, 4.0}, 19);
  const GradientPlan plan = plan_gradient(matrix.view(), GradientScheme::PerSample, 6);
  const auto codes = codes_of(plan, matrix.view(), {CodeRounding::Stochastic, 5, 9, 3});
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i) / 19;
    const auto values = matrix.row(row);
    const double least = *std::min_element(values.begin(), values.end());
    const double y = (matrix.values[i] - least) * 63 / range_of(values);
    const double u =
        (random_word(5, 9, -1, static_cast<std::int64_t>(i), RandomLevel::Accumulator, 3) + 0.5) *
        0x1p-32;
    EXPECT_EQ(codes[i], std::min(std::floor(y + u), 63.0)) << i;
  }
}

TEST(GradientQuantizer, ThreadsAndTypesDecideNoCode) {
  Doubles matrix = gaussian(log_normal(50, 2.0), 1300);
  Matrix<float> narrow{matrix.rows, matrix.columns, {}};
  for (double& value : matrix.values) {
    narrow.values.push_back(static_cast<float>(value));
    value = narrow.values.back();
  }
  for (const GradientScheme scheme : kSchemes) {
    const GradientPlan plan = plan_gradient(narrow.view(), scheme, 5);
    std::vector<float> codes(narrow.values.size());
    encode(plan, narrow.view(), {}, codes);
    const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
    const GradientPlan alone = plan_gradient(narrow.view(), scheme, 5);
    std::vector<float> again(narrow.values.size());
    encode(alone, narrow.view(), {}, again);
    EXPECT_EQ(codes, again);
    EXPECT_EQ(plan.bound, alone.bound);
    std::vector<double> wide(codes.size());
    decode(plan, codes, std::span<double>(wide));
    std::vector<float> same(codes.size());
    decode(plan, codes, std::span<float>(same));
    for (std::size_t i = 0; i < wide.size(); ++i) ASSERT_EQ(same[i], static_cast<float>(wide[i]));
  }
}

TEST(GradientQuantizer, NearestErrsByHalfAStepAtMostAndNeverDiffers) {
  const Doubles matrix = gaussian(log_normal(9, 1.0), 77);
  const GradientPlan plan = plan_gradient(matrix.view(), GradientScheme::PerSample, 4);
  const auto values = quantized(plan, matrix.view(), {CodeRounding::NearestEven, 1, 0, 0});
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double step = range_of(matrix.row(static_cast<std::int64_t>(i / 77))) / 15;
    ASSERT_LE(std::abs(values[i] - matrix.values[i]), step / 2 * kRounding);
  }
  EXPECT_EQ(values, quantized(plan, matrix.view(), {CodeRounding::NearestEven, 2, 0, 7}));
  EXPECT_EQ(measure_noise(plan, matrix.view(), {CodeRounding::NearestEven, 1, 0, 0}, 4)
                .bias_standard_errors,
            0);
}

TEST(GradientQuantizer, TheEndsOfDoublesRangeStayFinite) {
  const double largest = std::numeric_limits<double>::max();
  const Doubles huge{3, 3, {-largest, largest, 0, 1, -1, 0.5, largest, largest / 2, -largest / 3}};
  const Doubles tiny{3, 3, {5e-324, -5e-324, 0, 1e-320, 2e-320, 3e-320, 0, 0, 5e-324}};
  const Doubles both{3, 2, {largest, -largest, 5e-324, -5e-324, 1, 2}};
  for (const Doubles& matrix : {huge, tiny, both}) {
    for (const GradientScheme scheme : kSchemes) {
      const GradientPlan plan = plan_gradient(matrix.view(), scheme, 3);
      for (const double value : quantized(plan, matrix.view())) EXPECT_TRUE(std::isfinite(value));
      EXPECT_TRUE(std::isfinite(plan.bound));
      EXPECT_LT(std::abs(measure_noise(plan, matrix.view(), {}, 20).bias_standard_errors), 5);
    }
  }
  const Matrix<float> subnormal{3, 2, {1e-45F, -1e-45F, 3e-45F, 0, 1e-44F, 4e-45F}};
  for (const GradientScheme scheme : kSchemes) {
    const GradientPlan plan = plan_gradient(subnormal.view(), scheme, 3);
    EXPECT_GT(plan.variance_bound(), 0);
    EXPECT_LE(measure_noise(plan, subnormal.view(), {}, 50).variance,
              plan.variance_bound() * kRounding);
  }
}

TEST(GradientQuantizer, WhatCannotBeQuantizedIsNamed) {
  Doubles matrix = gaussian({1, 1, 1}, 5);
  matrix.values[8] = std::numeric_limits<double>::quiet_NaN();
  const auto message = [&](int bits) -> std::string {
    try {
      plan_gradient(matrix.view(), GradientScheme::PerSample, bits);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message(4).find("[1, 3] is NaN"), std::string::npos) << message(4);
  matrix.values[8] = -std::numeric_limits<double>::infinity();
  EXPECT_NE(message(4).find("[1, 3] is infinity"), std::string::npos) << message(4);
  matrix.values[8] = 0;
  EXPECT_NE(message(1).find("1 bits"), std::string::npos);
  EXPECT_NE(message(17).find("17 bits"), std::string::npos);
  EXPECT_EQ(message(16), "");
  EXPECT_THROW(parse_gradient_scheme("qat"), Error);
  EXPECT_THROW(parse_code_rounding("down"), Error);
}

TEST(Householder, InverseTimesTransformIsTheIdentity) {
  for (const auto& deviations : {with_outlier(128, 1e6), log_normal(37, 6.0), log_normal(3, 1.0)}) {
    for (const HouseholderGroup& group : householder_groups(deviations)) {
      const std::int64_t size = group.size();
      for (std::int64_t i = 0; i < size; ++i) {
        EXPECT_NEAR(group.reflection(i, 0), 1 / std::sqrt(static_cast<double>(size)), 1e-14);
        for (std::int64_t j = 0; j < size; ++j) {
          double sum = 0;  // (S^-1 S)_ij = sum_k H_ki / s_i H_kj s_j
          for (std::int64_t k = 0; k < size; ++k) {
            sum +=
                group.reflection(k, i) / group.scale(i) * group.reflection(k, j) * group.scale(j);
          }
          ASSERT_NEAR(sum, i == j ? 1 : 0, 1e-8);
        }
      }
    }
  }
}

TEST(Householder, TheTransformIsTheDenseProductAndTheBoundIsTheTightOne) {
  const Doubles matrix = gaussian(log_normal(14, 2.0), 600, 0.5);
  const GradientPlan plan = plan_gradient(matrix.view(), GradientScheme::BlockHouseholder, 4);
  double bound = 0;
  for (const HouseholderGroup& group : plan.groups) {
    for (std::int64_t i = 0; i < group.size(); ++i) {
      std::vector<double> dense(600);
      double weight = 0;
      for (std::int64_t j = 0; j < group.size(); ++j) {
        const auto row = group.rows[static_cast<std::size_t>(j)];
        for (std::size_t c = 0; c < 600; ++c) {
          dense[c] += group.reflection(i, j) * group.scale(j) * matrix.row(row)[c];
        }
        weight += std::pow(group.reflection(j, i) / group.scale(j), 2);
      }
      bound += std::pow(range_of(dense), 2) * weight;
      const auto row = static_cast<std::size_t>(group.rows[static_cast<std::size_t>(i)]);
      const double* transformed = plan.transformed.data() + row * 600;
      // Offsets are removed first: a constant per transformed row.
      const double offset = dense[0] - std::ldexp(transformed[0], plan.exponent);
      for (std::size_t c = 0; c < 600; ++c) {
        ASSERT_NEAR(std::ldexp(transformed[c], plan.exponent), dense[c] - offset,
                    1e-9 * range_of(dense));
      }
    }
  }
  bound *= 600 / (4 * 15.0 * 15.0);
  EXPECT_NEAR(plan.variance_bound(), bound, 1e-8 * bound);
  EXPECT_EQ(plan.transform_macs(), 6 * 14 * 600);
}

TEST(Householder, EveryGroupHasOneBigRowAndAtLeastOneSmallOne) {
  std::mt19937 generator(3);
  for (int problem = 0; problem < 300; ++problem) {
    const std::size_t rows = 3 + generator() % 60;
    std::vector<double> ranges = log_normal(rows, problem % 7 * 0.7);
    std::shuffle(ranges.begin(), ranges.end(), generator);
    if (problem % 5 == 0) std::fill(ranges.begin() + 1, ranges.end(), problem % 2 == 0 ? 1.0 : 0.0);
    std::set<std::int64_t> seen;
    double smallest_big = std::numeric_limits<double>::infinity();
    double largest_small = 0;
    for (const HouseholderGroup& group : householder_groups(ranges)) {
      ASSERT_GE(group.size(), 2);
      seen.insert(group.rows.begin(), group.rows.end());
      smallest_big = std::min(smallest_big, ranges[static_cast<std::size_t>(group.rows[0])]);
      largest_small = std::max(largest_small, ranges[static_cast<std::size_t>(group.rows[1])]);
    }
    EXPECT_EQ(seen.size(), rows);
    EXPECT_GE(smallest_big, largest_small);
  }
}

TEST(Householder, OneOutlierLeadsOneGroupOfAllRows) {
  const auto groups = householder_groups(with_outlier(128, 1e4));
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].size(), 128);
  EXPECT_EQ(groups[0].rows[0], 42);
}

}  // namespace
}  // namespace narrowmac
