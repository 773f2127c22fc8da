#pragma once

#include <cstdint>

#include "models/design/array_design.h"
#include "models/design/gemm_shape.h"
#include "models/design/mac_design.h"

namespace narrowmac {

/// Bytes that one element occupies in scratchpads and DRAM: the bits of its code, rounded up to
/// whole bytes.
struct ElementBytes {
  std::int64_t a = 0;
  std::int64_t b = 0;
  std::int64_t psum = 0;  ///< partial sums and outputs: the format of the last accumulator
  friend bool operator==(const ElementBytes&, const ElementBytes&) = default;
};

ElementBytes element_bytes(const MacDesign& mac, const AccumulationOrder& order);

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
  [[nodiscard]] std::int64_t total() const {
    return first_load + operands + psum_spill + write_back + scratchpad;
  }
  friend bool operator==(const StallCauses&, const StallCauses&) = default;
};

/// When the bits of one GEMM come out.
struct Timing {
  std::int64_t folds = 0;
  CycleParts cycles;  ///< stall-free
  StallCauses stalls;
  double utilization = 0;         ///< M N K / (stall-free cycles R C)
  double mapping_efficiency = 0;  ///< mean over folds of used PEs / (R C)
  Traffic traffic;                ///< DRAM bytes are 0 without `memory`
  friend bool operator==(const Timing&, const Timing&) = default;
};

/// The closed form of `array.policy` (docs/array.md has the equations). With `array.memory` the
/// stalls are those of the platform, cycle for cycle. A GEMM without products (M, N or K = 0)
/// takes no time and moves nothing. Throws Error if a dimension is negative, a scratchpad cannot
/// hold one tile, or a count exceeds 63 bits.
Timing timing(const GemmShape& shape, const ArrayDesign& array, const ElementBytes& bytes);

/// The same for a MAC; throws Error as accumulation_order does.
Timing timing(const GemmShape& shape, const ArrayDesign& array, const MacDesign& mac);

}  // namespace narrowmac
