#include "models/theory/vrr.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "models/design/error.h"
#include "models/theory/accumulation_length.h"
#include "models/theory/smooth_sum.h"

namespace narrowmac {
namespace {

/// The rows of a table that vrr_table.py wrote.
std::vector<std::vector<double>> read_table(const std::string& name) {
  std::ifstream file(std::string(NARROWMAC_THEORY_TABLES) + "/" + name);
  std::vector<std::vector<double>> rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string field;
    rows.emplace_back();
    while (std::getline(fields, field, ',')) rows.back().push_back(std::stod(field));
  }
  return rows;
}

Accumulation sequential(int product_mantissa, std::int64_t length) {
  Accumulation sum;
  sum.product_mantissa = product_mantissa;
  sum.length = length;
  return sum;
}

Accumulation chunked(int product_mantissa, std::int64_t length, std::int64_t chunk) {
  Accumulation sum = sequential(product_mantissa, length);
  sum.chunk = chunk;
  return sum;
}

TEST(Vrr, AgreesWithThirtyDigitsOverLengthsFromTwoTo2To40) {
  const auto rows = read_table("vrr_table.csv");
  ASSERT_GT(rows.size(), 120U);
  for (const auto& row : rows) {
    const auto mantissa = static_cast<int>(row[0]);
    const auto product = static_cast<int>(row[1]);
    const auto length = static_cast<std::int64_t>(row[2]);
    const auto chunk = static_cast<std::int64_t>(row[3]);
    const double loss = product < 0 ? full_swamping_loss(mantissa, length)
                                    : swamping_loss(mantissa, chunked(product, length, chunk));
    EXPECT_NEAR(loss / row[4], 1, 1e-11)
        << "m " << mantissa << ", m_p " << product << ", n " << length << ", chunk " << chunk;
  }
}

TEST(Vrr, MinimumMantissaAgreesWithTheTableForEveryPowerOfTwo) {
  const auto rows = read_table("minimum_mantissa_table.csv");
  ASSERT_EQ(rows.size(), 45U);
  for (const auto& row : rows) {
    EXPECT_EQ(
        minimum_mantissa(sequential(static_cast<int>(row[0]), static_cast<std::int64_t>(row[1]))),
        static_cast<int>(row[2]))
        << "m_p " << row[0] << ", n " << row[1];
  }
}

TEST(Vrr, ASumRuleIsExactForPolynomialsOfDegree31) {
  for (const std::int64_t count : {256, 1000, 1 << 14}) {
    const SumRule rule = sum_rule(count);
    const double middle = 0.5 * static_cast<double>(count - 1);
    for (const int degree : {0, 2, 16, 30, 31}) {
      long double plain = 0;
      for (std::int64_t j = 0; j < count; ++j) {
        plain += std::pow((static_cast<long double>(j) - middle) / middle, degree);
      }
      double sum = 0;
      for (std::size_t i = 0; i < kSumNodes; ++i) {
        sum += rule.weight[i] * std::pow((rule.node[i] - middle) / middle, degree);
      }
      EXPECT_NEAR(sum, static_cast<double>(plain), 1e-12 * static_cast<double>(count))
          << count << ", degree " << degree;
    }
  }
}

TEST(Vrr, AChunkedSumIsTwoSumsTheSecondOfWiderProducts) {
  const double first = swamping_loss(8, 5, 64);
  const double second = swamping_loss(8, 8, 1000);  // 5 + 6 bits, but not beyond the accumulator's
  EXPECT_NEAR(swamping_loss(8, chunked(5, 64000, 64)), 1 - (1 - first) * (1 - second), 1e-15);
  const double wide = swamping_loss(13, 11, 1000);
  EXPECT_NEAR(swamping_loss(13, chunked(5, 64000, 64)) / (swamping_loss(13, 5, 64) + wide), 1,
              1e-3);
}

TEST(Vrr, AChunkThatHoldsTheWholeSumIsASequentialSum) {
  const AccumulationLevels parts = levels(9, chunked(5, 27, 64));
  EXPECT_EQ(parts.first.length, 27);
  EXPECT_EQ(parts.second.length, 2);
  EXPECT_EQ(minimum_mantissa(chunked(5, 27, 64)), minimum_mantissa(sequential(5, 27)));
}

TEST(Vrr, ZeroProductsShortenTheFirstLevelOnlyRoundedHalfUp) {
  Accumulation sum = chunked(5, 1001, 10);
  sum.nonzero_ratio = 0.25;
  const AccumulationLevels parts = levels(9, sum);
  EXPECT_EQ(parts.first.length, 3);  // 2.5
  EXPECT_EQ(parts.second.length, 101);
  EXPECT_EQ(parts.second.product_mantissa, 9);  // 5 + ceil(log2 10)
  sum.chunk = 0;
  EXPECT_EQ(levels(9, sum).first.length, 250);
  sum.nonzero_ratio = 0;
  EXPECT_EQ(levels(9, sum).first.length, 2);
}

TEST(Vrr, NoMantissaBelowTheProductsSuffices) {
  EXPECT_FALSE(is_sufficient(4, sequential(5, 2)));
  EXPECT_EQ(minimum_mantissa(sequential(5, 2)), 5);
  EXPECT_EQ(minimum_mantissa(chunked(7, 100, 10)), 7);
}

TEST(Vrr, BothLevelsOfAChunkMustSuffice) {
  const Accumulation sum = chunked(5, std::int64_t{64} << 14, 64);
  const int needed = minimum_mantissa(sum);
  const AccumulationLevels below = levels(needed - 1, sum);
  EXPECT_LT(log_v(needed - 1, below.first), kLogVThreshold);
  EXPECT_GE(log_v(needed - 1, below.second), kLogVThreshold);
}

TEST(Vrr, TheLongestLengthIsTheLastThatSuffices) {
  for (const int mantissa : {6, 9, 12}) {
    const auto longest = longest_length(mantissa, sequential(5, 2));
    ASSERT_TRUE(longest);
    EXPECT_TRUE(is_sufficient(mantissa, sequential(5, *longest)));
    EXPECT_FALSE(is_sufficient(mantissa, sequential(5, *longest + 1)));
  }
  EXPECT_FALSE(longest_length(4, sequential(5, 2)));
  EXPECT_EQ(longest_length(40, sequential(5, 2)), kMaxTheoryLength);
}

TEST(Vrr, TheBestChunkNeedsNoMoreThanAnyOther) {
  const Accumulation sum = sequential(5, 802816);
  const ChunkChoice best = best_chunk(sum);
  EXPECT_LT(best.minimum_mantissa, minimum_mantissa(sum));
  for (std::int64_t chunk = 2; chunk < sum.length; chunk *= 2) {
    const int mantissa = minimum_mantissa(chunked(5, sum.length, chunk));
    EXPECT_GE(mantissa, best.minimum_mantissa) << chunk;
    if (mantissa > best.minimum_mantissa) continue;
    EXPECT_GE(swamping_loss(mantissa, chunked(5, sum.length, chunk)),
              swamping_loss(mantissa, chunked(5, sum.length, best.chunk)))
        << chunk;
  }
  EXPECT_EQ(best_chunk(sequential(5, 9)).chunk, 0);  // the products' width suffices anyway
}

TEST(Vrr, TheChunkOfLeastLossLosesNoMoreThanAnyOther) {
  const Accumulation sum = sequential(5, 100000);
  const std::int64_t best = least_loss_chunk(7, sum);
  for (std::int64_t chunk = 2; chunk < sum.length; chunk *= 2) {
    EXPECT_LE(swamping_loss(7, chunked(5, sum.length, best)),
              swamping_loss(7, chunked(5, sum.length, chunk)));
  }
  EXPECT_LT(swamping_loss(7, chunked(5, sum.length, best)), 0.1 * swamping_loss(7, sum));
}

TEST(Vrr, WhatTheTheoremDoesNotCoverIsRefused) {
  EXPECT_THROW(swamping_loss(9, 5, 1), Error);
  EXPECT_THROW(swamping_loss(9, 5, kMaxTheoryLength + 1), Error);
  EXPECT_THROW(swamping_loss(-1, 5, 64), Error);
  EXPECT_THROW(swamping_loss(9, kMaxTheoryMantissa + 1, 64), Error);
  Accumulation sum = sequential(5, 64);
  sum.nonzero_ratio = 1.5;
  EXPECT_THROW(swamping_loss(9, sum), Error);
  sum.nonzero_ratio = std::nan("");
  EXPECT_THROW(swamping_loss(9, sum), Error);
}

}  // namespace
}  // namespace narrowmac
