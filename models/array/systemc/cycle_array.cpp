#include "models/array/systemc/cycle_array.h"

#include <algorithm>

#include "models/array/systemc/clock.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

/// Clock edges per activation: nobody looks at the array within a slice, and the simulator's own
/// time for an event is that of hundreds of PEs.
constexpr std::int64_t kQuantum = 16;

}  // namespace

CycleArray::CycleArray(const sc_core::sc_module_name& name) : ArrayModule(name) {
  SC_METHOD(clock);
  sensitive << started_;
  dont_initialize();
}

void CycleArray::begin(const PlatformJob* job) {
  if (job == nullptr) {
    throw Error("fidelity cycle moves values: a GEMM's time alone is that of fidelity transaction");
  }
  reset();
  job_ = job;
  failure_ = nullptr;
  edges_left_ = 0;
  grid_ = make_pe_grid(job->problem, job->array);
  // What the sums lost is defined by the values, not by the time: the kernels count it. Their
  // outputs are overwritten in the end.
  if (job->observe) statistics_ = gemm(job->problem, job->out, job->observe);
}

std::int64_t CycleArray::start(const Slice& slice, std::uint64_t half) {
  const std::int64_t busy = ArrayModule::start(slice, half);
  edges_left_ = slice.cycles.total();
  started_.notify(sc_core::SC_ZERO_TIME);
  return busy;
}

void CycleArray::clock() {
  // What leaves a SystemC process loses its type and ends the simulation: end() throws it.
  if (failure_) return;
  const std::int64_t edges = std::min(edges_left_, kQuantum);
  try {
    for (std::int64_t edge = 0; edge < edges; ++edge) grid_->clock();
  } catch (...) {
    failure_ = std::current_exception();
    return;
  }
  edges_left_ -= edges;
  if (edges_left_ > 0) next_trigger(cycles(edges));
}

void CycleArray::end() {
  const std::unique_ptr<PeGrid> grid = std::move(grid_);
  if (failure_) std::rethrow_exception(failure_);
  if (!grid->done()) {
    throw Error("the array's clock stopped before its last output had left", Error::Kind::System);
  }
  grid->write(job_->out);
}

}  // namespace narrowmac
