#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "models/array/timing.h"
#include "models/design/error.h"
#include "models/numerics/reference.h"
#include "sim/accelerators/make.h"

// At most one accelerator of fidelity transaction or cycle per TEST: a process holds one
// simulation.

namespace narrowmac {
namespace {

constexpr Dataflow kDataflows[] = {Dataflow::OutputStationary, Dataflow::WeightStationary,
                                   Dataflow::InputStationary};

ArrayDesign array_of(Fidelity fidelity, Dataflow dataflow) {
  ArrayDesign array;
  array.rows = 8;
  array.columns = 16;
  array.dataflow = dataflow;
  array.fidelity = fidelity;
  array.memory = MemoryDesign{4096, 8192, 64, 4, 30};
  return array;
}

MacDesign mac_of(const ArrayDesign& array) {
  MacDesign mac;
  mac.a = mac.b = NumberFormat::parse("e5m2");
  mac.accumulator.format = NumberFormat::parse("e6m4");
  if (array.dataflow != Dataflow::OutputStationary) mac.chunk = Chunk{0, mac.accumulator};
  return mac;
}

std::vector<float> random_values(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) {
    value = std::ldexp(random() % 2 == 0 ? 1.25F : -1.0F, static_cast<int>(random() % 7) - 3);
  }
  return values;
}

/// FWD of a 3x3 convolution with padding 1 over 4 images of 6 x 6 x 5, 12 filters.
class Convolution {
 public:
  Convolution()
      : tensor_(random_values(4 * 6 * 6 * 5, 1)),
        weights_(random_values(45 * 12, 2)),
        out_(144 * 12) {
    patches_.images = 4;
    patches_.height = patches_.width = patches_.out_height = patches_.out_width = 6;
    patches_.channels = 5;
    patches_.kernel_height = patches_.kernel_width = 3;
    patches_.offset_y = patches_.offset_x = -1;
  }

  GemmRequest request(const MacDesign* mac) {
    GemmRequest request;
    request.layer = "conv1";
    request.a = OperandView::patches(tensor_.data(), patches_);
    request.b = OperandView::dense(weights_.data(), 45, 12, 12);
    request.out = OutputView::of(out_.data(), 12);
    request.mac = mac;
    request.observe = Observation{};
    return request;
  }

  [[nodiscard]] const std::vector<float>& out() const { return out_; }

 private:
  std::vector<float> tensor_, weights_, out_;
  ConvolutionPatches patches_;
};

struct Outcome {
  GemmResult result;
  std::vector<float> out;
};

Outcome run(Accelerator& accelerator, const MacDesign* mac) {
  Convolution convolution;
  const GemmResult result = accelerator.execute(convolution.request(mac));
  return {result, convolution.out()};
}

void expect_same(const Outcome& left, const Outcome& right) {
  EXPECT_EQ(left.result.cycles, right.result.cycles);
  EXPECT_EQ(left.result.stalls, right.result.stalls);
  EXPECT_EQ(left.result.utilization, right.result.utilization);
  EXPECT_EQ(left.result.traffic, right.result.traffic);
  EXPECT_EQ(left.result.statistics, right.result.statistics);
  ASSERT_EQ(left.out.size(), right.out.size());
  for (std::size_t i = 0; i < left.out.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(left.out[i]),
              std::bit_cast<std::uint32_t>(right.out[i]));
  }
}

void expect_functional_agrees_with(Fidelity fidelity, Dataflow dataflow) {
  const ArrayDesign array = array_of(fidelity, dataflow);
  const MacDesign mac = mac_of(array);
  const auto functional = make_accelerator(array_of(Fidelity::Functional, dataflow));
  const auto simulated = make_accelerator(array);
  const Outcome expected = run(*functional, &mac);
  expect_same(expected, run(*simulated, &mac));
  expect_same(expected, run(*simulated, &mac));  // a second job on the same platform
  EXPECT_GT(expected.result.stalls.total(), 0);
  ASSERT_TRUE(expected.result.statistics.has_value());
}

TEST(Accelerators, FunctionalAndTransactionGiveTheSameBitsAndCyclesOutputStationary) {
  expect_functional_agrees_with(Fidelity::Transaction, Dataflow::OutputStationary);
}

