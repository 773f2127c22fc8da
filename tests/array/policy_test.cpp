#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "models/array/timing.h"
#include "models/design/error.h"

// The policies and the pipelined MAC against a model that knows no formula: it walks through every
// product of every PE and asks when its operands, its psum and the PE itself are ready.

namespace narrowmac {
namespace {

constexpr Dataflow kDataflows[] = {Dataflow::OutputStationary, Dataflow::WeightStationary,
                                   Dataflow::InputStationary};
constexpr Policy kPolicies[] = {Policy::Padded, Policy::Ragged, Policy::Overlapped};
constexpr ElementBytes kBytes{1, 1, 2};

class WalkedArray {
 public:
  WalkedArray(const GemmShape& shape, const ArrayDesign& array) : array_(array) {
    const bool os = array.dataflow == Dataflow::OutputStationary;
    const bool ws = array.dataflow == Dataflow::WeightStationary;
    along_rows_ = os ? shape.m : shape.k;
    along_columns_ = os || ws ? shape.n : shape.m;
    streamed_ = os ? shape.k : ws ? shape.m : shape.n;
    fold_rows_ = array.rows * (os ? array.interleave : 1);
  }

  /// Cycles until the last sum is finished.
  std::int64_t walk() {
    const bool os = array_.dataflow == Dataflow::OutputStationary;
    if (os) {
      for (std::int64_t row = 0; row < along_rows_; row += fold_rows_) {
        for (std::int64_t column = 0; column < along_columns_; column += array_.columns) {
          walk_sums(rows_at(row), columns_at(column));
        }
      }
    } else {
      for (std::int64_t column = 0; column < along_columns_; column += array_.columns) {
        for (std::int64_t row = 0; row < along_rows_; row += fold_rows_) {
          walk_stationary_operand(rows_at(row), columns_at(column), row > 0);
        }
      }
    }
    return end_;
  }

 private:
  [[nodiscard]] bool overlaps() const { return array_.policy == Policy::Overlapped; }
  /// Rows and columns that take part: all of them unless the policy is ragged.
  [[nodiscard]] std::int64_t rows_at(std::int64_t row) const {
    return array_.policy == Policy::Ragged ? std::min(fold_rows_, along_rows_ - row) : fold_rows_;
  }
  [[nodiscard]] std::int64_t columns_at(std::int64_t column) const {
    const std::int64_t all = array_.columns;
    return array_.policy == Policy::Ragged ? std::min(all, along_columns_ - column) : all;
  }

  /// os: products of k, and of every interleaved sum within k, one after the other.
  void walk_sums(std::int64_t rows, std::int64_t columns) {
    const std::int64_t sums = (rows + array_.rows - 1) / array_.rows;
    const std::int64_t pe_rows = std::min<std::int64_t>(rows, array_.rows);
    // A fold begins when the previous one has ended, or else when its first PE is free.
    const std::int64_t begin = overlaps() ? next_stream_ : end_;
    for (std::int64_t r = 0; r < pe_rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) {
        std::vector<std::int64_t> free(static_cast<std::size_t>(sums), 0);  // of each sum
        std::int64_t at = begin + r + c;  // one cycle a hop, for A and for B
        for (std::int64_t k = 0; k < streamed_; ++k) {
          for (std::int64_t& sum : free) {
            at = std::max(at, sum);
            sum = at + array_.adder_latency;
            end_ = std::max(end_, at + array_.multiplier_latency + array_.adder_latency);
            ++at;
          }
        }
        if (r == 0 && c == 0) next_stream_ = at;
      }
    }
  }

  /// ws, is: the operand is loaded row by row; psums come from above.
  void walk_stationary_operand(std::int64_t rows, std::int64_t columns, bool continues) {
    const std::int64_t load_begin = overlaps() && loaded_once_ ? stream_ : end_;
    loaded_once_ = true;
    const std::int64_t loaded = load_begin + rows;
    const std::int64_t added = array_.multiplier_latency;
    stream_ = std::max(loaded, overlaps() ? next_stream_ : end_);
    const bool waits = overlaps() && continues;
    // A psum that this fold needs is late by so many cycles: the stream starts later as a whole.
    for (std::int64_t m = 0; waits && m < streamed_; ++m) {
      const auto element = static_cast<std::size_t>(m);
      if (array_.psum == Psum::Chained) {
        stream_ = std::max(stream_, left_first_column_[element] - m - added);
      } else {  // the buffer's adder takes the fold's sum `rows` adders later
        stream_ =
            std::max(stream_, left_buffer_[element] - m - added - rows * array_.adder_latency);
      }
    }
    left_first_column_.assign(static_cast<std::size_t>(streamed_), 0);
    left_buffer_ = left_first_column_;
    for (std::int64_t c = 0; c < columns; ++c) {
      for (std::int64_t m = 0; m < streamed_; ++m) {
        std::int64_t at = stream_ + m + c + added;
        for (std::int64_t r = 0; r < rows; ++r) at += array_.adder_latency;
        end_ = std::max(end_, at);
        if (c > 0) continue;
        left_first_column_[static_cast<std::size_t>(m)] = at;
        left_buffer_[static_cast<std::size_t>(m)] = at + array_.adder_latency;
      }
    }
    next_stream_ = stream_ + streamed_;
  }

