#pragma once

#include <cstdint>

#include "models/array/timing.h"
#include "models/design/array_design.h"

namespace narrowmac {

/// Rows of the GEMM's row dimension that one fold holds: R, and under os R for each of the sums
/// that a PE interleaves.
std::int64_t rows_per_fold(const ArrayDesign& array);

/// Stall-free cycles of a fold that shares no cycle with another one. It uses `rows` (at most
/// rows_per_fold()) and `columns`; under any policy but ragged it costs as much as a full one.
/// `streamed` is at least 1.
CycleParts fold_cycles(const ArrayDesign& array, std::int64_t rows, std::int64_t columns,
                       std::int64_t streamed);

/// Cycles between the last product of one k and the first product of the next one in an os PE that
/// interleaves fewer sums than its adder has stages; 0 under ws and is.
std::int64_t accumulation_gap(const ArrayDesign& array, std::int64_t rows);

/// What stands between the streams of two folds under Policy::Overlapped.
struct Succession {
  std::int64_t hidden_load = 0;   ///< cycles of the load that the previous stream hides
  std::int64_t visible_load = 0;  ///< the rest of it
  std::int64_t psum_wait = 0;     ///< until the previous fold's psum can be added to again
};

/// `same_sums`: the fold goes on with the sums of the previous one.
Succession succession(const ArrayDesign& array, std::int64_t streamed, bool same_sums);

}  // namespace narrowmac
