#pragma once

#include <cstdint>
#include <systemc>

#include "models/array/platform.h"
#include "models/array/schedule.h"

namespace narrowmac {

/// What host port and controller know of an array, whatever its fidelity.
class ArrayIf : public virtual sc_core::sc_interface {
 public:
  /// Computes all values of a job's GEMM, which starts now; takes no simulated time. Throws as
  /// gemm() does.
  virtual void compute(const PlatformJob& job) = 0;
  /// Starts a slice on the operands and sums in the scratchpads' halves `half`; returns the cycles
  /// until it is done.
  virtual std::int64_t start(const Slice& slice, std::uint64_t half) = 0;
};

}  // namespace narrowmac
