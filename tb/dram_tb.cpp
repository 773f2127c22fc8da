// DRAM: one channel; a read waits the latency, which overlaps with earlier transfers; writes are
// posted; transfers end in the order of issue.
#include <tlm_utils/simple_initiator_socket.h>

#include "models/array/systemc/dram.h"
#include "tb/testbench.h"

namespace narrowmac {
namespace {

class DramTestbench : public Testbench {
 public:
  explicit DramTestbench(const sc_core::sc_module_name& name)
      : Testbench(name), socket_("socket"), dram_("dram") {
    socket_.bind(dram_.socket);
  }

 private:
  /// Cycles from now until the transfer's last byte; -1 if it is refused.
  double transfer(tlm::tlm_command command, unsigned bytes) {
    payload_.set_command(command);
    payload_.set_data_length(bytes);
    payload_.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    sc_core::sc_time delay;
    socket_->b_transport(payload_, delay);
    return payload_.is_response_ok() ? delay / cycles(1) : -1;
  }
  double read(unsigned bytes) { return transfer(tlm::TLM_READ_COMMAND, bytes); }
  double write(unsigned bytes) { return transfer(tlm::TLM_WRITE_COMMAND, bytes); }

  void stimulus() override {
    dram_.configure(std::nullopt);
    expect(read(1) == -1, "without a memory design nothing may be transferred");
    MemoryDesign memory;
    memory.dram_bytes_per_cycle = 4;
    memory.dram_latency_cycles = 10;
    dram_.configure(memory);
    expect(read(40) == 20, "a read takes the latency and then its bytes");
    expect(read(8) == 22, "the next one's latency overlaps with it");
    expect(write(4) == 23, "a write is posted behind them");
    wait(cycles(22));
    expect(write(4) == 2, "a cycle before it has ended the channel is busy");
    wait(cycles(2));
    expect(write(4) == 1, "then it is free");
    wait(cycles(50));
    expect(read(6) == 11.5, "half a cycle is kept");
    expect(dram_.bytes_read() == 54 && dram_.bytes_written() == 12, "bytes are counted");
  }

  tlm_utils::simple_initiator_socket<DramTestbench> socket_;
  tlm::tlm_generic_payload payload_;
  Dram dram_;
};

}  // namespace
}  // namespace narrowmac

int sc_main(int /*argc*/, char** /*argv*/) {
  narrowmac::DramTestbench bench("dram_tb");
  return bench.simulate();
}
