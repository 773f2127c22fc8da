#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/array/timing.h"
#include "sim/cli/cycle_workload.h"

namespace narrowmac {

/// An array and the bytes that its elements take there.
struct StudiedArray {
  ArrayDesign array;
  ElementBytes bytes;
};

/// One GEMM on one array under one dataflow.
struct CycleRow {
  ArrayDesign array;
  std::int64_t terms = 1;  ///< products that a PE takes in one clock
  WorkloadGemm gemm;
  Timing timing;
  bool is_best = false;  ///< no other dataflow of this array takes fewer cycles
  /// All of them: CycleParts and StallCauses.
  [[nodiscard]] std::int64_t cycles() const {
    return timing.cycles.total() + timing.stalls.total();
  }
  /// Cycles in which PEs could have worked but did not get what they needed.
  [[nodiscard]] std::int64_t stall_cycles() const {
    return timing.cycles.pipeline + timing.stalls.total();
  }
  [[nodiscard]] double utilization() const;  ///< M N K / (cycles R C terms)
};

/// What most of the cycles go to: "compute", "load", "fill", "drain", "adder latency", "operand
/// starvation" (scratchpad ports), "psum spill" or "DRAM".
std::string_view bound_by(const CycleParts& parts, const StallCauses& stalls);

/// Every array with every GEMM, arrays outside, in the order given. In closed form they are
/// computed in parallel, the same for any number of threads; fidelity transaction simulates one
/// after the other. Throws the Error of the first row that has one, naming it.
std::vector<CycleRow> study_cycles(const std::vector<StudiedArray>& arrays,
                                   const Workload& workload, Fidelity fidelity);

/// Sums over rows. The dataflow "best" is the best one of each layer and pass, the pass "all" every
/// one.
struct CycleTotal {
  std::string array, dataflow, pass;
  std::int64_t multipliers = 0, cycles = 0;
  double macs = 0;
  CycleParts parts;
  StallCauses stalls;
  Traffic traffic;
  [[nodiscard]] double utilization() const;
};

/// Per array and dataflow: each pass, and all of them if there are several; per array that has
/// several dataflows, the best of each layer and pass. Throws Error if a sum exceeds 63 bits.
std::vector<CycleTotal> total_cycles(const std::vector<CycleRow>& rows);

}  // namespace narrowmac
