#pragma once

#include <tlm_utils/simple_initiator_socket.h>

#include <array>
#include <cstdint>
#include <systemc>

#include "models/array/schedule.h"
#include "models/array/systemc/array_if.h"

namespace narrowmac {

/// Works through the slices of a GEMM: fetches the operands of the next slices while the array
/// computes, starts the array when a slice's data are there, and writes outputs back. Called from
/// the host port's thread.
class Controller : public sc_core::sc_module {
 public:
  using Socket = tlm_utils::simple_initiator_socket<Controller>;
  sc_core::sc_port<ArrayIf> array;
  Socket dram, a_fill, b_fill, psum_fill;

  explicit Controller(const sc_core::sc_module_name& name);

  /// Spends the job's time; returns at a whole cycle, when the last byte has been written.
  void execute(const PlatformJob& job, const ElementBytes& bytes);
  /// Of the last job; without the stalls that the array itself counts.
  [[nodiscard]] const StallCauses& stalls() const { return stalls_; }
  [[nodiscard]] std::int64_t folds() const { return folds_; }

 private:
  /// The slice that works, or will work, in one half of the scratchpads.
  struct Half {
    Slice slice;
    bool valid = false;
    sc_core::sc_time ready;    ///< all its data have arrived
    sc_core::sc_time written;  ///< the last write-back from this half has left it
  };

  void request_operands(FoldSchedule& schedule, std::uint64_t half);
  void request_psums(std::uint64_t half);
  void store_outputs(std::uint64_t half, std::int64_t bytes);
  void fetch(Socket& scratchpad, std::uint64_t half, std::int64_t bytes);
  /// Waits until the cycle that holds `time`; returns the cycles waited.
  std::int64_t wait_for(const sc_core::sc_time& time);

  tlm::tlm_generic_payload payload_;
  std::array<Half, 2> halves_;
  StallCauses stalls_;
  std::int64_t folds_ = 0;
};

}  // namespace narrowmac
