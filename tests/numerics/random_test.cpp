#include "models/numerics/random.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <set>
#include <vector>

namespace narrowmac {
namespace {

constexpr RandomLevel kLevel = RandomLevel::Accumulator;

/// (chi-square - degrees) / sqrt(2 degrees): about standard normal for uniform counts.
double excess(const std::vector<std::int64_t>& counts, std::int64_t total) {
  const double expected = static_cast<double>(total) / static_cast<double>(counts.size());
  double chi_square = 0;
  for (const std::int64_t count : counts) {
    chi_square += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected);
  }
  const auto degrees = static_cast<double>(counts.size() - 1);
  return (chi_square / expected - degrees) / std::sqrt(2 * degrees);
}

TEST(RandomWord, HasTheDocumentedValues) {
  // The examples of docs/numerics.md: whoever replays the function can check them.
  EXPECT_EQ(random_word(0, 0, 0, 0, RandomLevel::Accumulator, 0), 0xc3c2d51dU);
  EXPECT_EQ(random_word(1, 2, 3, 4, RandomLevel::SecondAccumulator, 5), 0x9fe4912dU);
  EXPECT_EQ(random_word(0xffffffffffffffffULL, 7, 100000, 63, RandomLevel::Product, 4095),
            0xb93e3051U);
}

TEST(RandomWord, IsItsPartsPutTogether) {
  const RandomRowKey key = random_row_key(9, 8, 7, RandomLevel::Product);
  EXPECT_EQ(random_word(9, 8, 7, 6, RandomLevel::Product, 5),
            combine_random(random_column_word(key, 6), random_step_word(key, 5)));
}

TEST(RandomWord, EveryArgumentMatters) {
  std::set<std::uint32_t> words;
  words.insert(random_word(1, 1, 1, 1, RandomLevel::Accumulator, 1));
  words.insert(random_word(2, 1, 1, 1, RandomLevel::Accumulator, 1));
  words.insert(random_word(1ULL << 40, 1, 1, 1, RandomLevel::Accumulator, 1));
  words.insert(random_word(1, 2, 1, 1, RandomLevel::Accumulator, 1));
  words.insert(random_word(1, 1, 2, 1, RandomLevel::Accumulator, 1));
  words.insert(random_word(1, 1, 1, 2, RandomLevel::Accumulator, 1));
  words.insert(random_word(1, 1, 1, 1, RandomLevel::SecondAccumulator, 1));
  words.insert(random_word(1, 1, 1, 1, RandomLevel::Product, 1));
  words.insert(random_word(1, 1, 1, 1, RandomLevel::Accumulator, 2));
  EXPECT_EQ(words.size(), 9U);
}

TEST(RandomWord, EveryByteIsUniformAlongRowsColumnsAndSteps) {
  for (const int axis : {0, 1, 2}) {
    std::array<std::vector<std::int64_t>, 4> counts;
    for (auto& bytes : counts) bytes.assign(256, 0);
    constexpr std::int64_t kTotal = 1 << 20;
    for (std::int64_t i = 0; i < kTotal; ++i) {
      const std::int64_t m = axis == 0 ? i : 3;
      const std::int64_t n = axis == 1 ? i : 5;
      const std::int64_t k = axis == 2 ? i : 7;
      const std::uint32_t word = random_word(1, 2, m, n, kLevel, k);
      for (std::size_t byte = 0; byte < 4; ++byte) {
        ++counts[byte][(word >> (24 - 8 * byte)) & 0xffU];
      }
    }
    for (const auto& bytes : counts)
      EXPECT_LT(std::fabs(excess(bytes, kTotal)), 5) << "axis " << axis;
  }
}

TEST(RandomWord, NeighboursAreIndependent) {
  // Joint distribution of the top 6 bits of a word and of its neighbour along each axis.
  const std::int64_t offsets[][3] = {{1, 0, 0}, {0, 1, 0},  {0, 0, 1},  {0, 1, 1},
                                     {1, 0, 1}, {0, 16, 0}, {0, 0, 64}, {1, -1, 0}};
  for (const auto& offset : offsets) {
    std::vector<std::int64_t> counts(4096, 0);
    std::int64_t total = 0;
    for (std::int64_t m = 0; m < 32; ++m) {
      for (std::int64_t n = 1; n < 65; ++n) {
        for (std::int64_t k = 0; k < 256; ++k) {
          const std::uint32_t one = random_word(5, 0, m, n, kLevel, k) >> 26;
          const std::uint32_t other =
              random_word(5, 0, m + offset[0], n + offset[1], kLevel, k + offset[2]) >> 26;
          ++counts[one * 64 + other];
          ++total;
        }
      }
    }
    EXPECT_LT(std::fabs(excess(counts, total)), 5)
        << offset[0] << " " << offset[1] << " " << offset[2];
  }
}

TEST(RandomWord, AFlippedInputBitFlipsHalfOfTheOutputBits) {
  for (int bit = 0; bit < 20; ++bit) {
    const std::int64_t flip = std::int64_t{1} << bit;
    std::array<std::array<double, 32>, 3> flipped{};
    constexpr int kTrials = 4096;
    for (int i = 0; i < kTrials; ++i) {
      const std::int64_t m = i * 7;
      const std::int64_t n = i % 61;
      const std::int64_t k = i * 13;
      const std::uint32_t word = random_word(3, 1, m, n, kLevel, k);
      const std::uint32_t others[] = {random_word(3, 1, m ^ flip, n, kLevel, k),
                                      random_word(3, 1, m, n ^ flip, kLevel, k),
                                      random_word(3, 1, m, n, kLevel, k ^ flip)};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        for (std::size_t out = 0; out < 32; ++out) {
          flipped[axis][out] += ((word ^ others[axis]) >> out) & 1U;
        }
      }
    }
    for (const auto& axis : flipped) {
      for (std::size_t out = 0; out < 32; ++out) {
        EXPECT_NEAR(axis[out] / kTrials, 0.5, 0.045)
            << "input bit " << bit << " output bit " << out;
      }
    }
  }
}

