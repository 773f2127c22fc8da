#include "models/array/platform.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "models/design/error.h"
#include "models/numerics/reference.h"

// One Platform per TEST: see tests/array/CMakeLists.txt.

namespace narrowmac {
namespace {

constexpr Dataflow kDataflows[] = {Dataflow::OutputStationary, Dataflow::WeightStationary,
                                   Dataflow::InputStationary};
constexpr Policy kPolicies[] = {Policy::Padded, Policy::Ragged, Policy::Overlapped};

MacDesign mac_of(const char* accumulator) {
  MacDesign mac;
  mac.a = NumberFormat::parse("e5m2");
  mac.b = NumberFormat::parse("e4m3");
  mac.accumulator.format = NumberFormat::parse(accumulator);
  return mac;
}

/// A job over operands of its own.
struct Case {
  std::vector<float> a, b, c;
  PlatformJob job;

  Case(const GemmShape& shape, const MacDesign& mac, const ArrayDesign& array, std::mt19937& random)
      : a(values(shape.m * shape.k, random)),
        b(values(shape.k * shape.n, random)),
        c(static_cast<std::size_t>(shape.m * shape.n), -1.0F) {
    job.array = array;
    job.problem.mac = mac;
    job.problem.order = accumulation_order(mac, array);
    job.problem.a = OperandView::dense(a.data(), shape.m, shape.k, shape.k);
    job.problem.b = OperandView::dense(b.data(), shape.k, shape.n, shape.n);
    job.out = OutputView::of(c.data(), shape.n);
  }

  /// Values that e5m2 and e4m3 both hold: one of 1, 1.5 times a power of two.
  static std::vector<float> values(std::int64_t count, std::mt19937& random) {
    std::vector<float> result(static_cast<std::size_t>(count));
    for (float& value : result) {
      value = std::ldexp(1.0F + 0.5F * static_cast<float>(random() % 2),
                         static_cast<int>(random() % 9) - 4);
      if (random() % 2 == 0) value = -value;
      if (random() % 8 == 0) value = 0;
    }
    return result;
  }

