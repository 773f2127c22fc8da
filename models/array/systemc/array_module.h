#pragma once

#include <tlm_utils/simple_initiator_socket.h>

#include <cstdint>
#include <optional>
#include <systemc>

#include "models/array/systemc/array_if.h"

namespace narrowmac {

/// What arrays of every fidelity share: the ports to the scratchpads, and the count of their
/// cycles.
class ArrayModule : public sc_core::sc_module, public ArrayIf {
 public:
  tlm_utils::simple_initiator_socket<ArrayModule> a_port;
  tlm_utils::simple_initiator_socket<ArrayModule> b_port;
  tlm_utils::simple_initiator_socket<ArrayModule> psum_port;

  explicit ArrayModule(const sc_core::sc_module_name& name);

  std::int64_t start(const Slice& slice, std::uint64_t half) override;

  /// Of the last job.
  [[nodiscard]] const CycleParts& cycles_spent() const { return spent_; }
  [[nodiscard]] std::int64_t port_stalls() const { return port_stalls_; }
  [[nodiscard]] const std::optional<GemmStatistics>& statistics() const { return statistics_; }

 protected:
  /// Counters restart.
  void reset();
  std::optional<GemmStatistics> statistics_;

 private:
  tlm::tlm_generic_payload payload_;
  CycleParts spent_;
  std::int64_t port_stalls_ = 0;
};

}  // namespace narrowmac
