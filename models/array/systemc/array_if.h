#pragma once

#include <cstdint>
#include <systemc>

#include "models/array/platform.h"
#include "models/array/schedule.h"

namespace narrowmac {

/// What host port and controller know of an array, whatever its fidelity.
class ArrayIf : public virtual sc_core::sc_interface {
 public:
  /// A job's GEMM starts now; takes no simulated time. Without a job only its time is wanted, no
  /// values. Throws as gemm() does.
  virtual void begin(const PlatformJob* job) = 0;
  /// Starts a slice on the operands and sums in the scratchpads' halves `half`; returns the cycles
  /// until it is done.
  virtual std::int64_t start(const Slice& slice, std::uint64_t half) = 0;
  /// The job's time is over: all its values must be in its output afterwards. Throws what went
  /// wrong in the meantime.
  virtual void end() = 0;
};

}  // namespace narrowmac
