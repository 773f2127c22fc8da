#pragma once

#include <tlm_utils/simple_initiator_socket.h>

#include <array>
#include <cstdint>
#include <exception>
#include <optional>
#include <systemc>

#include "models/array/schedule.h"
#include "models/array/systemc/array_if.h"

namespace narrowmac {

/// Works through the slices of a GEMM: fetches the operands of the next slices while the array
/// computes, starts the array when a slice's data are there, and writes outputs back.
class Controller : public sc_core::sc_module {
 public:
  using Socket = tlm_utils::simple_initiator_socket<Controller>;
  sc_core::sc_port<ArrayIf> array;
  Socket dram, a_fill, b_fill, psum_fill;

  SC_HAS_PROCESS(Controller);
  explicit Controller(const sc_core::sc_module_name& name);

  /// Begins to spend a GEMM's time. Throws Error as FoldSchedule does.
  void start(const GemmShape& shape, const ArrayDesign& design, const ElementBytes& bytes);
  /// Notified one idle cycle after the last byte has been written, so that the next job finds an
  /// idle channel.
  [[nodiscard]] const sc_core::sc_event& done() const { return done_; }

  /// Of the last job; stalls without those that the array itself counts.
  [[nodiscard]] const StallCauses& stalls() const { return stalls_; }
  [[nodiscard]] std::int64_t folds() const { return folds_; }
  [[nodiscard]] std::int64_t elapsed_cycles() const { return elapsed_cycles_; }
  [[nodiscard]] const std::exception_ptr& failure() const { return failure_; }

 private:
  /// The slice that works, or will work, in one half of the scratchpads.
  struct Half {
    Slice slice;
    bool valid = false;
    sc_core::sc_time ready;        ///< its operands have arrived, early enough to load them
    sc_core::sc_time psums_ready;  ///< its psums have arrived
    sc_core::sc_time written;      ///< the last write-back from this half has left it
    bool wrote_unfinished = false;
  };
  /// What to do next; the time to wait for comes with it.
  enum class Phase : std::uint8_t {
    AwaitData,
    AwaitPsums,
    AwaitRoom,
    Compute,
    Finish,
    AwaitStores,
    Done
  };

  void run();
  /// Does one phase; returns the cycles until the next one may begin.
  std::int64_t advance();
  void finish_slice();
  void request_operands(std::uint64_t half);
  void request_psums(std::uint64_t half);
  void store_outputs(std::uint64_t half, const Slice& slice);
  /// When the bytes will have been in the scratchpad for `lead` cycles; time zero if there are
  /// none.
  sc_core::sc_time fetch(Socket& scratchpad, std::uint64_t half, std::int64_t bytes,
                         std::int64_t lead);

  sc_core::sc_event started_, done_;
  tlm::tlm_generic_payload payload_;
  std::optional<FoldSchedule> schedule_;
  std::array<Half, 2> halves_;
  std::uint64_t half_ = 0;  ///< in which the array works
  Phase phase_ = Phase::Done;
  bool first_ = true;
  std::int64_t start_cycle_ = 0;
  StallCauses stalls_;
  std::int64_t folds_ = 0;
  std::int64_t elapsed_cycles_ = 0;
  std::exception_ptr failure_;
};

}  // namespace narrowmac
