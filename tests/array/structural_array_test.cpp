#include "models/array/systemc/structural/structural_array.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <systemc>
#include <vector>

#include "models/array/fold_timing.h"
#include "models/array/schedule.h"
#include "models/array/timing.h"
#include "models/design/error.h"
#include "models/numerics/reference.h"
#include "tests/numerics/random_design.h"
#include "tests/numerics/same_bits.h"

// A process holds one simulation: each TEST elaborates a few arrays and runs many GEMMs on them.

namespace narrowmac {
namespace {

using random_design::chance;
using random_design::Generator;
using random_design::integer;

/// Arrays of one dataflow side by side, in one simulation.
class Bench {
 public:
  Bench(Generator& generator, Dataflow dataflow, int count)
      : clock_("clock", sc_core::sc_time(1, sc_core::SC_NS), 0.5,
               sc_core::sc_time(0.5, sc_core::SC_NS), false) {
    for (int i = 0; i < count; ++i) {
      ArrayDesign array;
      array.dataflow = dataflow;
      array.rows = integer(generator, 1, 5);
      array.columns = integer(generator, 1, 5);
      array.policy = static_cast<Policy>(i % 3);
      if (i >= 3) {
        array.multiplier_latency = integer(generator, 0, 3);
        array.adder_latency = integer(generator, 1, 4);
        array.interleave = dataflow == Dataflow::OutputStationary ? integer(generator, 1, 4) : 1;
      }
      designs.push_back(array);
      const std::string name = "array" + std::to_string(i);
      arrays.push_back(std::make_unique<StructuralArray>(name.c_str(), array));
      arrays.back()->clock(clock_);
    }
  }

  /// Until the array is done, or has failed.
  static void run(const StructuralArray& array) {
    while (!array.done()) sc_core::sc_start(sc_core::sc_time(1, sc_core::SC_NS));
  }

  std::vector<ArrayDesign> designs;
  std::vector<std::unique_ptr<StructuralArray>> arrays;

 private:
  sc_core::sc_clock clock_;
};

random_design::Gemm random_gemm(Generator& generator, const ArrayDesign& array) {
  MacDesign mac = random_design::any_design(generator);
  const int adder = integer(generator, 0, 9);
  if (adder == 0) mac = random_design::any_truncate_aligned(generator);
  if (array.dataflow == Dataflow::OutputStationary) {
    if (adder == 1 || adder == 2) mac = random_design::any_dot(generator);
    if (adder == 3) mac = random_design::any_exact(generator);
  }
  const auto side = [&](int unit) -> std::int64_t {
    const int sides[] = {1, unit - 1, unit, unit + 1, 7, 13};
    return std::max(1, sides[integer(generator, 0, 5)]);
  };
  GemmShape shape{side(array.rows), side(array.columns), side(array.rows)};
  if (array.dataflow != Dataflow::OutputStationary && array.psum == Psum::Buffer) {
    if (mac.chunk) {
      mac.chunk->length = array.rows;
    } else {
      shape.k = std::min<std::int64_t>(shape.k, array.rows);
    }
  }
  random_design::Gemm gemm = random_design::any_gemm(
      generator, mac, shape, random_design::kValues[integer(generator, 0, 5)],
      chance(generator, 30));
  gemm.problem.order = accumulation_order(mac, array);
  return gemm;
}

/// The bits, or nothing if the design refuses the operands.
std::optional<std::vector<double>> reference_bits(const GemmProblem& problem) {
  const GemmShape shape = problem.shape();
  std::vector<double> out(static_cast<std::size_t>(shape.m * shape.n));
  try {
    reference_gemm(problem, OutputView::of(out.data(), shape.n));
  } catch (const Error&) {
    return std::nullopt;
  }
  return out;
}

void check_gemm(StructuralArray& array, const ArrayDesign& design, const GemmProblem& problem) {
  const GemmShape shape = problem.shape();
  const std::string what = describe(problem.mac) + " on " + describe(design);
  const auto expected = reference_bits(problem);
  std::vector<double> actual(static_cast<std::size_t>(shape.m * shape.n));
  const auto view = OutputView::of(actual.data(), shape.n);
  if (!expected) {
    ASSERT_THROW(array.write(view), Error) << what;
    return;
  }
  array.write(view);
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_TRUE(same_bits(actual[i], (*expected)[i])) << what << ", output " << i;
  }
  const std::int64_t cycles = timing(shape, design, problem.mac).cycles.total();
  ASSERT_EQ(array.cycles(), cycles) << what;
  ASSERT_LE(array.last_result(), cycles) << what;
  // The last fold's last PE has work: its result comes in the very last cycle, never later.
  const Mapping map = map_gemm(shape, design);
  const bool full = map.rows % rows_per_fold(design) == 0 && map.columns % design.columns == 0;
  const bool ragged = design.policy == Policy::Ragged && map.rows < design.rows;
  if (full || ragged) {
    ASSERT_EQ(array.last_result(), cycles) << what;
  }
}

void check(Dataflow dataflow) {
  Generator generator(21);
  Bench bench(generator, dataflow, 9);
  for (int trial = 0; trial < 180; ++trial) {
    const std::size_t i = static_cast<std::size_t>(trial) % bench.arrays.size();
    ArrayDesign& design = bench.designs[i];
    design.psum = chance(generator, 50) ? Psum::Buffer : Psum::Chained;
    const random_design::Gemm gemm = random_gemm(generator, design);
    StructuralArray& array = *bench.arrays[i];
    array.begin(gemm.problem, design.psum, chance(generator, 50));
    Bench::run(array);
    check_gemm(array, design, gemm.problem);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(StructuralArray, OutputStationaryBitsAreTheReferencesAndTheLastResultComesOnTime) {
  check(Dataflow::OutputStationary);
}

TEST(StructuralArray, WeightStationaryBitsAreTheReferencesAndTheLastResultComesOnTime) {
  check(Dataflow::WeightStationary);
}

TEST(StructuralArray, InputStationaryBitsAreTheReferencesAndTheLastResultComesOnTime) {
  check(Dataflow::InputStationary);
}

}  // namespace
}  // namespace narrowmac
