#include "sim/cli/cycle_study.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <exception>
#include <iterator>
#include <utility>

#include "models/array/platform.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

/// `platform` simulates; without one the closed form tells.
CycleRow study(const StudiedArray& studied, const WorkloadGemm& gemm, Platform* platform) {
  const ArrayDesign& array = studied.array;
  CycleRow row;
  row.array = array;
  row.terms = studied.bytes.terms;
  row.gemm = gemm;
  try {
    row.timing = platform != nullptr ? platform->time(gemm.shape, array, studied.bytes).timing
                                     : timing(gemm.shape, array, studied.bytes);
  } catch (const Error& failure) {
    throw Error(
        fmt::format("layer \"{}\", pass {}, {} x {} {}: {}", gemm.layer, to_string(gemm.pass),
                    array.rows, array.columns, to_string(array.dataflow), failure.what()),
        failure.kind());
  }
  return row;
}

void compute_all(std::vector<CycleRow>& rows, const std::vector<StudiedArray>& arrays,
                 const Workload& workload) {
  const std::size_t gemms = workload.gemms.size();
  std::vector<std::exception_ptr> failures(rows.size());
  tbb::parallel_for(std::size_t{0}, rows.size(), [&](std::size_t i) {
    try {
      rows[i] = study(arrays[i / gemms], workload.gemms[i % gemms], nullptr);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

/// A process holds one simulation: one row after the other.
void simulate_all(std::vector<CycleRow>& rows, const std::vector<StudiedArray>& arrays,
                  const Workload& workload) {
  Platform platform(Fidelity::Transaction);
  const std::size_t gemms = workload.gemms.size();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = study(arrays[i / gemms], workload.gemms[i % gemms], &platform);
  }
}

/// Rows of the same array, layer and pass are `stride` apart; the first of the fastest is marked.
void mark_best(std::vector<CycleRow>& rows, std::size_t stride) {
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = begin + stride;
    const auto same_array = [&](std::size_t i) {
      return rows[i].array.rows == rows[begin].array.rows &&
             rows[i].array.columns == rows[begin].array.columns;
    };
    while (end < rows.size() && same_array(end)) end += stride;
    for (std::size_t gemm = begin; gemm < begin + stride; ++gemm) {
      std::size_t best = gemm;
      for (std::size_t i = gemm; i < end; i += stride) {
        if (rows[i].cycles() < rows[best].cycles()) best = i;
      }
      rows[best].is_best = true;
    }
    begin = end;
  }
}

void add(std::int64_t& sum, std::int64_t value) {
  if (__builtin_add_overflow(sum, value, &sum)) {
    throw Error("the totals of cycles or bytes exceed 63 bits; use a smaller workload");
  }
}

void add(CycleTotal& total, const CycleRow& row) {
  const GemmShape& shape = row.gemm.shape;
  total.macs +=
      static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
  add(total.cycles, row.cycles());  // bounds every part
  total.parts += row.timing.cycles;
  total.stalls += row.timing.stalls;
  const Traffic& more = row.timing.traffic;
  add(total.traffic.a_reads, more.a_reads);
  add(total.traffic.b_reads, more.b_reads);
  add(total.traffic.psum_reads, more.psum_reads);
  add(total.traffic.psum_writes, more.psum_writes);
  add(total.traffic.dram_reads, more.dram_reads);
  add(total.traffic.dram_writes, more.dram_writes);
}

/// The total with these names, new at the end if there is none yet.
CycleTotal& total_of(std::vector<CycleTotal>& totals, const std::string& array,
                     std::string_view dataflow, std::string_view pass, std::int64_t multipliers) {
  for (CycleTotal& total : totals) {
    if (total.array == array && total.dataflow == dataflow && total.pass == pass) return total;
  }
  CycleTotal total;
  total.array = array;
  total.dataflow = dataflow;
  total.pass = pass;
  total.multipliers = multipliers;
  totals.push_back(std::move(total));
  return totals.back();
}

}  // namespace

double CycleRow::utilization() const {
  if (cycles() == 0) return 0;
  const GemmShape& shape = gemm.shape;
  return static_cast<double>(shape.m) * static_cast<double>(shape.n) *
         static_cast<double>(shape.k) /
         (static_cast<double>(cycles()) * array.rows * array.columns * static_cast<double>(terms));
}

double CycleTotal::utilization() const {
  if (cycles == 0) return 0;
  return macs / (static_cast<double>(cycles) * static_cast<double>(multipliers));
}

std::string_view bound_by(const CycleParts& parts, const StallCauses& stalls) {
  using Share = std::pair<std::string_view, std::int64_t>;
  const std::array<Share, 8> shares = {Share{"compute", parts.compute},
                                       Share{"load", parts.load},
                                       Share{"fill", parts.fill},
                                       Share{"drain", parts.drain},
                                       Share{"adder latency", parts.pipeline},
                                       Share{"operand starvation", stalls.scratchpad},
                                       Share{"psum spill", stalls.psum_spill},
                                       Share{"DRAM", stalls.dram()}};
  const auto* largest = std::max_element(
      shares.begin(), shares.end(),
      [](const Share& left, const Share& right) { return left.second < right.second; });
  return largest->first;
}

std::vector<CycleRow> study_cycles(const std::vector<StudiedArray>& arrays,
                                   const Workload& workload, Fidelity fidelity) {
  std::vector<CycleRow> rows(arrays.size() * workload.gemms.size());
  if (fidelity == Fidelity::Transaction) {
    simulate_all(rows, arrays, workload);
  } else {
    compute_all(rows, arrays, workload);
  }
  if (!workload.gemms.empty()) mark_best(rows, workload.gemms.size());
  return rows;
}

std::vector<CycleTotal> total_cycles(const std::vector<CycleRow>& rows) {
  std::vector<CycleTotal> passes;
  std::vector<CycleTotal> dataflows;
  std::vector<CycleTotal> arrays;
  for (const CycleRow& row : rows) {
    const std::string array = fmt::format("{}x{}", row.array.rows, row.array.columns);
    const std::int64_t multipliers = row.terms * row.array.rows * row.array.columns;
    const std::string_view dataflow = to_string(row.array.dataflow);
    add(total_of(passes, array, dataflow, to_string(row.gemm.pass), multipliers), row);
    add(total_of(dataflows, array, dataflow, "all", multipliers), row);
    if (row.is_best) add(total_of(arrays, array, "best", "all", multipliers), row);
  }
  std::vector<CycleTotal> result;
  for (const CycleTotal& best : arrays) {
    std::int64_t compared = 0;
    for (const CycleTotal& all : dataflows) {
      if (all.array != best.array) continue;
      ++compared;
      const auto before = result.size();
      std::copy_if(passes.begin(), passes.end(), std::back_inserter(result),
                   [&all](const CycleTotal& pass) {
                     return pass.array == all.array && pass.dataflow == all.dataflow;
                   });
      if (result.size() > before + 1) result.push_back(all);
    }
    if (compared > 1) result.push_back(best);
  }
  return result;
}

}  // namespace narrowmac
