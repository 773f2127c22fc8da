#include "models/array/timing.h"

#include <fmt/core.h>

#include <initializer_list>

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

}  // namespace

CycleParts& CycleParts::operator+=(const CycleParts& other) {
  load += other.load;
  fill += other.fill;
  compute += other.compute;
  drain += other.drain;
  return *this;
}

ElementBytes element_bytes(const MacDesign& mac, const AccumulationOrder& order) {
  const auto whole_bytes = [](const NumberFormat& format) -> std::int64_t {
    return (format.width + 7) / 8;
  };
  const NumberFormat& sums = order.chunk ? order.chunk->accumulator.format : mac.accumulator.format;
  return {whole_bytes(mac.a), whole_bytes(mac.b), whole_bytes(sums)};
}

Timing timing(const GemmShape& shape, const ArrayDesign& array, const ElementBytes& bytes) {
  const Mapping map = map_gemm(shape, array);
  Timing result;
  if (map.row_folds == 0) return result;
  result.folds = product({map.row_folds, map.column_folds}, shape);
  product({map.streamed, 2}, shape);
  const CycleParts fold = fold_cycles(array, map.streamed);
  product({result.folds, fold.total()}, shape);  // bounds every part below
  result.cycles = {result.folds * fold.load, result.folds * fold.fill, result.folds * fold.compute,
                   result.folds * fold.drain};
  const double elements = static_cast<double>(array.rows) * array.columns;
  result.utilization = static_cast<double>(shape.m) * static_cast<double>(shape.n) *
                       static_cast<double>(shape.k) /
                       (static_cast<double>(result.cycles.total()) * elements);
  result.mapping_efficiency = static_cast<double>(map.rows) * static_cast<double>(map.columns) /
                              (static_cast<double>(result.folds) * elements);
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
