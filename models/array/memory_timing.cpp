#include "models/array/memory_timing.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "models/array/schedule.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr double kMostTicks = 1e15;  // a transfer of 10^12 cycles: far below what overflows

void throw_too_slow(std::int64_t bytes, double bytes_per_cycle) {
  throw Error(fmt::format(
      "memory: {} bytes take more than 10^12 cycles at {} bytes per cycle; use a larger "
      "bandwidth or smaller scratchpads",
      bytes, bytes_per_cycle));
}

/// The ports work side by side; psums are read and written through one.
std::int64_t scratchpad_cycles(const Slice& slice, double bytes_per_cycle) {
  return std::max({port_cycles(slice.a_read, bytes_per_cycle),
                   port_cycles(slice.b_read, bytes_per_cycle),
                   port_cycles(slice.psum_read, bytes_per_cycle) +
                       port_cycles(slice.psum_write, bytes_per_cycle)});
}

/// One DRAM channel: transfers in the order of issue. Times in ticks.
class Channel {
 public:
  explicit Channel(const MemoryDesign& memory)
      : bandwidth_(memory.dram_bytes_per_cycle),
        latency_(memory.dram_latency_cycles * kTicksPerCycle) {}
  std::int64_t read(std::int64_t issue, std::int64_t bytes) {
    return serve(issue + latency_, bytes);
  }
  std::int64_t write(std::int64_t issue, std::int64_t bytes) { return serve(issue, bytes); }

 private:
  std::int64_t serve(std::int64_t begin, std::int64_t bytes) {
    free_ = std::max(free_, begin) + transfer_ticks(bytes, bandwidth_);
    return free_;
  }
  double bandwidth_;
  std::int64_t latency_;
  std::int64_t free_ = 0;
};

/// Slices from fetch to write-back: the two next ones and when their data arrive, the two last
/// write-backs.
class Pipeline {
 public:
  Pipeline(const GemmShape& shape, const ArrayDesign& array, const ElementBytes& bytes)
      : schedule_(shape, array, bytes), memory_(*array.memory), channel_(memory_) {}

  MemoryTiming run() {
    for (const std::size_t half : {0U, 1U}) request_operands(half);
    for (std::size_t half = 0; halves_[half].valid; half ^= 1U) step(halves_[half], half);
    const std::int64_t last = std::max(halves_[0].written, halves_[1].written) / kTicksPerCycle;
    result_.stalls.write_back += std::max<std::int64_t>(0, last - now_);
    return result_;
  }

 private:
  struct Half {
    Slice slice;
    bool valid = false;
    std::int64_t ready = 0;        ///< ticks: operands
    std::int64_t psums_ready = 0;  ///< ticks
    std::int64_t written = 0;      ///< ticks
    bool wrote_unfinished = false;
  };

  void step(Half& half, std::size_t index) {
    const std::int64_t loaded = std::max(now_, half.ready / kTicksPerCycle);
    (first_ ? result_.stalls.first_load : result_.stalls.operands) += loaded - now_;
    first_ = false;
    const std::int64_t resumed = std::max(loaded, half.psums_ready / kTicksPerCycle);
    result_.stalls.psum_spill += resumed - loaded;
    const std::int64_t start = std::max(resumed, half.written / kTicksPerCycle);
    (half.wrote_unfinished ? result_.stalls.psum_spill : result_.stalls.write_back) +=
        start - resumed;
    const std::int64_t compute = half.slice.cycles.total();
    const std::int64_t busy =
        std::max(compute, scratchpad_cycles(half.slice, memory_.scratchpad_bytes_per_cycle));
    result_.stalls.scratchpad += busy - compute;
    now_ = start + busy;
    const std::int64_t store = half.slice.psum_store;
    const bool unfinished = half.slice.store_is_unfinished;
    request_operands(index);
    if (store > 0) {
      half.written = channel_.write(now_ * kTicksPerCycle, store);
      half.wrote_unfinished = unfinished;
      result_.dram_writes += store;
    }
    request_psums(index);
  }

  void request_operands(std::size_t index) {
    Half& half = halves_[index];
    half.valid = !schedule_.done();
    if (!half.valid) return;
    half.slice = schedule_.next();
    half.psums_ready = 0;
    half.ready = read(half.slice.a_fetch, half.slice.a_lead);  // A is first on the channel
    half.ready = std::max(half.ready, read(half.slice.b_fetch, half.slice.b_lead));
  }

  void request_psums(std::size_t index) {
    Half& half = halves_[index];
    if (half.valid) half.psums_ready = read(half.slice.psum_fetch, 0);
  }

  /// When the bytes have been in the scratchpad for `lead` cycles; 0 if there are none.
  std::int64_t read(std::int64_t bytes, std::int64_t lead) {
    if (bytes == 0) return 0;
    result_.dram_reads += bytes;
    return channel_.read(now_ * kTicksPerCycle, bytes) + lead * kTicksPerCycle;
  }

  FoldSchedule schedule_;
  const MemoryDesign& memory_;
  Channel channel_;
  std::array<Half, 2> halves_;
  std::int64_t now_ = 0;  ///< cycles
  bool first_ = true;
  MemoryTiming result_;
};

}  // namespace

std::int64_t transfer_ticks(std::int64_t bytes, double bytes_per_cycle) {
  const double ticks =
      std::ceil(static_cast<double>(bytes) * static_cast<double>(kTicksPerCycle) / bytes_per_cycle);
  if (!(ticks <= kMostTicks)) throw_too_slow(bytes, bytes_per_cycle);
  return static_cast<std::int64_t>(ticks);
}

std::int64_t port_cycles(std::int64_t bytes, double bytes_per_cycle) {
  const double cycles = std::ceil(static_cast<double>(bytes) / bytes_per_cycle);
  if (!(cycles * static_cast<double>(kTicksPerCycle) <= kMostTicks))
    throw_too_slow(bytes, bytes_per_cycle);
  return static_cast<std::int64_t>(cycles);
}

MemoryTiming memory_timing(const GemmShape& shape, const ArrayDesign& array,
                           const ElementBytes& bytes) {
  return Pipeline(shape, array, bytes).run();
}

}  // namespace narrowmac
