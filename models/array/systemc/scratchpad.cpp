#include "models/array/systemc/scratchpad.h"

#include "models/array/systemc/clock.h"

namespace narrowmac {

Scratchpad::Scratchpad(const sc_core::sc_module_name& name)
    : sc_core::sc_module(name), memory_side("memory_side"), array_side("array_side") {
  memory_side.register_b_transport(this, &Scratchpad::serve_memory);
  array_side.register_b_transport(this, &Scratchpad::serve_array);
}

void Scratchpad::configure(std::int64_t bytes, double bytes_per_cycle) {
  half_bytes_ = bytes / 2;
  bytes_per_cycle_ = bytes_per_cycle;
  arrival_.fill(sc_core::SC_ZERO_TIME);
  bytes_read_ = bytes_written_ = 0;
}

void Scratchpad::serve_memory(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  if (static_cast<std::int64_t>(payload.get_data_length()) > half_bytes_) {
    payload.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
    return;
  }
  if (payload.is_write()) arrival_[payload.get_address()] = sc_core::sc_time_stamp() + delay;
  payload.set_response_status(tlm::TLM_OK_RESPONSE);
}

void Scratchpad::serve_array(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  const std::int64_t bytes = payload.get_data_length();
  const bool here =
      whole_cycles(arrival_[payload.get_address()]) <= whole_cycles(sc_core::sc_time_stamp());
  if (!here) {  // the controller must not start the array before its operands have arrived
    payload.set_response_status(tlm::TLM_GENERIC_ERROR_RESPONSE);
    return;
  }
  (payload.is_read() ? bytes_read_ : bytes_written_) += bytes;
  if (bytes_per_cycle_ > 0) delay += cycles(port_cycles(bytes, bytes_per_cycle_));
  payload.set_response_status(tlm::TLM_OK_RESPONSE);
}

}  // namespace narrowmac
