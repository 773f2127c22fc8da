#pragma once

#include <tlm_utils/simple_initiator_socket.h>

#include <cstdint>
#include <optional>
#include <systemc>

#include "models/array/systemc/array_if.h"

namespace narrowmac {

/// The array at transaction level: one kernel call for the values, one delay per slice for the
/// time.
class TransactionArray : public sc_core::sc_module, public ArrayIf {
 public:
  tlm_utils::simple_initiator_socket<TransactionArray> a_port;
  tlm_utils::simple_initiator_socket<TransactionArray> b_port;
  tlm_utils::simple_initiator_socket<TransactionArray> psum_port;

  explicit TransactionArray(const sc_core::sc_module_name& name);

  void compute(const PlatformJob& job) override;
  std::int64_t start(const Slice& slice, std::uint64_t half) override;

  /// Of the last job.
  [[nodiscard]] const CycleParts& cycles_spent() const { return spent_; }
  [[nodiscard]] std::int64_t port_stalls() const { return port_stalls_; }
  [[nodiscard]] const std::optional<GemmStatistics>& statistics() const { return statistics_; }

 private:
  tlm::tlm_generic_payload payload_;
  std::optional<GemmStatistics> statistics_;
  CycleParts spent_;
  std::int64_t port_stalls_ = 0;
};

}  // namespace narrowmac
