#pragma once

#include <cstdint>
#include <systemc>

#include "models/array/platform.h"
#include "models/array/schedule.h"

namespace narrowmac {

/// What the controller knows of an array, whatever its fidelity.
class ArrayIf : public virtual sc_core::sc_interface {
 public:
  /// Computes all values of the job's GEMM; takes no simulated time. Returns false if that failed:
  /// the array keeps the exception for failure().
  virtual bool compute(const PlatformJob& job) = 0;
  /// Moves the slice's operands and sums through the scratchpads' halves and spends its cycles.
  virtual void run(const Slice& slice, std::uint64_t half) = 0;
};

}  // namespace narrowmac
