#include "sim/training/vector_loops.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace narrowmac {
namespace {

constexpr std::int64_t kRows = 5;

/// Runs `body` once for every vector instruction set that this build and processor have.
template <typename Body>
void for_each_target(const Body& body) {
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

std::vector<float> values(std::uint64_t seed, std::int64_t size) {
  std::mt19937_64 generator(seed);
  std::vector<float> result;
  for (std::int64_t i = 0; i < size; ++i) {
    const auto bits = static_cast<std::int64_t>(generator() >> 32) - (std::int64_t{1} << 31);
    result.push_back(std::ldexp(static_cast<float>(bits), -30 + static_cast<int>(i % 7)));
  }
  result[0] = -0.0F;
  return result;
}

template <typename T>
void expect_same_bits(const std::vector<T>& found, const std::vector<T>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(T)), 0);
}

TEST(VectorLoops, GiveTheBitsOfPlainLoopsForEveryWidthAndNumberOfChannels) {
  for_each_target([] {
    for (std::int64_t channels = 1; channels < 70; channels += channels < 35 ? 1 : 7) {
      const std::int64_t size = kRows * channels;
      const std::vector<float> x = values(1, size), dy = values(2, size),
                               mean = values(3, channels), factor = values(4, channels),
                               bias = values(5, channels);
      std::vector<float> found(x), expected(x);
      const auto at = [&](const std::vector<float>& v, std::int64_t i) {
        return v[static_cast<std::size_t>(i)];
      };
      const auto for_all = [&](const auto& element) {
        for (std::int64_t i = 0; i < size; ++i) {
          expected[static_cast<std::size_t>(i)] = element(i, i % channels);
        }
      };
      loops::scale_and_bias(found.data(), kRows, channels, 3.0F, bias.data());
      for_all([&](std::int64_t i, std::int64_t c) { return at(x, i) * 3.0F + at(bias, c); });
      expect_same_bits(found, expected);
      loops::normalise(x.data(), kRows, channels, mean.data(), factor.data(), bias.data(),
                       found.data());
      for_all([&](std::int64_t i, std::int64_t c) {
        const float scaled = (at(x, i) - at(mean, c)) * at(factor, c);
        return scaled + at(bias, c);
      });
      expect_same_bits(found, expected);
      const loops::NormaliseBackward by{mean.data(), factor.data(), bias.data(), bias.data(),
                                        factor.data()};
      loops::normalise_backward(by, x.data(), dy.data(), kRows, channels, found.data());
      for_all([&](std::int64_t i, std::int64_t c) {
        const float normalised = (at(x, i) - at(mean, c)) * at(factor, c);
        const float part = normalised * at(factor, c);
        return at(bias, c) * (at(dy, i) - at(bias, c) - part);
      });
      expect_same_bits(found, expected);
      loops::relu_backward(x.data(), dy.data(), size, found.data());
      for_all([&](std::int64_t i, std::int64_t) { return at(x, i) > 0 ? at(dy, i) : 0.0F; });
      expect_same_bits(found, expected);
      loops::relu(x.data(), size, found.data());
      for_all([&](std::int64_t i, std::int64_t) { return at(x, i) <= 0 ? 0.0F : at(x, i); });
      expect_same_bits(found, expected);
      loops::clipped_relu(x.data(), size, 0.75F, found.data());
      for_all([&](std::int64_t i, std::int64_t) {
        return at(x, i) <= 0 ? 0.0F : std::min(at(x, i), 0.75F);
      });
      expect_same_bits(found, expected);
      const std::vector<float> clipped(found);
      loops::clipped_relu_backward(clipped.data(), dy.data(), size, 0.75F, found.data());
      for_all([&](std::int64_t i, std::int64_t) {
        return at(x, i) > 0 && at(x, i) < 0.75F ? at(dy, i) : 0.0F;
      });
      expect_same_bits(found, expected);
    }
  });
}

TEST(VectorLoops, AClippedReLUKeepsNaNAndEndsInfinity) {
  for_each_target([] {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    std::vector<float> y(19, kInfinity);
    y[7] = std::numeric_limits<float>::quiet_NaN();
    y[8] = -kInfinity;
    loops::clipped_relu(y.data(), 19, 2.0F, y.data());
    EXPECT_EQ(y[0], 2.0F);
    EXPECT_TRUE(std::isnan(y[7]));
    EXPECT_EQ(y[8], 0.0F);
    EXPECT_EQ(y[18], 2.0F);
  });
}

