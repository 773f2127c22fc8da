#include "models/design/gemm_shape.h"

#include <gtest/gtest.h>

namespace narrowmac {
namespace {

TEST(GemmShape, MacsAreTheProductOfTheThreeDimensions) {
  EXPECT_EQ((GemmShape{3, 5, 7}.macs()), 105);
  EXPECT_EQ((GemmShape{3, 5, 0}.macs()), 0);
  EXPECT_EQ((GemmShape{1 << 20, 1 << 10, 1 << 10}.macs()), std::int64_t{1} << 40);
}

TEST(Pass, PrintsAsInConfigurationFiles) {
  EXPECT_EQ(to_string(Pass::Forward), "FWD");
  EXPECT_EQ(to_string(Pass::Backward), "BWD");
  EXPECT_EQ(to_string(Pass::Gradient), "GRAD");
}

TEST(Traffic, AddsUpFieldByField) {
  Traffic sum{1, 2, 3, 4, 5, 6};
  sum += Traffic{10, 20, 30, 40, 50, 60};
  EXPECT_EQ(sum, (Traffic{11, 22, 33, 44, 55, 66}));
}

}  // namespace
}  // namespace narrowmac
