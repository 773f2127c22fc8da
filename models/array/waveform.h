#pragma once

#include <cstdint>
#include <filesystem>

#include "models/design/array_design.h"
#include "models/numerics/gemm.h"

namespace narrowmac {

/// PEs that a waveform may have at most: a VCD of ten signals per PE grows by megabytes a cycle.
inline constexpr int kMaxWaveformPes = 4096;

/// Nanoseconds of a clock cycle in a waveform; the state after clock edge u (from 0) stands at u +
/// 1 of them.
inline constexpr int kWaveformNanoseconds = 10;

/// Runs a GEMM through an array with a SystemC module per PE and writes every PE's registers to a
/// VCD file: operands, product, accumulator as a real number and as bits, and what the addition
/// lost. Outputs go to `out`. Returns the cycles. Throws Error as gemm() does, if the process
/// already has a SystemC simulation, if the array has more PEs than a waveform can have, and if the
/// file cannot be written.
std::int64_t write_waveform(const GemmProblem& problem, const ArrayDesign& array,
                            const std::filesystem::path& file, const OutputView& out);

}  // namespace narrowmac