  ArrayDesign array_;
  std::int64_t along_rows_ = 0, along_columns_ = 0, streamed_ = 0, fold_rows_ = 0;
  std::int64_t end_ = 0;          ///< all sums so far are finished
  std::int64_t stream_ = 0;       ///< the last fold's first element entered
  std::int64_t next_stream_ = 0;  ///< the next fold's first element may enter
  bool loaded_once_ = false;
  std::vector<std::int64_t> left_first_column_, left_buffer_;
};

TEST(Policies, CyclesAreThoseOfAWalkThroughEveryPe) {
  std::mt19937 random(1);
  const int sizes[] = {1, 2, 3, 4, 5, 7, 8, 13};
  const auto pick = [&](int count) { return sizes[random() % static_cast<unsigned>(count)]; };
  for (int trial = 0; trial < 6000; ++trial) {
    ArrayDesign array;
    array.rows = pick(6);
    array.columns = pick(6);
    array.dataflow = kDataflows[trial % 3];
    array.policy = kPolicies[trial / 3 % 3];
    array.psum = trial / 9 % 2 == 0 ? Psum::Buffer : Psum::Chained;
    array.multiplier_latency = static_cast<int>(random() % 4);
    array.adder_latency = 1 + static_cast<int>(random() % 5);
    array.interleave = 1 + static_cast<int>(random() % 6);
    const GemmShape shape{pick(8), pick(8), pick(8)};
    const Timing time = timing(shape, array, kBytes);
    ASSERT_EQ(time.cycles.total(), WalkedArray(shape, array).walk())
        << describe(array) << ", GEMM " << shape.m << " x " << shape.n << " x " << shape.k;
  }
}

ArrayDesign array_of(Dataflow dataflow, Policy policy) {
  ArrayDesign array;
  array.rows = array.columns = 4;
  array.dataflow = dataflow;
  array.policy = policy;
  return array;
}

TEST(Policies, RaggedFoldsUseTheirOwnRowsAndColumns) {
  // M 5, N 6 on 4 x 4: folds of 4 x 4, 4 x 2, 1 x 4, 1 x 2, each K + r + c - 2 with K = 10:
  // fills 6 + 4 + 3 + 1
  EXPECT_EQ(timing({5, 6, 10}, array_of(Dataflow::OutputStationary, Policy::Ragged), kBytes).cycles,
            (CycleParts{0, 14, 40, 0, 0}));
  // K 5, N 6: the same folds; load r, fill r - 1, M = 10, drain c - 1
  EXPECT_EQ(timing({10, 6, 5}, array_of(Dataflow::WeightStationary, Policy::Ragged), kBytes).cycles,
            (CycleParts{4 + 4 + 1 + 1, 3 + 3, 40, 3 + 1 + 3 + 1, 0}));
}

TEST(Policies, OverlappedFoldsPayTheSkewOnce) {
  // 4 folds, one after the other without a gap: 4 * K + R + C - 2
  EXPECT_EQ(
      timing({8, 8, 10}, array_of(Dataflow::OutputStationary, Policy::Overlapped), kBytes).cycles,
      (CycleParts{0, 6, 40, 0, 0}));
  // The streams of 10 hide all loads but the first.
  EXPECT_EQ(
      timing({10, 8, 8}, array_of(Dataflow::WeightStationary, Policy::Overlapped), kBytes).cycles,
      (CycleParts{4, 3, 40, 3, 0}));
  // Streams of 3 hide 3 of the 4 cycles of a load: 4 + 3 * 1.
  EXPECT_EQ(
      timing({3, 8, 8}, array_of(Dataflow::WeightStationary, Policy::Overlapped), kBytes).cycles,
      (CycleParts{7, 3, 12, 3, 0}));
}

TEST(Policies, NoPolicyTakesLongerThanPadded) {
  std::mt19937 random(2);
  std::uniform_int_distribution<std::int64_t> pick(0, 39);
  for (int trial = 0; trial < 1000; ++trial) {
    ArrayDesign array = array_of(kDataflows[trial % 3], Policy::Padded);
    array.adder_latency = 1 + static_cast<int>(random() % 5);
    array.interleave = 1 + static_cast<int>(random() % 3);
    array.psum = trial % 2 == 0 ? Psum::Buffer : Psum::Chained;
    const GemmShape shape{1 + pick(random), 1 + pick(random), 1 + pick(random)};
    const std::int64_t padded = timing(shape, array, kBytes).cycles.total();
    for (const Policy policy : {Policy::Ragged, Policy::Overlapped}) {
      array.policy = policy;
      ASSERT_LE(timing(shape, array, kBytes).cycles.total(), padded) << describe(array);
    }
  }
}

TEST(PipelinedMac, AnOutputStationaryPeWaitsForItsAdderUnlessItInterleaves) {
  ArrayDesign array = array_of(Dataflow::OutputStationary, Policy::Padded);
  array.multiplier_latency = 2;
  array.adder_latency = 3;
  // One sum: a product every 3 cycles, 9 gaps of 2; the last sum is finished 2 + 3 - 1 cycles later
  // than with a MAC of one cycle.
  EXPECT_EQ(timing({4, 4, 10}, array, kBytes).cycles, (CycleParts{0, 6, 10, 4, 18}));
  // Two sums, 8 rows a fold: 20 products, 9 gaps of 1
  array.interleave = 2;
  EXPECT_EQ(timing({8, 4, 10}, array, kBytes).cycles, (CycleParts{0, 6, 20, 4, 9}));
  // Three sums, 12 rows: no gap
  array.interleave = 3;
  EXPECT_EQ(timing({12, 4, 10}, array, kBytes).cycles, (CycleParts{0, 6, 30, 4, 0}));
  EXPECT_EQ(timing({12, 4, 10}, array, kBytes).folds, 1);
}

TEST(PipelinedMac, UnderWeightStationaryLatencyOnlyStretchesTheSkew) {
  ArrayDesign array = array_of(Dataflow::WeightStationary, Policy::Padded);
  array.multiplier_latency = 2;
  array.adder_latency = 3;
  // Fill: 3 rows of 3 cycles; drain: 3 columns, then 2 + 3 - 1 cycles for the last MAC
  EXPECT_EQ(timing({10, 4, 4}, array, kBytes).cycles, (CycleParts{4, 9, 10, 7, 0}));
}

TEST(PipelinedMac, AnOverlappedFoldWaitsForThePsumsThatItContinues) {
  ArrayDesign array = array_of(Dataflow::WeightStationary, Policy::Overlapped);
  array.adder_latency = 3;
  array.psum = Psum::Chained;
  // K 8: a psum comes back after 4 rows of 3 cycles; the stream of 5 hides 5 of these 12.
  EXPECT_EQ(timing({5, 4, 8}, array, kBytes).cycles, (CycleParts{4, 9, 10, 5, 7}));
  // In a buffer it is there again after the buffer's addition: nothing to wait for.
  array.psum = Psum::Buffer;
  EXPECT_EQ(timing({5, 4, 8}, array, kBytes).cycles, (CycleParts{4, 9, 10, 5, 0}));
  // N 8, K 4: the second fold has sums of its own.
  array.psum = Psum::Chained;
  EXPECT_EQ(timing({5, 8, 4}, array, kBytes).cycles, (CycleParts{4, 9, 10, 5, 0}));
}

TEST(PipelinedMac, InterleavedSumsShareEveryElementOfB) {
  ArrayDesign array = array_of(Dataflow::OutputStationary, Policy::Padded);
  array.interleave = 2;
  const Timing time = timing({16, 4, 10}, array, kBytes);
  EXPECT_EQ(time.folds, 2);
  EXPECT_EQ(time.traffic.b_reads, 2 * 10 * 4) << "once a fold instead of once per 4 rows";
  EXPECT_EQ(time.traffic.a_reads, 16 * 10);
  EXPECT_EQ(time.mapping_efficiency, 1.0);
}

TEST(PipelinedMac, CountsBeyond63BitsAreRefused) {
  ArrayDesign array = array_of(Dataflow::OutputStationary, Policy::Overlapped);
  array.adder_latency = 64;
  EXPECT_THROW(timing({1, 1, std::int64_t{1} << 57}, array, kBytes), Error);
  EXPECT_NO_THROW(timing({1, 1, std::int64_t{1} << 55}, array, kBytes));
}

}  // namespace
}  // namespace narrowmac