TEST(VectorLoops, SumsAreMadeInDoubleAndInRowOrder) {
  for_each_target([] {
    for (std::int64_t channels = 1; channels < 40; ++channels) {
      const std::vector<float> x = values(6, kRows * channels), dy = values(7, kRows * channels),
                               mean = values(8, channels), inverse = values(9, channels);
      const auto count = static_cast<std::size_t>(channels);
      std::vector<double> sums(count), distances(count), gradients(count), products(count);
      std::vector<double> expected[4];
      for (auto& column : expected) column.assign(count, 0.0);
      const std::vector<double> center(mean.begin(), mean.end());
      loops::add_columns(x.data(), kRows, channels, sums.data());
      loops::add_squared_distances(x.data(), kRows, channels, center.data(), distances.data());
      loops::add_normalised_products(x.data(), dy.data(), kRows, channels, mean.data(),
                                     inverse.data(), gradients.data(), products.data());
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::size_t c = i % count;
        const double distance = static_cast<double>(x[i]) - center[c];
        const float normalised = (x[i] - mean[c]) * inverse[c];
        expected[0][c] += static_cast<double>(x[i]);
        expected[1][c] += distance * distance;
        expected[2][c] += static_cast<double>(dy[i]);
        expected[3][c] += static_cast<double>(dy[i]) * static_cast<double>(normalised);
      }
      expect_same_bits(sums, expected[0]);
      expect_same_bits(distances, expected[1]);
      expect_same_bits(gradients, expected[2]);
      expect_same_bits(products, expected[3]);
    }
  });
}

TEST(VectorLoops, TheFirstLargestInputOfAWindowTakesItsGradientAndNaNWins) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  for_each_target([] {
    const std::vector<std::int64_t> taps = {0, 3, 6};
    loops::Windows windows;
    windows.count = 1;
    windows.offsets = taps.data();
    windows.taps = 3;
    windows.channels = 3;
    const std::vector<float> x = {1, 5, 2, 4, 5, kNaN, 4, 2, 7};
    const std::vector<float> dy = {10, 20, 30};
    std::vector<float> y(3), dx(9);
    loops::max_windows(windows, x.data(), y.data());
    EXPECT_EQ(y[0], 4);
    EXPECT_EQ(y[1], 5);
    EXPECT_TRUE(std::isnan(y[2]));
    loops::max_windows_backward(windows, x.data(), y.data(), dy.data(), false, dx.data());
    EXPECT_EQ(dx, (std::vector<float>{0, 20, 0, 10, 0, 0, 0, 0, 0}));
  });
}

TEST(VectorLoops, TheWinnerOfAWindowTakesWhatPoolAndReLUWouldGiveIt) {
  for_each_target([] {
    for (std::int64_t channels = 1; channels < 40; ++channels) {
      const std::vector<std::int64_t> taps = {0, channels, 2 * channels, 3 * channels};
      loops::Windows windows;
      windows.count = 3;
      windows.step = 4 * channels;
      windows.offsets = taps.data();
      windows.taps = 4;
      windows.channels = channels;
      const auto size = static_cast<std::size_t>(12 * channels);
      std::vector<float> x = values(10, 12 * channels);
      loops::relu(x.data(), 12 * channels, x.data());
      x[size / 2] = std::numeric_limits<float>::quiet_NaN();
      x[size / 3] = std::numeric_limits<float>::infinity();
      for (std::size_t i = 0; i + 3 < size; i += 5) x[i + 2] = x[i];  // ties
      const std::vector<float> dy = values(11, 3 * channels);
      std::vector<float> y(dy.size()), other_y(dy.size()), dx(size), other_dx(size);
      std::vector<std::uint8_t> winners(dy.size());
      loops::max_windows(windows, x.data(), y.data());
      loops::max_windows_backward(windows, x.data(), y.data(), dy.data(), false, dx.data());
      loops::relu_backward(x.data(), dx.data(), 12 * channels, dx.data());
      loops::max_windows_positive(windows, x.data(), other_y.data(), winners.data());
      loops::max_windows_backward(windows, winners.data(), dy.data(), other_dx.data());
      expect_same_bits(other_y, y);
      expect_same_bits(other_dx, dx);
    }
  });
}

TEST(VectorLoops, OneInfinityOrNaNAnywhereIsFound) {
  for_each_target([] {
    for (std::size_t bad = 0; bad < 37; ++bad) {
      std::vector<float> x(37, std::numeric_limits<float>::max());
      EXPECT_TRUE(loops::all_finite(x.data(), 37));
      x[bad] = bad % 2 == 0 ? std::numeric_limits<float>::infinity()
                            : std::numeric_limits<float>::quiet_NaN();
      EXPECT_FALSE(loops::all_finite(x.data(), 37)) << bad;
    }
  });
}

}  // namespace
}  // namespace narrowmac
