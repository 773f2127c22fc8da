#pragma once

#include <cstdint>

namespace narrowmac {

/// Where the cycles go that do not wait for memory; the parts add up to the total.
struct CycleParts {
  std::int64_t load = 0;     ///< the stationary operand enters the array
  std::int64_t fill = 0;     ///< the skew of the streamed operands
  std::int64_t compute = 0;  ///< one streamed element after the other
  std::int64_t drain = 0;    ///< the last sums leave the array
  /// PEs wait for a sum that is still in their adders: os that interleaves fewer sums than the
  /// adder has stages; overlapped ws and is whose stream is shorter than the way of a psum.
  std::int64_t pipeline = 0;
  [[nodiscard]] std::int64_t total() const { return load + fill + compute + drain + pipeline; }
  CycleParts& operator+=(const CycleParts& other);
  friend bool operator==(const CycleParts&, const CycleParts&) = default;
};

/// Cycles beyond the stall-free ones, by what the array waited for.
struct StallCauses {
  std::int64_t first_load = 0;  ///< the first operands: nothing can hide them
  std::int64_t operands = 0;    ///< later operands from DRAM
  std::int64_t psum_spill = 0;  ///< psums that did not fit on chip, on their way to or from DRAM
  std::int64_t write_back = 0;  ///< room for outputs in the psum scratchpad, and the last outputs
  std::int64_t scratchpad = 0;  ///< scratchpads slower than the array
  /// Of all operands and outputs on the DRAM channel.
  [[nodiscard]] std::int64_t dram() const { return first_load + operands + write_back; }
  [[nodiscard]] std::int64_t total() const {
    return first_load + operands + psum_spill + write_back + scratchpad;
  }
  StallCauses& operator+=(const StallCauses& other);
  friend bool operator==(const StallCauses&, const StallCauses&) = default;
};

}  // namespace narrowmac
