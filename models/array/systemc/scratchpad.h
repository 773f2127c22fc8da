#pragma once

#include <tlm_utils/simple_target_socket.h>

#include <array>
#include <cstdint>
#include <systemc>

namespace narrowmac {

/// A double-buffered on-chip memory. The DRAM side fills and empties one half while the array works
/// in the other; the array side has a port of its own of finite bandwidth. A payload's address is
/// the half.
class Scratchpad : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<Scratchpad> memory_side;
  tlm_utils::simple_target_socket<Scratchpad> array_side;

  explicit Scratchpad(const sc_core::sc_module_name& name);
  /// Empties both halves for the next job; counters restart. 0 bytes per cycle: as fast as the
  /// array; 0 bytes: as large as needed.
  void configure(std::int64_t bytes, double bytes_per_cycle);
  [[nodiscard]] std::int64_t bytes_read() const { return bytes_read_; }        ///< by the array
  [[nodiscard]] std::int64_t bytes_written() const { return bytes_written_; }  ///< by the array

 private:
  void serve_memory(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
  void serve_array(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);

  std::int64_t half_bytes_ = 0;
  double bytes_per_cycle_ = 0;
  std::array<sc_core::sc_time, 2> arrival_;  ///< of the last byte that was filled into a half
  std::int64_t bytes_read_ = 0;
  std::int64_t bytes_written_ = 0;
};

}  // namespace narrowmac
