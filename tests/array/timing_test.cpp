#include "models/array/timing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr Dataflow kDataflows[] = {Dataflow::OutputStationary, Dataflow::WeightStationary,
                                   Dataflow::InputStationary};

ArrayDesign array_of(int rows, int columns, Dataflow dataflow) {
  ArrayDesign array;
  array.rows = rows;
  array.columns = columns;
  array.dataflow = dataflow;
  return array;
}

/// Fold by fold, PE by PE where it matters: no formula of the closed form is used.
struct Enumerated {
  std::int64_t folds = 0, cycles = 0, used = 0;
  std::int64_t a = 0, b = 0, psum_reads = 0, psum_writes = 0;  // elements
};

Enumerated enumerate(const GemmShape& s, const ArrayDesign& array) {
  const bool os = array.dataflow == Dataflow::OutputStationary;
  const bool ws = array.dataflow == Dataflow::WeightStationary;
  const std::int64_t along_rows = os ? s.m : s.k;
  const std::int64_t along_columns = os || ws ? s.n : s.m;
  Enumerated e;
  for (std::int64_t row = 0; row < along_rows; row += array.rows) {
    for (std::int64_t column = 0; column < along_columns; column += array.columns) {
      const std::int64_t r = std::min<std::int64_t>(array.rows, along_rows - row);
      const std::int64_t c = std::min<std::int64_t>(array.columns, along_columns - column);
      ++e.folds;
      e.used += r * c;
      const std::int64_t skew = array.rows - 1 + array.columns - 1;
      if (os) {
        e.cycles += s.k + skew;
        e.a += r * s.k;
        e.b += c * s.k;
        e.psum_writes += r * c;
      } else {
        const std::int64_t streamed = ws ? s.m : s.n;
        e.cycles += array.rows + streamed + skew;
        (ws ? e.a : e.b) += r * streamed;
        (ws ? e.b : e.a) += r * c;
        e.psum_writes += c * streamed;
        if (row > 0) e.psum_reads += c * streamed;
      }
    }
  }
  return e;
}

TEST(ClosedForm, EqualsAFoldByFoldEnumeration) {
  std::mt19937 generator(1);
  const std::vector<int> sizes = {1, 2, 3, 4, 5, 7, 8, 13, 16, 17};
  const auto pick = [&] { return sizes[generator() % sizes.size()]; };
  const ElementBytes bytes{1, 2, 3};
  for (int trial = 0; trial < 2000; ++trial) {
    const GemmShape shape{pick(), pick(), pick()};
    const ArrayDesign array = array_of(pick(), pick(), kDataflows[trial % 3]);
    const Enumerated expected = enumerate(shape, array);
    const Timing actual = timing(shape, array, bytes);
    ASSERT_EQ(actual.folds, expected.folds);
    ASSERT_EQ(actual.cycles.total(), expected.cycles);
    ASSERT_EQ(actual.traffic.a_reads, expected.a * 1);
    ASSERT_EQ(actual.traffic.b_reads, expected.b * 2);
    ASSERT_EQ(actual.traffic.psum_reads, expected.psum_reads * 3);
    ASSERT_EQ(actual.traffic.psum_writes, expected.psum_writes * 3);
    const double elements = array.rows * array.columns;
    ASSERT_DOUBLE_EQ(
        actual.mapping_efficiency,
        static_cast<double>(expected.used) / (static_cast<double>(expected.folds) * elements));
    ASSERT_DOUBLE_EQ(actual.utilization, static_cast<double>(shape.macs()) /
                                             (static_cast<double>(expected.cycles) * elements));
  }
}

TEST(ClosedForm, PartsOfOutputStationary) {
  // 2 x 3 folds of a 4 x 4 array over 8 x 12 outputs; each: compute 10 + fill (4 - 1) + (4 - 1)
  const Timing time = timing({8, 12, 10}, array_of(4, 4, Dataflow::OutputStationary), {1, 1, 2});
  EXPECT_EQ(time.folds, 6);
  EXPECT_EQ(time.cycles, (CycleParts{0, 6 * 6, 6 * 10, 0, 0}));
  EXPECT_EQ(time.stalls, StallCauses{});
}

TEST(ClosedForm, PartsOfWeightStationary) {
  // K 10 over 4 rows: 3 folds; N 12 over 4 columns: 3; each: load 4 + fill 3 + compute 8 + drain 3
  const Timing time = timing({8, 12, 10}, array_of(4, 4, Dataflow::WeightStationary), {1, 1, 2});
  EXPECT_EQ(time.folds, 9);
  EXPECT_EQ(time.cycles, (CycleParts{9 * 4, 9 * 3, 9 * 8, 9 * 3, 0}));
}

