#include "models/array/systemc/dram.h"

#include <algorithm>

#include "models/array/systemc/clock.h"

namespace narrowmac {

Dram::Dram(const sc_core::sc_module_name& name) : sc_core::sc_module(name), socket("socket") {
  socket.register_b_transport(this, &Dram::b_transport);
}

void Dram::configure(const std::optional<MemoryDesign>& memory) {
  bytes_per_cycle_ = memory ? memory->dram_bytes_per_cycle : 0;
  latency_ = cycles(memory ? memory->dram_latency_cycles : 0);
  bytes_read_ = bytes_written_ = 0;
}

void Dram::b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  if (bytes_per_cycle_ <= 0) {
    payload.set_response_status(tlm::TLM_GENERIC_ERROR_RESPONSE);
    return;
  }
  const std::int64_t bytes = payload.get_data_length();
  sc_core::sc_time begin = sc_core::sc_time_stamp() + delay;
  if (payload.is_read()) {
    begin += latency_;
    bytes_read_ += bytes;
  } else {
    bytes_written_ += bytes;
  }
  free_ = std::max(free_, begin) + ticks(transfer_ticks(bytes, bytes_per_cycle_));
  delay = free_ - sc_core::sc_time_stamp();
  payload.set_response_status(tlm::TLM_OK_RESPONSE);
}

}  // namespace narrowmac