  [[nodiscard]] bool bits_equal_reference() const {
    std::vector<float> expected(c.size());
    reference_gemm(job.problem, OutputView::of(expected.data(), job.out.row_stride));
    for (std::size_t i = 0; i < c.size(); ++i) {
      if (std::bit_cast<std::uint32_t>(c[i]) != std::bit_cast<std::uint32_t>(expected[i]))
        return false;
    }
    return true;
  }
};

Timing closed_form(const Case& test) {
  return timing(test.job.problem.shape(), test.job.array,
                element_bytes(test.job.problem.mac, test.job.problem.order));
}

ArrayDesign random_array(std::mt19937& random, int trial) {
  const int sizes[] = {1, 2, 3, 4, 7, 8};
  ArrayDesign array;
  array.rows = sizes[random() % 6];
  array.columns = sizes[random() % 6];
  array.dataflow = kDataflows[trial % 3];
  array.psum = trial / 3 % 2 == 0 ? Psum::Buffer : Psum::Chained;
  array.policy = kPolicies[trial / 6 % 3];
  if (random() % 2 == 0) return array;
  array.multiplier_latency = static_cast<int>(random() % 3);
  array.adder_latency = 1 + static_cast<int>(random() % 4);
  array.interleave = 1 + static_cast<int>(random() % 4);
  return array;
}

/// 1, R - 1, R, R + 1 and primes.
GemmShape random_shape(const ArrayDesign& array, std::mt19937& random) {
  const auto pick = [&]() -> std::int64_t {
    const int sizes[] = {1, array.rows - 1, array.rows, array.rows + 1, array.columns + 1, 5, 13,
                         29};
    return std::max(1, sizes[random() % 8]);
  };
  return {pick(), pick(), pick()};
}

MacDesign random_mac(const ArrayDesign& array, std::mt19937& random) {
  const char* accumulators[] = {"e6m9", "e6m3", "e8m15", "fp32"};
  MacDesign mac = mac_of(accumulators[random() % 4]);
  if (array.dataflow == Dataflow::OutputStationary) {
    if (random() % 2 == 0) mac.chunk = Chunk{3, mac.accumulator};
  } else if (array.psum == Psum::Buffer) {
    mac.chunk = Chunk{array.rows, mac_of("e6m13").accumulator};
  }
  return mac;
}

MemoryDesign random_memory(std::mt19937& random) {
  const double speeds[] = {0.3, 1, 2.5, 7, 64};
  MemoryDesign memory;
  memory.operand_scratchpad_bytes = 2 * (64 + static_cast<std::int64_t>(random() % 200));
  memory.psum_scratchpad_bytes = 2 * (256 + static_cast<std::int64_t>(random() % 400));
  memory.scratchpad_bytes_per_cycle = speeds[random() % 5];
  memory.dram_bytes_per_cycle = speeds[random() % 5];
  memory.dram_latency_cycles = static_cast<std::int64_t>(random() % 40);
  return memory;
}

void expect_closed_form_and_reference(Platform& platform, int trials) {
  std::mt19937 random(1);
  for (int trial = 0; trial < trials; ++trial) {
    const ArrayDesign array = random_array(random, trial);
    const MacDesign mac = random_mac(array, random);
    Case test(random_shape(array, random), mac, array, random);
    const PlatformResult result = platform.run(test.job);
    ASSERT_TRUE(test.bits_equal_reference()) << describe(mac) << " on " << describe(array);
    ASSERT_EQ(result.timing, closed_form(test)) << describe(array);
    ASSERT_EQ(result.elapsed_cycles, result.timing.cycles.total());
    ASSERT_EQ(result.timing.stalls, StallCauses{});
  }
}

void expect_stalls_of_the_recurrence(Platform& platform, int trials) {
  std::mt19937 random(2);
  std::int64_t stalled = 0;
  for (int trial = 0; trial < trials; ++trial) {
    ArrayDesign array = random_array(random, trial);
    array.memory = random_memory(random);
    Case test(random_shape(array, random), random_mac(array, random), array, random);
    const PlatformResult result = platform.run(test.job);
    const Timing expected = closed_form(test);
    ASSERT_EQ(result.timing.stalls, expected.stalls) << describe(array);
    ASSERT_EQ(result.timing, expected) << describe(array);
    ASSERT_EQ(result.elapsed_cycles, expected.cycles.total() + expected.stalls.total());
    ASSERT_TRUE(test.bits_equal_reference()) << describe(array);
    stalled += expected.stalls.total() > 0 ? 1 : 0;
  }
  EXPECT_GT(stalled, trials / 2);
}

TEST(Platform, BitsAreTheReferenceAndCyclesTheClosedFormOverRandomShapes) {
  Platform platform;
  expect_closed_form_and_reference(platform, 300);
}

TEST(Platform, StallsAndTrafficAreThoseOfTheRecurrenceOverRandomMemories) {
  Platform platform;
  expect_stalls_of_the_recurrence(platform, 600);
}

TEST(Platform, CycleByCycleBitsAreTheReferenceAndCyclesTheClosedFormOverRandomShapes) {
  Platform platform(Fidelity::Cycle);
  expect_closed_form_and_reference(platform, 600);
}

TEST(Platform, CycleByCycleStallsAndTrafficAreThoseOfTheRecurrenceOverRandomMemories) {
  Platform platform(Fidelity::Cycle);
  expect_stalls_of_the_recurrence(platform, 600);
}

TEST(Platform, AmpleMemoryNeverStalls) {
  Platform platform;
  std::mt19937 random(3);
  for (int trial = 0; trial < 100; ++trial) {
    ArrayDesign array = random_array(random, trial);
    array.memory = MemoryDesign{1 << 20, 1 << 20, 1e6, 1e6, 0};
    Case test(random_shape(array, random), random_mac(array, random), array, random);
    const PlatformResult result = platform.run(test.job);
    ASSERT_EQ(result.timing.stalls, StallCauses{}) << describe(array);
    ASSERT_EQ(result.elapsed_cycles, closed_form(test).cycles.total());
  }
}

TEST(Platform, MoreBandwidthNeverCostsCycles) {
  Platform platform;
  std::mt19937 random(4);
  for (const Dataflow dataflow : kDataflows) {
    ArrayDesign array;
    array.rows = array.columns = 8;
    array.dataflow = dataflow;
    array.psum = Psum::Chained;
    array.memory = MemoryDesign{512, 1024, 64, 0, 20};
    Case test({50, 40, 60}, mac_of("e6m9"), array, random);
    std::int64_t previous = std::numeric_limits<std::int64_t>::max();
    for (const double bandwidth : {0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 1024.0}) {
      test.job.array.memory->dram_bytes_per_cycle = bandwidth;
      const PlatformResult result = platform.run(test.job);
      EXPECT_LE(result.timing.stalls.total(), previous);
      previous = result.timing.stalls.total();
      const Traffic& traffic = result.timing.traffic;
      // The channel is never faster than its bandwidth.
      EXPECT_GE(static_cast<double>(result.elapsed_cycles + 1) * bandwidth,
                static_cast<double>(traffic.dram_reads + traffic.dram_writes));
    }
  }
}

TEST(Platform, DramTrafficOfAnOutputStationaryGemm) {
  Platform platform;
  std::mt19937 random(5);
  ArrayDesign array;
  array.rows = array.columns = 4;
  array.memory = MemoryDesign{2 * 4 * 10, 2 * 4 * 4 * 2, 100, 1, 7};
  Case test({8, 12, 10}, mac_of("e6m9"), array, random);
  const PlatformResult result = platform.run(test.job);
  // A: 2 row folds, each 4 x 10 fetched once and kept while B passes: 80 bytes.
  // B: 3 column folds of 10 x 4 for each of the 2 row folds: 240 bytes. Outputs: 8 x 12 x 2 bytes.
  EXPECT_EQ(result.timing.traffic.dram_reads, 80 + 240);
  EXPECT_EQ(result.timing.traffic.dram_writes, 192);
  // The first operands: latency 7 + 80 bytes at 1 byte per cycle.
  EXPECT_EQ(result.timing.stalls.first_load, 7 + 80);
}

TEST(Platform, PsumsThatDoNotFitTheScratchpadGoThroughDram) {
  Platform platform;
  std::mt19937 random(6);
  ArrayDesign array;
  array.rows = array.columns = 4;
  array.dataflow = Dataflow::WeightStationary;
  array.psum = Psum::Chained;
  // K 12: 3 folds deep; N 4: 1 fold wide; psums of 10 x 4 outputs of 2 bytes: 80 bytes.
  array.memory = MemoryDesign{200, 2 * 80, 100, 4, 0};
  Case test({10, 4, 12}, mac_of("e6m9"), array, random);
  EXPECT_EQ(platform.run(test.job).timing.traffic.dram_reads, 10 * 12 + 12 * 4);
  EXPECT_EQ(platform.run(test.job).timing.traffic.dram_writes, 80);
  test.job.array.memory->psum_scratchpad_bytes = 2 * 79;
  const Traffic spilled = platform.run(test.job).timing.traffic;
  EXPECT_EQ(spilled.dram_reads, 10 * 12 + 12 * 4 + 2 * 80);
  EXPECT_EQ(spilled.dram_writes, 3 * 80);
  EXPECT_TRUE(test.bits_equal_reference());
}

TEST(Platform, AGemmWithoutProductsGivesZerosInNoTime) {
  Platform platform;
  std::mt19937 random(7);
  ArrayDesign array;
  array.memory = MemoryDesign{1 << 20, 1 << 20, 1, 1, 100};
  Case test({3, 4, 0}, mac_of("e6m9"), array, random);
  const PlatformResult result = platform.run(test.job);
  EXPECT_EQ(result.elapsed_cycles, 0);
  EXPECT_EQ(result.timing, Timing{});
  EXPECT_EQ(test.c, std::vector<float>(12, 0.0F));
}

TEST(Platform, TheTimeOfAGemmNeedsNoValues) {
  Platform platform;
  std::mt19937 random(12);
  for (int trial = 0; trial < 100; ++trial) {
    ArrayDesign array = random_array(random, trial);
    if (trial % 2 == 0) array.memory = random_memory(random);
    const GemmShape shape = random_shape(array, random);
    const PlatformResult result = platform.time(shape, array, {1, 1, 4});
    ASSERT_EQ(result.timing, timing(shape, array, {1, 1, 4})) << describe(array);
    ASSERT_EQ(result.elapsed_cycles, result.timing.cycles.total() + result.timing.stalls.total());
  }
}

TEST(Platform, CycleByCycleATimeWithoutValuesIsRefusedAndThePlatformStaysUsable) {
  Platform platform(Fidelity::Cycle);
  std::mt19937 random(13);
  Case test({5, 6, 7}, mac_of("e6m9"), ArrayDesign{}, random);
  EXPECT_THROW(platform.time({5, 6, 7}, ArrayDesign{}, {1, 1, 2}), Error);
  EXPECT_EQ(platform.run(test.job).timing, closed_form(test));
  EXPECT_TRUE(test.bits_equal_reference());
}

TEST(Platform, StatisticsAreThoseOfTheKernelCall) {
  Platform platform;
  std::mt19937 random(8);
  Case test({9, 8, 70}, mac_of("e6m3"), ArrayDesign{}, random);
  EXPECT_FALSE(platform.run(test.job).statistics.has_value());
  test.job.observe = Observation{};
  const PlatformResult result = platform.run(test.job);
  ASSERT_TRUE(result.statistics.has_value());
  EXPECT_EQ(result.statistics->products, 9 * 8 * 70);
  EXPECT_GT(result.statistics->full_swamped, 0);
}

TEST(Platform, ErrorsKeepTheirTypeAndThePlatformStaysUsable) {
  Platform platform;
  std::mt19937 random(9);
  Case good({5, 6, 7}, mac_of("e6m9"), ArrayDesign{}, random);
  const Timing before = platform.run(good.job).timing;
  Case misfit({5, 6, 7}, mac_of("e6m9"), ArrayDesign{}, random);
  misfit.job.problem.b = misfit.job.problem.b.transposed();  // 6 x 7 instead of 7 x 6
  EXPECT_THROW(platform.run(misfit.job), Error);
  Case small({5, 6, 7}, mac_of("e6m9"), ArrayDesign{}, random);
  small.job.array.memory =
      MemoryDesign{12, 1 << 20, 1, 1, 0};  // A: 5 bytes per k fit half, B: 6 do
  EXPECT_NO_THROW(platform.run(small.job));
  small.job.array.memory->operand_scratchpad_bytes = 11;
  EXPECT_THROW(platform.run(small.job), Error);
  EXPECT_EQ(platform.run(good.job).timing, before);
  EXPECT_TRUE(good.bits_equal_reference());
}

TEST(Platform, ASecondPlatformOfAProcessIsRefused) {
  const auto first = std::make_unique<Platform>();
  EXPECT_THROW(Platform{}, Error);
  std::mt19937 random(10);
  Case test({5, 6, 7}, mac_of("e6m9"), ArrayDesign{}, random);
  EXPECT_GT(first->run(test.job).elapsed_cycles, 0);
  EXPECT_THROW(Platform{}, Error);
}

TEST(Platform, CannotBeBuiltAfterTheSimulationHasStarted) {
  std::mt19937 random(11);
  Case test({5, 6, 7}, mac_of("e6m9"), ArrayDesign{}, random);
  std::make_unique<Platform>()->run(test.job);
  EXPECT_THROW(Platform{}, Error);
}

}  // namespace
}  // namespace narrowmac
