#include "models/array/systemc/controller.h"

#include <algorithm>

#include "models/array/systemc/clock.h"
#include "models/array/systemc/transport.h"

namespace narrowmac {

Controller::Controller(const sc_core::sc_module_name& name)
    : sc_core::sc_module(name),
      array("array"),
      dram("dram"),
      a_fill("a_fill"),
      b_fill("b_fill"),
      psum_fill("psum_fill") {}

void Controller::execute(const PlatformJob& job, const ElementBytes& bytes) {
  FoldSchedule schedule(job.problem.shape(), job.array, bytes);
  folds_ = schedule.folds();
  stalls_ = {};
  halves_ = {};
  for (const std::uint64_t half : {0U, 1U}) request_operands(schedule, half);
  std::int64_t* waiting = &stalls_.first_load;
  for (std::uint64_t half = 0; halves_[half].valid; half ^= 1U) {
    *waiting += wait_for(halves_[half].ready);
    waiting = &stalls_.operands;
    stalls_.write_back += wait_for(halves_[half].written);
    array->run(halves_[half].slice, half);
    // Operands go first: the array waits for them. Psums go last: they may be what is being stored.
    const std::int64_t outputs = halves_[half].slice.psum_store;
    request_operands(schedule, half);
    store_outputs(half, outputs);
    request_psums(half);
  }
  stalls_.write_back += wait_for(std::max(halves_[0].written, halves_[1].written));
}

void Controller::request_operands(FoldSchedule& schedule, std::uint64_t half) {
  Half& next = halves_[half];
  next.valid = !schedule.done();
  if (!next.valid) return;
  next.slice = schedule.next();
  next.ready = sc_core::SC_ZERO_TIME;
  fetch(a_fill, half, next.slice.a_fetch);
  fetch(b_fill, half, next.slice.b_fetch);
}

void Controller::request_psums(std::uint64_t half) {
  if (halves_[half].valid) fetch(psum_fill, half, halves_[half].slice.psum_fetch);
}

void Controller::store_outputs(std::uint64_t half, std::int64_t bytes) {
  if (bytes == 0) return;
  sc_core::sc_time delay;
  transport(psum_fill, payload_, tlm::TLM_READ_COMMAND, half, bytes, delay);
  transport(dram, payload_, tlm::TLM_WRITE_COMMAND, half, bytes, delay);
  halves_[half].written = sc_core::sc_time_stamp() + delay;
}

void Controller::fetch(Socket& scratchpad, std::uint64_t half, std::int64_t bytes) {
  if (bytes == 0) return;
  sc_core::sc_time delay;
  transport(dram, payload_, tlm::TLM_READ_COMMAND, half, bytes, delay);
  transport(scratchpad, payload_, tlm::TLM_WRITE_COMMAND, half, bytes, delay);
  halves_[half].ready = sc_core::sc_time_stamp() + delay;
}

std::int64_t Controller::wait_for(const sc_core::sc_time& time) {
  const std::int64_t missing = whole_cycles(time) - whole_cycles(sc_core::sc_time_stamp());
  if (missing <= 0) return 0;
  wait(cycles(missing));
  return missing;
}

}  // namespace narrowmac
