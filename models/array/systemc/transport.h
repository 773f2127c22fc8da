#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <systemc>
#include <tlm>

#include "models/array/schedule.h"
#include "models/design/error.h"

namespace narrowmac {

/// Moves `bytes` to or from half `half` of a target and adds the time it takes to `delay`. Payloads
/// carry lengths only: values are computed in one kernel call and never travel.
template <typename Socket>
void transport(Socket& socket, tlm::tlm_generic_payload& payload, tlm::tlm_command command,
               std::uint64_t half, std::int64_t bytes, sc_core::sc_time& delay) {
  payload.set_command(command);
  payload.set_address(half);
  payload.set_data_ptr(nullptr);
  payload.set_byte_enable_ptr(nullptr);
  while (bytes > 0) {
    const std::int64_t piece = std::min(bytes, kLargestTransfer);
    payload.set_data_length(static_cast<unsigned>(piece));
    payload.set_streaming_width(static_cast<unsigned>(piece));
    payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    socket->b_transport(payload, delay);
    if (!payload.is_response_ok()) {
      throw Error(std::string(socket.name()) + ": transaction of " + std::to_string(piece) +
                      " bytes refused (" + payload.get_response_string() + ")",
                  Error::Kind::System);
    }
    bytes -= piece;
  }
}

}  // namespace narrowmac
