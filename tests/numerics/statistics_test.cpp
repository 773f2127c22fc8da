#include "models/numerics/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace narrowmac {
namespace {

TEST(Moments, VarianceSurvivesALargeMean) {
  Moments moments;
  for (int i = 0; i < 1000; ++i) moments.add(1e9 + (i % 2 == 0 ? 0.5 : -0.5));
  EXPECT_NEAR(moments.variance().value(), 0.25, 1e-9);
}

TEST(Moments, MergingGivesTheMomentsOfTheWhole) {
  Moments whole;
  Moments parts;
  for (int part = 0; part < 7; ++part) {
    Moments own;
    for (int i = 0; i < 10 + part; ++i) {
      const double x = std::sin(part * 17.0 + i) + 1000.0 * part;
      own.add(x);
      whole.add(x);
    }
    parts += own;
  }
  parts += Moments{};
  EXPECT_EQ(parts.count, whole.count);
  EXPECT_NEAR(parts.mean, whole.mean, 1e-9);
  EXPECT_NEAR(parts.squared_deviations, whole.squared_deviations, 1e-12 * whole.squared_deviations);
}

TEST(Moments, EqualValuesHaveNoVarianceAtAll) {
  Moments moments;
  for (int i = 0; i < 10; ++i) moments.add(0.1);
  Moments other;
  for (int i = 0; i < 3; ++i) other.add(0.1);
  moments += other;
  EXPECT_EQ(moments.variance(), 0.0);
}

TEST(GemmStatistics, ARowOfOutputsCountsLikeItsOutputsOneByOne) {
  for (const std::size_t count : {1U, 7U, 8U, 29U}) {
    std::vector<double> narrow, exact;
    GemmStatistics one_by_one;
    for (std::size_t i = 0; i < count; ++i) {
      narrow.push_back(1e6 + std::sin(static_cast<double>(i)));
      exact.push_back(narrow.back() + 0.01 * std::cos(static_cast<double>(3 * i)));
      one_by_one.add_output(narrow.back(), exact.back());
    }
    GemmStatistics row;
    row.add_outputs(narrow, exact);
    EXPECT_EQ(row.outputs(), one_by_one.outputs());
    EXPECT_NEAR(row.narrow.mean, one_by_one.narrow.mean, 1e-9);
    EXPECT_NEAR(row.narrow.squared_deviations, one_by_one.narrow.squared_deviations, 1e-8);
    EXPECT_NEAR(row.exact.squared_deviations, one_by_one.exact.squared_deviations, 1e-8);
    EXPECT_NEAR(row.squared_error, one_by_one.squared_error, 1e-15);
  }
  GemmStatistics constant;
  constant.add_outputs(std::vector<double>(11, 0.1), std::vector<double>(11, 0.3));
  EXPECT_EQ(constant.variance_narrow(), 0.0);
}

TEST(GemmStatistics, WhatIsUndefinedIsNull) {
  const GemmStatistics none;
  EXPECT_FALSE(none.full_swamping());
  EXPECT_FALSE(none.partial_swamping());
  EXPECT_FALSE(none.overflow());
  EXPECT_FALSE(none.underflow());
  EXPECT_FALSE(none.nonzero_ratio());
  EXPECT_FALSE(none.variance_narrow());
  EXPECT_FALSE(none.variance_exact());
  EXPECT_FALSE(none.vrr());
  EXPECT_FALSE(none.nmse());
  GemmStatistics constant;
  constant.add_output(1, 2);
  constant.add_output(3, 2);
  EXPECT_FALSE(constant.vrr());  // the exact sums do not vary
  EXPECT_FALSE(constant.nmse());
  EXPECT_EQ(constant.variance_narrow(), 1.0);
}

TEST(GemmStatistics, RatiosAreThoseOfTheDefinitions) {
  GemmStatistics statistics;
  statistics.add_output(1, 0);
  statistics.add_output(3, 4);
  EXPECT_EQ(statistics.vrr(), 0.25);   // variances 1 and 4
  EXPECT_EQ(statistics.nmse(), 0.25);  // mean squared error 1 over 4
  statistics.steps = 8;
  statistics.full_swamped = 2;
  statistics.partial_swamped = 4;
  statistics.overflowed = 1;
  statistics.products = 10;
  statistics.nonzero_products = 5;
  statistics += statistics;
  EXPECT_EQ(statistics.full_swamping(), 0.25);
  EXPECT_EQ(statistics.partial_swamping(), 0.5);
  EXPECT_EQ(statistics.overflow(), 0.125);
  EXPECT_EQ(statistics.underflow(), 0.0);
  EXPECT_EQ(statistics.nonzero_ratio(), 0.5);
  EXPECT_EQ(statistics.outputs(), 4);
}

}  // namespace
}  // namespace narrowmac
