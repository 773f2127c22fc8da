// ProcessingElement: operands and psums are on its eastern and southern wires at the right edge and
// not an edge earlier; a finished os sum is delivered at once; a stationary operand is kept by its
// row only.
#include <vector>

#include "models/array/systemc/structural/processing_element.h"
#include "models/numerics/reference.h"
#include "tb/testbench.h"

namespace narrowmac {
namespace {

class RecordingSink : public ResultSink {
 public:
  void deliver(const MacResult& result, std::int64_t /*row*/, std::int64_t /*column*/) override {
    results.push_back(result.value);
  }
  void fail(std::exception_ptr /*failure*/) override { ++failures; }
  [[nodiscard]] bool failed() const override { return false; }
  std::vector<double> results;
  int failures = 0;
};

ArrayDesign design(Dataflow dataflow, int adder_latency) {
  ArrayDesign array;
  array.rows = array.columns = 2;
  array.dataflow = dataflow;
  array.psum = Psum::Chained;
  array.adder_latency = adder_latency;
  return array;
}

/// A PE with a wire at every port.
struct WiredPe {
  Wire west, north, psum_in, east, south, psum_out;
  RecordingSink sink;
  ProcessingElement pe;

  WiredPe(const char* name, const ArrayDesign& array, int row, sc_core::sc_clock& clock)
      : pe(name, array, row, 0, sink) {
    pe.clock(clock);
    pe.west(west);
    pe.north(north);
    pe.psum_in(psum_in);
    pe.east(east);
    pe.south(south);
    pe.psum_out(psum_out);
  }
};

class PeTestbench : public Testbench {
 public:
  explicit PeTestbench(const sc_core::sc_module_name& name)
      : Testbench(name),
        clock_("clock", cycles(1), 0.5, cycles(1), true),
        os_("os_pe", design(Dataflow::OutputStationary, 1), 0, clock_),
        ws_("ws_pe", design(Dataflow::WeightStationary, 2), 0, clock_) {
    values_.assign(8, 1.0);
    problem_.mac = narrow_mac();
    problem_.a = OperandView::dense(values_.data(), 2, 3, 3);
    problem_.b = OperandView::dense(values_.data(), 3, 2, 2);
  }

 private:
  void stimulus() override {
    const ExactMac arithmetic(problem_);
    for (WiredPe* wired : {&os_, &ws_}) {
      wired->pe.configure(arithmetic, {}, problem_.mac.accumulator.format, false);
    }
    output_stationary();
    weight_stationary();
    expect(os_.sink.failures == 0 && ws_.sink.failures == 0, "no process throws");
    os_.west.write({1, &os_fold_, 0});
    os_.north.write({1, &os_fold_, 1});
    wait(cycles(1));
    expect(os_.sink.failures == 1, "operands of different products do not meet");
  }

  /// Stimuli change half a cycle before the rising edge.
  void output_stationary() {
    os_fold_ = make_fold({2, 2, 3}, design(Dataflow::OutputStationary, 1), 0, 0);
    wait(cycles(1) / 2);
    double sum = 0;
    for (int k = 0; k < 3; ++k) {
      const double a = 1.25 + k;
      os_.west.write({a, &os_fold_, k});
      os_.north.write({0.75, &os_fold_, k});
      wait(cycles(1) / 4);
      expect(k == 0 ? !os_.east.read().valid() : os_.east.read().element == k - 1,
             "before the edge the eastern wire has the operand before");
      expect(os_.sink.results.empty(), "a sum is not delivered before its last product");
      wait(cycles(1) * 3 / 4);
      expect(os_.east.read().value == a && os_.south.read().value == 0.75,
             "after it both operands moved on");
      sum = mac_step(problem_.mac, sum, a, 0.75).value;
    }
    expect(os_.sink.results == std::vector<double>{sum}, "it is delivered at that edge");
    os_.west.write({});
    os_.north.write({});
    wait(cycles(1));
    expect(!os_.east.read().valid() && os_.sink.results.size() == 1, "a bubble is a bubble");
  }

  void weight_stationary() {
    ws_fold_ = make_fold({2, 2, 3}, design(Dataflow::WeightStationary, 2), 0, 0);
    ws_.north.write({3, &ws_fold_, 1});  // row 1's
    wait(cycles(1));
    ws_.north.write({1.5, &ws_fold_, 0});  // its own
    expect(!ws_.south.read().valid(), "an edge early the other row's operand has not passed");
    wait(cycles(1));
    expect(ws_.south.read().valid() && ws_.south.read().value == 3,
           "it passes in two cycles, as a psum");
    ws_.north.write({});
    ws_.west.write({1.25, &ws_fold_, 0});
    ws_.psum_in.write({16, &ws_fold_, 0});
    wait(cycles(1));
    expect(!ws_.south.read().valid(), "its own operand stays");
    ws_.west.write({});
    ws_.psum_in.write({});
    expect(!ws_.psum_out.read().valid(), "an edge early the psum is still in the adder");
    wait(cycles(1));
    expect(ws_.psum_out.read().valid(), "on time it is out");
    expect(ws_.psum_out.read().value == mac_step(problem_.mac, 16, 1.25, 1.5).value,
           "and has its product");
    wait(cycles(1));
    expect(!ws_.psum_out.read().valid(), "and only then");
  }

  sc_core::sc_clock clock_;
  WiredPe os_, ws_;
  Fold os_fold_, ws_fold_;
  std::vector<double> values_;
  GemmProblem problem_;
};

}  // namespace
}  // namespace narrowmac

int sc_main(int /*argc*/, char** /*argv*/) {
  narrowmac::PeTestbench bench("pe_tb");
  return bench.simulate();
}
