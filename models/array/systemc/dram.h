#pragma once

#include <tlm_utils/simple_target_socket.h>

#include <cstdint>
#include <optional>
#include <systemc>

#include "models/design/array_design.h"

namespace narrowmac {

/// DRAM behind one channel of finite bandwidth: transfers in the order of arrival, reads after a
/// latency that overlaps with earlier transfers, writes posted. The annotated delay ends with the
/// transfer's last byte.
class Dram : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<Dram> socket;

  explicit Dram(const sc_core::sc_module_name& name);
  /// Timing of the next job; counters restart. Without a design nothing may be transferred.
  void configure(const std::optional<MemoryDesign>& memory);
  [[nodiscard]] std::int64_t bytes_read() const { return bytes_read_; }
  [[nodiscard]] std::int64_t bytes_written() const { return bytes_written_; }

 private:
  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);

  double bytes_per_cycle_ = 0;
  sc_core::sc_time latency_;
  sc_core::sc_time free_;  ///< when the channel has served everything so far
  std::int64_t bytes_read_ = 0;
  std::int64_t bytes_written_ = 0;
};

}  // namespace narrowmac
