#pragma once

#include <cstdint>

#include "models/design/array_design.h"
#include "models/design/gemm_shape.h"
#include "models/design/gemm_time.h"
#include "models/design/mac_design.h"

namespace narrowmac {

/// Bytes that one element occupies in scratchpads and DRAM: the bits of its code, rounded up to
/// whole bytes.
struct ElementBytes {
  std::int64_t a = 0;
  std::int64_t b = 0;
  std::int64_t psum = 0;  ///< partial sums and outputs: the format of the last accumulator
  /// Elements of each operand that a PE takes in one clock: the terms of a dot unit. A row of
  /// operands is stored in groups of so many, the last one padded.
  std::int64_t terms = 1;
  friend bool operator==(const ElementBytes&, const ElementBytes&) = default;
};

ElementBytes element_bytes(const MacDesign& mac, const AccumulationOrder& order);

/// What an array of dot units streams: groups of products in the place of products.
struct Streamed {
  GemmShape shape;     ///< K counts groups
  ElementBytes bytes;  ///< of groups; terms 1
};
Streamed streamed(const GemmShape& shape, const ElementBytes& bytes);

/// When the bits of one GEMM come out.
struct Timing {
  std::int64_t folds = 0;
  CycleParts cycles;  ///< stall-free
  StallCauses stalls;
  double utilization = 0;         ///< M N K / (stall-free cycles R C T), T products a clock
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