TEST(Accelerators, FunctionalAndCycleGiveTheSameBitsAndCyclesOutputStationary) {
  expect_functional_agrees_with(Fidelity::Cycle, Dataflow::OutputStationary);
}

TEST(Accelerators, FunctionalAndTransactionGiveTheSameBitsAndCyclesWeightStationary) {
  expect_functional_agrees_with(Fidelity::Transaction, Dataflow::WeightStationary);
}

TEST(Accelerators, FunctionalAndCycleGiveTheSameBitsAndCyclesWeightStationary) {
  expect_functional_agrees_with(Fidelity::Cycle, Dataflow::WeightStationary);
}

TEST(Accelerators, FunctionalAndTransactionGiveTheSameBitsAndCyclesInputStationary) {
  expect_functional_agrees_with(Fidelity::Transaction, Dataflow::InputStationary);
}

TEST(Accelerators, FunctionalAndCycleGiveTheSameBitsAndCyclesInputStationary) {
  expect_functional_agrees_with(Fidelity::Cycle, Dataflow::InputStationary);
}

TEST(Accelerators, TheDataflowDecidesTheOrderOfAccumulation) {
  for (const Dataflow dataflow : kDataflows) {
    const ArrayDesign array = array_of(Fidelity::Functional, dataflow);
    const MacDesign mac = mac_of(array);
    Convolution convolution;
    const GemmRequest request = convolution.request(&mac);
    make_accelerator(array)->execute(request);
    GemmProblem problem;
    problem.mac = mac;
    problem.order = accumulation_order(mac, array);
    problem.a = request.a;
    problem.b = request.b;
    std::vector<float> expected(convolution.out().size());
    reference_gemm(problem, OutputView::of(expected.data(), 12));
    EXPECT_EQ(convolution.out(), expected) << describe(array);
  }
}

TEST(Accelerators, CyclesAreTheClosedForm) {
  const ArrayDesign array = array_of(Fidelity::Functional, Dataflow::OutputStationary);
  const MacDesign mac = mac_of(array);
  const Outcome actual = run(*make_accelerator(array), &mac);
  // 144 rows / 8 = 18, 12 columns / 16 -> 1: 18 folds of 45 + 8 + 16 - 2 = 67 cycles
  EXPECT_EQ(actual.result.cycles.total(), 18 * 67);
  EXPECT_DOUBLE_EQ(actual.result.utilization, 144.0 * 12 * 45 / (18.0 * 67 * 8 * 16));
  EXPECT_EQ(actual.result.stalls, timing({144, 12, 45}, array, mac).stalls);
}

TEST(Accelerators, WithoutAMacBothFidelitiesUseOpenBlasAndTakeNoTime) {
  const auto functional =
      make_accelerator(array_of(Fidelity::Functional, Dataflow::OutputStationary));
  const auto transaction =
      make_accelerator(array_of(Fidelity::Transaction, Dataflow::OutputStationary));
  const Outcome expected = run(*functional, nullptr);
  expect_same(expected, run(*transaction, nullptr));
  EXPECT_EQ(expected.result.cycles.total(), 0);
  EXPECT_EQ(expected.result.traffic, Traffic{});
  EXPECT_FALSE(expected.result.statistics.has_value());
}

TEST(Accelerators, ImpossibleArraysAreRefused) {
  ArrayDesign array = array_of(Fidelity::Functional, Dataflow::OutputStationary);
  array.rows = 0;
  EXPECT_THROW(make_accelerator(array), Error);
  array.fidelity = Fidelity::Transaction;
  EXPECT_THROW(make_accelerator(array), Error);
}

TEST(Accelerators, ASecondSimulatedAcceleratorOfAProcessIsRefused) {
  const ArrayDesign array = array_of(Fidelity::Transaction, Dataflow::OutputStationary);
  const auto first = make_accelerator(array);
  EXPECT_THROW(make_accelerator(array), Error);
  EXPECT_THROW(make_accelerator(array_of(Fidelity::Cycle, Dataflow::OutputStationary)), Error);
}

}  // namespace
}  // namespace narrowmac
