#include "models/array/fold_timing.h"

#include <algorithm>

namespace narrowmac {
namespace {

bool is_output_stationary(const ArrayDesign& array) {
  return array.dataflow == Dataflow::OutputStationary;
}

/// The rows and columns whose time a fold takes.
struct Extent {
  std::int64_t rows = 0, columns = 0;
};

Extent timed_extent(const ArrayDesign& array, std::int64_t rows, std::int64_t columns) {
  if (array.policy == Policy::Ragged) return {rows, columns};
  return {rows_per_fold(array), array.columns};
}

/// Sums that each PE interleaves in a fold of `rows` rows.
std::int64_t interleaved_sums(const ArrayDesign& array, std::int64_t rows) {
  return (rows + array.rows - 1) / array.rows;
}

}  // namespace

std::int64_t rows_per_fold(const ArrayDesign& array) {
  const std::int64_t rows = array.rows;
  return is_output_stationary(array) ? rows * array.interleave : rows;
}

std::int64_t accumulation_gap(const ArrayDesign& array, std::int64_t rows) {
  if (!is_output_stationary(array)) return 0;
  const std::int64_t timed_rows = timed_extent(array, rows, 1).rows;
  return std::max<std::int64_t>(0, array.adder_latency - interleaved_sums(array, timed_rows));
}

CycleParts fold_cycles(const ArrayDesign& array, std::int64_t rows, std::int64_t columns,
                       std::int64_t streamed) {
  const Extent extent = timed_extent(array, rows, columns);
  const std::int64_t pipeline_depth = array.multiplier_latency + array.adder_latency - 1;
  CycleParts parts;
  if (is_output_stationary(array)) {
    parts.fill = std::min<std::int64_t>(extent.rows, array.rows) - 1 + extent.columns - 1;
    parts.compute = streamed * interleaved_sums(array, extent.rows);
    parts.drain = pipeline_depth;
    parts.pipeline = (streamed - 1) * accumulation_gap(array, rows);
    return parts;
  }
  parts.load = extent.rows;
  parts.fill = (extent.rows - 1) * array.adder_latency;
  parts.compute = streamed;
  parts.drain = extent.columns - 1 + pipeline_depth;
  return parts;
}

Succession succession(const ArrayDesign& array, std::int64_t streamed, bool same_sums) {
  Succession next;
  if (is_output_stationary(array)) return next;  // the second accumulators are free at once
  const std::int64_t load = array.rows;
  next.hidden_load = std::min(load, streamed);
  next.visible_load = load - next.hidden_load;
  if (!same_sums) return next;
  // A chained psum passes through R adders before it can re-enter; one in the buffer passes through
  // the buffer's adder.
  const std::int64_t rows = array.psum == Psum::Chained ? array.rows : 1;
  next.psum_wait = std::max<std::int64_t>(0, rows * array.adder_latency - std::max(load, streamed));
  return next;
}

}  // namespace narrowmac