TEST(ClosedForm, PartsOfInputStationary) {
  // K 10 over 4 rows: 3 folds; M 8 over 4 columns: 2; each: load 4 + fill 3 + compute 12 + drain 3
  const Timing time = timing({8, 12, 10}, array_of(4, 4, Dataflow::InputStationary), {1, 1, 2});
  EXPECT_EQ(time.folds, 6);
  EXPECT_EQ(time.cycles, (CycleParts{6 * 4, 6 * 3, 6 * 12, 6 * 3, 0}));
}

// SCALE-Sim v3 reports the index of the last cycle: its number plus one is ours.
TEST(ClosedForm, IsOneMoreThanScaleSimReports) {
  // AlexNet's first layer, 55 x 55 x 96 outputs, K = 11 * 11 * 3 = 363, on 32 x 32:
  // os: ceil(3025 / 32) 95 * ceil(96 / 32) 3 = 285 folds of 363 + 62 = 425 cycles; SCALE-Sim:
  // 121124
  const GemmShape alexnet{55 * 55, 96, 11 * 11 * 3};
  EXPECT_EQ(timing(alexnet, array_of(32, 32, Dataflow::OutputStationary), {1, 1, 1}).cycles.total(),
            121124 + 1);
  // ws: ceil(363 / 32) 12 * 3 = 36 folds of 3025 + 64 + 30 = 3119 cycles; SCALE-Sim: 112283
  EXPECT_EQ(timing(alexnet, array_of(32, 32, Dataflow::WeightStationary), {1, 1, 1}).cycles.total(),
            112283 + 1);
  // is: 12 * 95 = 1140 folds of 96 + 64 + 30 = 190 cycles; SCALE-Sim: 216599
  EXPECT_EQ(timing(alexnet, array_of(32, 32, Dataflow::InputStationary), {1, 1, 1}).cycles.total(),
            216599 + 1);
}

TEST(ClosedForm, AGemmWithoutProductsTakesNoTime) {
  for (const Dataflow dataflow : kDataflows) {
    for (const GemmShape& shape : {GemmShape{0, 3, 4}, GemmShape{3, 0, 4}, GemmShape{3, 4, 0}}) {
      EXPECT_EQ(timing(shape, array_of(4, 4, dataflow), {1, 1, 1}), Timing{});
    }
  }
}

TEST(ClosedForm, HugeShapesAreExactOrRefusedNeverWrapped) {
  const ArrayDesign array = array_of(1, 1, Dataflow::OutputStationary);
  const std::int64_t million = 1000000;
  EXPECT_EQ(timing({million, million, million}, array, {1, 1, 1}).cycles.total(),
            million * million * million);
  EXPECT_THROW(timing({million * million, million, million}, array, {1, 1, 1}), Error);
  EXPECT_THROW(timing({-1, 1, 1}, array, {1, 1, 1}), Error);
}

TEST(ClosedForm, WithMemorySlicesThatWouldTakeHoursToStepThroughAreRefused) {
  ArrayDesign array;
  array.rows = array.columns = 1;
  array.memory = MemoryDesign{1 << 20, 1 << 20, 64, 16, 10};
  EXPECT_NO_THROW(timing({100, 100, 10}, array, {1, 1, 4}));
  EXPECT_THROW(timing({1000000, 1000000, 10}, array, {1, 1, 4}), Error);
  array.memory.reset();
  EXPECT_EQ(timing({1000000, 1000000, 10}, array, {1, 1, 4}).folds, 1000000000000);
}

TEST(ClosedForm, ElementsTakeWholeBytesOfTheirFormats) {
  MacDesign mac;
  mac.a = NumberFormat::parse("e5m2");
  mac.b = NumberFormat::parse("fx9.0");
  mac.accumulator.format = NumberFormat::parse("e6m9");
  EXPECT_EQ(element_bytes(mac, accumulation_order(mac)), (ElementBytes{1, 2, 2}));
  mac.chunk = Chunk{64, mac.accumulator};
  mac.chunk->accumulator.format = NumberFormat::parse("e8m15");
  EXPECT_EQ(element_bytes(mac, accumulation_order(mac)), (ElementBytes{1, 2, 3}));
}

}  // namespace
}  // namespace narrowmac
