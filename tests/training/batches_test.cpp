#include "sim/training/batches.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "models/design/error.h"

namespace narrowmac {
namespace {

Dataset three_images(std::int64_t channels) {
  Dataset set;
  set.name = "three";
  set.shape = {channels, 5, 7};
  set.labels = {0, 1, 2};
  set.pixels.resize(static_cast<std::size_t>(3 * set.shape.size()));
  for (std::size_t i = 0; i < set.pixels.size(); ++i) {
    set.pixels[i] = static_cast<std::uint8_t>(i * 37 + i / 256);
  }
  return set;
}

/// Checks every element against the formula in double.
void check(const Dataset& set, const Normalisation& normalisation) {
  const std::array<std::int64_t, 4> indices{2, 0, 2, 1};
  const auto size = static_cast<std::size_t>(set.shape.size());
  const auto channels = static_cast<std::size_t>(set.shape.channels);
  std::vector<float> out(indices.size() * size, -1.0F);
  load_batch(set, indices, normalisation, out.data());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    for (std::size_t j = 0; j < size; ++j) {
      const std::size_t channel = j % channels;
      const double mean = normalisation.mean.empty() ? 0 : normalisation.mean[channel];
      const double deviation =
          normalisation.deviation.empty() ? 1 : normalisation.deviation[channel];
      const std::uint8_t pixel = set.pixels[static_cast<std::size_t>(indices[i]) * size + j];
      ASSERT_EQ(out[i * size + j],
                static_cast<float>((pixel * normalisation.scale - mean) / deviation));
    }
  }
}

TEST(LoadBatch, ByDefaultAPixelIsDividedBy256) { check(three_images(1), {}); }

TEST(LoadBatch, AnyScaleIsRoundedOnce) { check(three_images(1), {1.0 / 255, {}, {}}); }

TEST(LoadBatch, MeanAndDeviationAreThoseOfTheChannel) {
  check(three_images(3), {1.0 / 255, {0.4914, 0.4822, 0.4465}, {0.247, 0.2435, 0.2616}});
  check(three_images(1), {1.0 / 256, {0.2860}, {}});
  check(three_images(1), {1.0 / 256, {}, {0.3530}});
}

TEST(LoadBatch, WrongCountsDeviationsAndIndicesAreRefused) {
  const Dataset set = three_images(3);
  std::vector<float> out(static_cast<std::size_t>(set.shape.size()));
  const std::array<std::int64_t, 1> first{0};
  EXPECT_THROW(load_batch(set, first, {1.0 / 256, {0.5}, {}}, out.data()), Error);
  EXPECT_THROW(load_batch(set, first, {1.0 / 256, {}, {1, 1}}, out.data()), Error);
  EXPECT_THROW(load_batch(set, first, {1.0 / 256, {}, {1, 0, 1}}, out.data()), Error);
  EXPECT_THROW(load_batch(set, std::array<std::int64_t, 1>{3}, {}, out.data()), Error);
  EXPECT_THROW(load_batch(set, std::array<std::int64_t, 1>{-1}, {}, out.data()), Error);
}

}  // namespace
}  // namespace narrowmac
