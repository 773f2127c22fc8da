// Controller: starts the array when a slice's data are there, not a cycle early; fetches the next
// slices meanwhile; is done one idle cycle after the last byte has been written.
#include <vector>

#include "models/array/systemc/controller.h"
#include "models/array/systemc/dram.h"
#include "models/array/systemc/scratchpad.h"
#include "tb/testbench.h"

namespace narrowmac {
namespace {

/// Takes every slice's cycles and remembers when it was started.
class RecordingArray : public sc_core::sc_module, public ArrayIf {
 public:
  explicit RecordingArray(const sc_core::sc_module_name& name) : sc_core::sc_module(name) {}
  void begin(const PlatformJob* /*job*/) override {}
  std::int64_t start(const Slice& slice, std::uint64_t half) override {
    starts.push_back(whole_cycles(sc_core::sc_time_stamp()));
    halves.push_back(half);
    return slice.cycles.total();
  }
  void end() override {}

  std::vector<std::int64_t> starts;
  std::vector<std::uint64_t> halves;
};

class ControllerTestbench : public Testbench {
 public:
  explicit ControllerTestbench(const sc_core::sc_module_name& name)
      : Testbench(name),
        array_("array"),
        dram_("dram"),
        a_("a"),
        b_("b"),
        psum_("psum"),
        unused_a_("unused_a"),
        unused_b_("unused_b"),
        unused_psum_("unused_psum"),
        controller_("controller") {
    controller_.array.bind(array_);
    controller_.dram.bind(dram_.socket);
    controller_.a_fill.bind(a_.memory_side);
    controller_.b_fill.bind(b_.memory_side);
    controller_.psum_fill.bind(psum_.memory_side);
    unused_a_.bind(a_.array_side);
    unused_b_.bind(b_.array_side);
    unused_psum_.bind(psum_.array_side);
  }

 private:
  void stimulus() override {
    // Two folds of 10 + 4 + 4 - 2 = 16 cycles. The first one's operands: 40 bytes of A, 40 of B;
    // the second one's: 40 of A; B stays. Outputs: 16 of 2 bytes a fold.
    ArrayDesign design;
    design.rows = design.columns = 4;
    design.memory = MemoryDesign{200, 200, 1000, 4, 7};
    dram_.configure(design.memory);
    for (Scratchpad* scratchpad : {&a_, &b_, &psum_}) scratchpad->configure(200, 1000);
    controller_.start({8, 4, 10}, design, {1, 1, 2});
    wait(cycles(26));
    expect(array_.starts.empty(), "a cycle before its data have come the array is not started");
    wait(cycles(1) + sc_core::sc_time(1, sc_core::SC_PS));
    expect(array_.starts.size() == 1, "it is started when they have");
    wait(cycles(16) - sc_core::sc_time(2, sc_core::SC_PS));
    expect(array_.starts.size() == 1, "a cycle before the slice is done there is no next one");
    wait(controller_.done());
    const std::int64_t written = 27 + 16 + 16 + 8;
    expect(whole_cycles(sc_core::sc_time_stamp()) == written + 1,
           "done comes an idle cycle after the last byte");
    expect(array_.starts == std::vector<std::int64_t>{27, 43}, "slices follow at once");
    expect(array_.halves == std::vector<std::uint64_t>{0, 1}, "in alternate halves");
    expect(controller_.elapsed_cycles() == written, "the job's time ends with its last byte");
    expect(controller_.stalls().first_load == 27, "the first load is a stall");
    expect(controller_.stalls().write_back == 8, "so are the last outputs");
    expect(controller_.stalls().operands == 0, "what was fetched ahead is none");
    expect(dram_.bytes_read() == 120 && dram_.bytes_written() == 64,
           "an operand that is used again is not fetched again");
  }

  using Socket = tlm_utils::simple_initiator_socket<ControllerTestbench>;
  RecordingArray array_;
  Dram dram_;
  Scratchpad a_, b_, psum_;
  Socket unused_a_, unused_b_, unused_psum_;
  Controller controller_;
};

}  // namespace
}  // namespace narrowmac

int sc_main(int /*argc*/, char** /*argv*/) {
  narrowmac::ControllerTestbench bench("controller_tb");
  return bench.simulate();
}