TEST(RandomWord, SumsOfARowVaryAsIndependentDrawsDo) {
  // What stochastic rounding feels: over 256 steps, the mean of U and its variance between outputs.
  double sum = 0;
  double squares = 0;
  constexpr int kOutputs = 4096;
  constexpr int kSteps = 256;
  for (int output = 0; output < kOutputs; ++output) {
    double mean = 0;
    for (int k = 0; k < kSteps; ++k) {
      const std::uint32_t word = random_word(8, 0, output / 64, output % 64, kLevel, k);
      mean += std::ldexp(static_cast<double>(word), -32) / kSteps;
    }
    sum += mean;
    squares += (mean - 0.5) * (mean - 0.5);
  }
  const double expected_variance = 1.0 / 12 / kSteps;
  EXPECT_NEAR(sum / kOutputs, 0.5, 5 * std::sqrt(expected_variance / kOutputs));
  EXPECT_NEAR(squares / kOutputs / expected_variance, 1, 5 * std::sqrt(2.0 / kOutputs));
}

TEST(TopRandomBits, TakesTheTop) {
  EXPECT_EQ(top_random_bits(0x80000001U, 1), 1U);
  EXPECT_EQ(top_random_bits(0xabcdef12U, 24), 0xabcdefU);
  EXPECT_EQ(top_random_bits(0xffffffffU, 0), 0U);
}

TEST(RandomBits, ConsecutiveStepsTakeTheFieldsOfAWordFromTheTop) {
  const auto word = [](std::int64_t counter) {
    return random_word(3, 4, 5, 6, RandomLevel::Accumulator, counter);
  };
  const auto bits = [](std::int64_t k, int random_bits) {
    return random_bits_at(3, 4, 5, 6, RandomLevel::Accumulator, k, random_bits);
  };
  EXPECT_EQ(bits(8, 8), word(2) >> 24);
  EXPECT_EQ(bits(9, 8), (word(2) >> 16) & 0xffU);
  EXPECT_EQ(bits(11, 3), (word(2) & 0xffU) >> 5);
  EXPECT_EQ(bits(8, 9), word(4) >> 23);
  EXPECT_EQ(bits(9, 16), word(4) & 0xffffU);
  EXPECT_EQ(bits(9, 17), word(9) >> 15);
  EXPECT_EQ(bits(9, 0), 0U);
}

TEST(RandomBits, NeighbouringStepsAreIndependent) {
  for (const int distance : {1, 2, 3, 4}) {
    std::vector<std::int64_t> counts(4096, 0);
    std::int64_t total = 0;
    for (std::int64_t n = 0; n < 2048; ++n) {
      for (std::int64_t k = 0; k < 256; ++k) {
        const std::uint32_t one = random_bits_at(5, 0, 1, n, kLevel, k, 6);
        const std::uint32_t other = random_bits_at(5, 0, 1, n, kLevel, k + distance, 6);
        ++counts[one * 64 + other];
        ++total;
      }
    }
    EXPECT_LT(std::fabs(excess(counts, total)), 5) << distance;
  }
}

}  // namespace
}  // namespace narrowmac
