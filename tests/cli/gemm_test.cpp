#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/npy_text.h"
#include "tests/cli/program.h"

namespace narrowmac {
namespace {

class GemmCommandTest : public testing::Test {
 protected:
  /// Runs gemm on A (m x k) and B (k x n) and returns C.
  NpyArray multiply(const std::string& mac, const std::string& a, const std::string& b,
                    const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"gemm",
                                          "--mac",
                                          mac,
                                          "--a",
                                          folder_.write("A.npy", a),
                                          "--b",
                                          folder_.write("B.npy", b),
                                          "--out",
                                          folder_.file("C.npy")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    outcome_ = run_program(arguments);
    EXPECT_EQ(outcome_.exit_code, 0) << outcome_.err;
    return read_npy(folder_.file("C.npy"));
  }

  nlohmann::json statistics() {
    std::ifstream file(folder_.file("stats.json"));
    return nlohmann::json::parse(file);
  }

  /// 64 products of 1: what a sum of ones becomes says much about an accumulator.
  static std::string ones(std::int64_t rows, std::int64_t columns) {
    return matrix_bytes(rows, columns,
                        std::vector<double>(static_cast<std::size_t>(rows * columns), 1));
  }

  TemporaryFolder folder_;
  Outcome outcome_;
};

TEST_F(GemmCommandTest, MultipliesMatrices) {
  const NpyArray c = multiply(shipped_mac("e5m2-fp32"), matrix_bytes(2, 3, {1, 2, 3, 4, 5, 6}),
                              float_matrix_bytes(3, 2, {1, 0, 0, 1, 2, 0.5F}));
  EXPECT_EQ(c.shape, (std::vector<std::int64_t>{2, 2}));
  ASSERT_FALSE(c.is_double());
  EXPECT_EQ(c.floats(), (std::vector<float>{7, 3.5F, 16, 8}));
  EXPECT_TRUE(outcome_.out.empty());
}

TEST_F(GemmCommandTest, AnE6m2AccumulatorStopsCountingAt8) {
  // Spacing is 2 from 8 on: 8 + 1 is a tie that rounds back to 8.
  EXPECT_EQ(multiply(shipped_mac("e5m2-e6m2"), ones(1, 64), ones(64, 1)).floats().at(0), 8);
  // In chunks each sum is 8 too, but there is only one chunk of 64.
  EXPECT_EQ(multiply(shipped_mac("e5m2-e6m2-chunk64"), ones(1, 128), ones(128, 1)).floats().at(0),
            16);
}

TEST_F(GemmCommandTest, InputsAreRoundedToTheOperandFormats) {
  // e5m2: 1.125 is a tie between 1 and 1.25 and goes to even, 1.3 to 1.25; 1e9 is infinity; int8
  // saturates.
  const std::string a = matrix_bytes(3, 1, {1.125, 1.3, 1e9});
  const NpyArray c = multiply(shipped_mac("e5m2-fp32"), a, matrix_bytes(1, 1, {1}));
  EXPECT_EQ(c.floats(), (std::vector<float>{1, 1.25F, HUGE_VALF}));
  const NpyArray fixed = multiply(shipped_mac("int8-fx32.0"), a, matrix_bytes(1, 1, {1}));
  EXPECT_EQ(fixed.doubles(), (std::vector<double>{1, 1, 127}));
}

TEST_F(GemmCommandTest, Float64InputsAreRoundedOnce) {
  // 1.125 + 2^-40 lies above the tie; rounded to float32 first it would be the tie.
  const NpyArray c = multiply(shipped_mac("e5m2-fp32"), matrix_bytes(1, 1, {1.125 + 0x1p-40}),
                              matrix_bytes(1, 1, {1}));
  EXPECT_EQ(c.floats().at(0), 1.25F);
}

TEST_F(GemmCommandTest, TheOutputIsFloat64OnlyWhereFloat32CannotHoldTheAccumulator) {
  const std::string one = matrix_bytes(1, 1, {1});
  EXPECT_FALSE(multiply(shipped_mac("int8-fx24.0"), one, one).is_double());
  EXPECT_TRUE(multiply(shipped_mac("int8-fx32.0"), one, one).is_double());
  const std::string mac =
      folder_.write("wide.toml",
                    "[mac]\na = 'e5m2'\nb = 'e5m2'\naccumulator = 'e6m9'\n[mac.chunk]\nlength = 4\n"
                    "accumulator = 'fx40.20'\noverflow = 'saturate'\n");
  EXPECT_TRUE(multiply(mac, one, one).is_double());
}

TEST_F(GemmCommandTest, AnEmptySumIsZero) {
  const NpyArray c =
      multiply(shipped_mac("e5m2-e6m9"), matrix_bytes(2, 0, {}), matrix_bytes(0, 3, {}));
  EXPECT_EQ(c.shape, (std::vector<std::int64_t>{2, 3}));
  for (const float value : c.floats()) {
    EXPECT_EQ(value, 0);
    EXPECT_FALSE(std::signbit(value));
  }
}

TEST_F(GemmCommandTest, AnEmptySumIsC0RoundedToTheAccumulator) {
  const std::string c0 = folder_.write("C0.npy", matrix_bytes(1, 2, {1.03, -3}));
  const NpyArray c = multiply(shipped_mac("e5m2-e6m3"), matrix_bytes(1, 0, {}),
                              matrix_bytes(0, 2, {}), {"--c", c0});
  EXPECT_EQ(c.floats(), (std::vector<float>{1, -3}));
}

TEST_F(GemmCommandTest, C0IsWhereTheLastAccumulatorStarts) {
  const std::string c0 = folder_.write("C0.npy", matrix_bytes(1, 1, {16}));
  // Sequential: 16 + 1 is lost 64 times. In chunks the 8 of the chunk reaches the 16.
  EXPECT_EQ(
      multiply(shipped_mac("e5m2-e6m2"), ones(1, 64), ones(64, 1), {"--c", c0}).floats().at(0), 16);
  EXPECT_EQ(multiply(shipped_mac("e5m2-e6m2-chunk64"), ones(1, 64), ones(64, 1), {"--c", c0})
                .floats()
                .at(0),
            24);
}

TEST_F(GemmCommandTest, TheArrayDecidesTheOrder) {
  const std::string mac = folder_.write(
      "mac.toml",
      "[mac]\na = 'e5m2'\nb = 'e5m2'\naccumulator = 'e6m2'\n[mac.chunk]\naccumulator = 'e6m9'\n"
      "[array]\nrows = 4\ncolumns = 4\ndataflow = 'ws'\n");
  const auto sum = [&](const std::vector<std::string>& options) {
    return multiply(mac, ones(1, 64), ones(64, 1), options).floats().at(0);
  };
  EXPECT_EQ(sum({}), 64) << "16 folds of 4 in the buffer";
  EXPECT_EQ(sum({"--array", "16x4"}), 32) << "4 folds of 16, each stopping at 8";
  EXPECT_EQ(sum({"--psum", "chained"}), 8) << "sequential";
  EXPECT_EQ(sum({"--dataflow", "is"}), 64);
}

TEST_F(GemmCommandTest, StatisticsAreWrittenAsJson) {
  (void)multiply(shipped_mac("e5m2-e6m2"), ones(1, 64), ones(64, 1),
                 {"--stats", folder_.file("stats.json")});
  const nlohmann::json found = statistics();
  EXPECT_EQ(found["schema"], 1);
  EXPECT_EQ(found["m"], 1);
  EXPECT_EQ(found["n"], 1);
  EXPECT_EQ(found["k"], 64);
  EXPECT_EQ(found["steps"], 64);
  EXPECT_EQ(found["full_swamping"], 56.0 / 64) << "all after the eighth";
  EXPECT_EQ(found["partial_swamping"], 0);
  EXPECT_EQ(found["overflow"], 0);
  EXPECT_EQ(found["underflow"], 0);
  EXPECT_EQ(found["nonzero_ratio"], 1);
  EXPECT_TRUE(found["vrr"].is_null()) << "one output has no variance";
  EXPECT_TRUE(found["nmse"].is_null());
}

TEST_F(GemmCommandTest, ExplainSaysHowItWasComputed) {
  (void)multiply(shipped_mac("e5m2-e6m2"), ones(1, 4), ones(4, 1), {"--explain"});
  EXPECT_FALSE(outcome_.out.empty());
}

TEST_F(GemmCommandTest, BitsDependOnTheSeedAndNotOnThreads) {
  const std::string mac = shipped_mac("e5m2-e6m3-stochastic");
  const auto product = [&](const std::string& seed, const std::string& threads) {
    return multiply(mac, ones(8, 100), ones(100, 8), {"--seed", seed, "--threads", threads})
        .floats();
  };
  EXPECT_EQ(product("1", "1"), product("1", "2"));
  EXPECT_NE(product("1", "1"), product("2", "1"));
}

}  // namespace
}  // namespace narrowmac
