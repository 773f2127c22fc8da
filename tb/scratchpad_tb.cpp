// Scratchpad: what is still on its way cannot be read, a cycle early or a port too narrow; the
// halves are independent; what does not fit half is refused.
#include <tlm_utils/simple_initiator_socket.h>

#include "models/array/systemc/scratchpad.h"
#include "tb/testbench.h"

namespace narrowmac {
namespace {

class ScratchpadTestbench : public Testbench {
 public:
  explicit ScratchpadTestbench(const sc_core::sc_module_name& name)
      : Testbench(name), memory_("memory"), array_("array"), scratchpad_("scratchpad") {
    memory_.bind(scratchpad_.memory_side);
    array_.bind(scratchpad_.array_side);
  }

 private:
  using Socket = tlm_utils::simple_initiator_socket<ScratchpadTestbench>;

  /// The time that a transfer adds; the response is left in the payload.
  sc_core::sc_time transfer(Socket& socket, tlm::tlm_command command, std::uint64_t half,
                            unsigned bytes, sc_core::sc_time delay) {
    payload_.set_command(command);
    payload_.set_address(half);
    payload_.set_data_length(bytes);
    payload_.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    const sc_core::sc_time before = delay;
    socket->b_transport(payload_, delay);
    return delay - before;
  }

  void stimulus() override {
    scratchpad_.configure(200, 8);
    transfer(memory_, tlm::TLM_WRITE_COMMAND, 0, 100, cycles(10));
    expect(payload_.is_response_ok(), "half a scratchpad is filled");
    transfer(array_, tlm::TLM_READ_COMMAND, 1, 8, sc_core::SC_ZERO_TIME);
    expect(payload_.is_response_ok(), "the other half can be read meanwhile");
    wait(cycles(9));
    transfer(array_, tlm::TLM_READ_COMMAND, 0, 24, sc_core::SC_ZERO_TIME);
    expect(!payload_.is_response_ok(), "a cycle early the operands are not there");
    expect(scratchpad_.bytes_read() == 8, "a refused read moves nothing");
    wait(cycles(1));
    const sc_core::sc_time port =
        transfer(array_, tlm::TLM_READ_COMMAND, 0, 25, sc_core::SC_ZERO_TIME);
    expect(payload_.is_response_ok(), "on time they are");
    expect(port == cycles(4), "25 bytes take 4 cycles at 8 bytes a cycle");
    transfer(memory_, tlm::TLM_WRITE_COMMAND, 0, 101, sc_core::SC_ZERO_TIME);
    expect(payload_.get_response_status() == tlm::TLM_BURST_ERROR_RESPONSE,
           "more than half is refused");
    transfer(array_, tlm::TLM_WRITE_COMMAND, 0, 16, sc_core::SC_ZERO_TIME);
    expect(scratchpad_.bytes_read() == 33 && scratchpad_.bytes_written() == 16,
           "bytes of the array's side are counted");
  }

  Socket memory_, array_;
  tlm::tlm_generic_payload payload_;
  Scratchpad scratchpad_;
};

}  // namespace
}  // namespace narrowmac

int sc_main(int /*argc*/, char** /*argv*/) {
  narrowmac::ScratchpadTestbench bench("scratchpad_tb");
  return bench.simulate();
}
