// StructuralArray: the last result comes in the last cycle of the closed form and not a cycle
// earlier, for every dataflow; the bits are the reference's; a second GEMM may follow.
#include <memory>
#include <vector>

#include "models/array/systemc/structural/structural_array.h"
#include "models/array/timing.h"
#include "models/numerics/reference.h"
#include "tb/testbench.h"

namespace narrowmac {
namespace {

constexpr GemmShape kShape = {6, 4, 9};  // whole folds of 3 x 2 in every dataflow but is: M 6, K 9

class ArrayTestbench : public Testbench {
 public:
  explicit ArrayTestbench(const sc_core::sc_module_name& name)
      : Testbench(name), clock_("clock", cycles(1), 0.5, cycles(1), true) {
    for (int i = 0; i < 54; ++i) a_.push_back((i % 7 - 3) * 0.5);
    for (int i = 0; i < 36; ++i) b_.push_back((i % 5 - 2) * 1.25);
    for (const Dataflow dataflow :
         {Dataflow::OutputStationary, Dataflow::WeightStationary, Dataflow::InputStationary}) {
      ArrayDesign array;
      array.rows = 3;
      array.columns = 2;
      array.dataflow = dataflow;
      array.psum = Psum::Chained;
      designs_.push_back(array);
      array.multiplier_latency = 1;
      array.adder_latency = 3;
      designs_.push_back(array);
    }
    for (const ArrayDesign& array : designs_) {
      const std::string unit = fmt::format("array_{}", arrays_.size());
      arrays_.push_back(std::make_unique<StructuralArray>(unit.c_str(), array));
      arrays_.back()->clock(clock_);
    }
  }

 private:
  void stimulus() override {
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      for (int run = 0; run < 2; ++run) check(*arrays_[i], designs_[i]);
    }
  }

  void check(StructuralArray& array, const ArrayDesign& design) {
    GemmProblem problem;
    problem.mac = narrow_mac();
    problem.order = accumulation_order(problem.mac, design);
    problem.a = OperandView::dense(a_.data(), kShape.m, kShape.k, kShape.k);
    problem.b = OperandView::dense(b_.data(), kShape.k, kShape.n, kShape.n);
    std::vector<double> expected(24), actual(24);
    reference_gemm(problem, OutputView::of(expected.data(), kShape.n));
    const std::int64_t time = timing(kShape, design, problem.mac).cycles.total();
    array.begin(problem, design.psum, false);
    wait(clock_.negedge_event());
    for (std::int64_t cycle = 0; cycle + 1 < time; ++cycle) wait(clock_.posedge_event());
    wait(cycles(1) / 4);
    const std::string what = describe(design);
    expect(array.last_result() < time, "a cycle early the last result has not come: " + what);
    expect(!array.done(), "nor is the array done");
    wait(clock_.posedge_event());
    wait(cycles(1) / 4);
    expect(array.last_result() == time, "on time it has come: " + what);
    wait(clock_.negedge_event());
    wait(cycles(1) / 4);
    expect(array.done() && array.cycles() == time, "and the array is done");
    array.write(OutputView::of(actual.data(), kShape.n));
    expect(actual == expected, "the bits are the reference's: " + what);
  }

  sc_core::sc_clock clock_;
  std::vector<double> a_, b_;
  std::vector<ArrayDesign> designs_;
  std::vector<std::unique_ptr<StructuralArray>> arrays_;
};

}  // namespace
}  // namespace narrowmac

int sc_main(int /*argc*/, char** /*argv*/) {
  narrowmac::ArrayTestbench bench("array_tb");
  return bench.simulate();
}
