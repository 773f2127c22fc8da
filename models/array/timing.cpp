#include "models/array/timing.h"

#include <fmt/core.h>

#include <initializer_list>

#include "models/array/fold_timing.h"
#include "models/array/memory_timing.h"
#include "models/array/schedule.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

std::int64_t product(std::initializer_list<std::int64_t> factors, const GemmShape& shape) {
  std::int64_t result = 1;
  for (const std::int64_t factor : factors) {
    if (__builtin_mul_overflow(result, factor, &result)) {
      throw Error(fmt::format(
          "GEMM {} x {} x {}: its cycles or bytes exceed 63 bits; use smaller dimensions", shape.m,
          shape.n, shape.k));
    }
  }
  return result;
}

/// Scratchpad accesses; the products of the dataflow's reuse factors.
Traffic scratchpad_traffic(const GemmShape& shape, const Mapping& map, Dataflow dataflow,
                           const ElementBytes& bytes) {
  const auto [m, n, k] = shape;
  Traffic traffic;
  const bool output_stationary = dataflow == Dataflow::OutputStationary;
  const std::int64_t a_passes = dataflow == Dataflow::InputStationary ? 1 : map.column_folds;
  const std::int64_t b_passes = output_stationary                        ? map.row_folds
                                : dataflow == Dataflow::WeightStationary ? 1
                                                                         : map.column_folds;
  const std::int64_t psum_passes = output_stationary ? 1 : map.row_folds;
  traffic.a_reads = product({m, k, a_passes, bytes.a}, shape);
  traffic.b_reads = product({k, n, b_passes, bytes.b}, shape);
  traffic.psum_writes = product({m, n, psum_passes, bytes.psum}, shape);
  traffic.psum_reads = product({m, n, psum_passes - 1, bytes.psum}, shape);
  return traffic;
}

CycleParts times(std::int64_t count, const CycleParts& parts) {
  return {count * parts.load, count * parts.fill, count * parts.compute, count * parts.drain,
          count * parts.pipeline};
}

/// Folds that share no cycle: full ones, and those of the last row, column and corner.
CycleParts separate_folds(const ArrayDesign& array, const Mapping& map) {
  const std::int64_t last_rows = map.rows - (map.row_folds - 1) * rows_per_fold(array);
  const std::int64_t last_columns = map.columns - (map.column_folds - 1) * array.columns;
  const auto fold = [&](std::int64_t rows, std::int64_t columns) {
    return fold_cycles(array, rows, columns, map.streamed);
  };
  const std::int64_t full = rows_per_fold(array);
  const std::int64_t down = map.row_folds - 1;
  const std::int64_t across = map.column_folds - 1;
  CycleParts sum = times(down * across, fold(full, array.columns));
  sum += times(down, fold(full, last_columns));
  sum += times(across, fold(last_rows, array.columns));
  sum += fold(last_rows, last_columns);
  return sum;
}

/// Folds whose streams follow each other: the skew is paid once, and of the loads what no stream
/// hides.
CycleParts overlapped_folds(const ArrayDesign& array, const Mapping& map) {
  const CycleParts fold = fold_cycles(array, map.rows, map.columns, map.streamed);
  const std::int64_t folds = map.row_folds * map.column_folds;
  // Under ws and is the folds along k, which are inside, go on with the same sums.
  const std::int64_t continued = (map.row_folds - 1) * map.column_folds;
  const Succession next = succession(array, map.streamed, true);
  CycleParts sum = fold;
  sum.load += (folds - 1) * next.visible_load;
  sum.compute *= folds;
  sum.pipeline = folds * fold.pipeline + continued * next.psum_wait;
  return sum;
}

}  // namespace

ElementBytes element_bytes(const MacDesign& mac, const AccumulationOrder& order) {
  const auto whole_bytes = [](const NumberFormat& format) -> std::int64_t {
    return (format.width + 7) / 8;
  };
  const NumberFormat& sums = order.chunk ? order.chunk->accumulator.format : mac.accumulator.format;
  return {whole_bytes(mac.a), whole_bytes(mac.b), whole_bytes(sums),
          order.dot ? order.dot->terms : 1};
}

Streamed streamed(const GemmShape& shape, const ElementBytes& bytes) {
  const std::int64_t terms = bytes.terms;
  const std::int64_t groups = shape.k / terms + (shape.k % terms != 0 ? 1 : 0);
  return {{shape.m, shape.n, groups}, {bytes.a * terms, bytes.b * terms, bytes.psum, 1}};
}

Timing timing(const GemmShape& shape, const ArrayDesign& array, const ElementBytes& bytes) {
  if (bytes.terms > 1) {
    const Streamed groups = streamed(shape, bytes);
    Timing result = timing(groups.shape, array, groups.bytes);
    if (shape.k > 0) {
      result.utilization *= static_cast<double>(shape.k) / (static_cast<double>(groups.shape.k) *
                                                            static_cast<double>(bytes.terms));
    }
    return result;
  }
  const Mapping map = map_gemm(shape, array);
  Timing result;
  if (map.row_folds == 0) return result;
  result.folds = product({map.row_folds, map.column_folds}, shape);
  product({map.streamed, std::int64_t{2} * (array.interleave + array.adder_latency)}, shape);
  ArrayDesign padded = array;
  padded.policy = Policy::Padded;
  // No policy takes longer than padded: this bounds every part below.
  product({result.folds, fold_cycles(padded, map.rows, map.columns, map.streamed).total()}, shape);
  result.cycles = array.policy == Policy::Overlapped ? overlapped_folds(array, map)
                                                     : separate_folds(array, map);
  const double elements = static_cast<double>(array.rows) * array.columns;
  result.utilization = static_cast<double>(shape.m) * static_cast<double>(shape.n) *
                       static_cast<double>(shape.k) /
                       (static_cast<double>(result.cycles.total()) * elements);
  result.mapping_efficiency = static_cast<double>(map.rows) * static_cast<double>(map.columns) /
                              (static_cast<double>(result.folds) *
                               static_cast<double>(rows_per_fold(array)) * array.columns);
  result.traffic = scratchpad_traffic(shape, map, array.dataflow, bytes);
  if (array.memory) {
    const MemoryTiming memory = memory_timing(shape, array, bytes);
    result.stalls = memory.stalls;
    result.traffic.dram_reads = memory.dram_reads;
    result.traffic.dram_writes = memory.dram_writes;
  }
  return result;
}

Timing timing(const GemmShape& shape, const ArrayDesign& array, const MacDesign& mac) {
  return timing(shape, array, element_bytes(mac, accumulation_order(mac, array)));
}

}  // namespace narrowmac
