#pragma once

#include <systemc>

#include "models/array/memory_timing.h"

namespace narrowmac {

// A cycle of the array is 1 ns of simulated time, a tick of the memory model 1 ps (SystemC's
// default resolution).

inline sc_core::sc_time ticks(std::int64_t count) {
  return sc_core::sc_time::from_value(static_cast<sc_core::sc_time::value_type>(count));
}
inline sc_core::sc_time cycles(std::int64_t count) { return ticks(count * kTicksPerCycle); }

/// Whole cycles, rounded down: a beat is usable in the cycle in which it arrives.
inline std::int64_t whole_cycles(const sc_core::sc_time& time) {
  return static_cast<std::int64_t>(time.value()) / kTicksPerCycle;
}

}  // namespace narrowmac
