#pragma once

#include <cstdint>

#include "models/array/timing.h"

namespace narrowmac {

/// Time of the memory model is counted in thousandths of a cycle, so that short transfers add up
/// exactly.
inline constexpr std::int64_t kTicksPerCycle = 1000;

/// Ticks that `bytes` occupy a channel of `bytes_per_cycle`, rounded up.
std::int64_t transfer_ticks(std::int64_t bytes, double bytes_per_cycle);

/// Whole cycles that `bytes` occupy a scratchpad's port of `bytes_per_cycle`.
std::int64_t port_cycles(std::int64_t bytes, double bytes_per_cycle);

/// What `[memory]` adds to the closed form.
struct MemoryTiming {
  StallCauses stalls;
  std::int64_t dram_reads = 0;   ///< bytes
  std::int64_t dram_writes = 0;  ///< bytes
};

/// The recurrence over slices that the platform's processes amount to. Requires `array.memory`.
///
/// DRAM is one channel that serves transfers in the order of issue; reads wait the latency, which
/// overlaps with earlier transfers, writes are posted. A beat is usable in the cycle in which it
/// arrives. When slice s ends (and, for the first two, at the start) the operands of slice s + 2
/// are requested, the outputs of slice s are written back, and psums of slice s + 2 are requested.
/// A slice starts when the previous one has ended, its data have arrived (what the array loads
/// ahead of the slice: so much earlier), and the write-back of the slice two before it has left its
/// half of the psum scratchpad.
MemoryTiming memory_timing(const GemmShape& shape, const ArrayDesign& array,
                           const ElementBytes& bytes);

}  // namespace narrowmac
