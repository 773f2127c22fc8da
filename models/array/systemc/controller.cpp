#include "models/array/systemc/controller.h"

#include <algorithm>

#include "models/array/systemc/clock.h"
#include "models/array/systemc/transport.h"

namespace narrowmac {
namespace {

std::int64_t now() { return whole_cycles(sc_core::sc_time_stamp()); }

/// Cycles until the one that holds `time`.
std::int64_t until(const sc_core::sc_time& time) {
  return std::max<std::int64_t>(0, whole_cycles(time) - now());
}

}  // namespace

Controller::Controller(const sc_core::sc_module_name& name)
    : sc_core::sc_module(name),
      array("array"),
      dram("dram"),
      a_fill("a_fill"),
      b_fill("b_fill"),
      psum_fill("psum_fill") {
  SC_METHOD(run);
  sensitive << started_;
  dont_initialize();
}

void Controller::start(const GemmShape& shape, const ArrayDesign& design,
                       const ElementBytes& bytes) {
  schedule_.emplace(shape, design, bytes);
  folds_ = schedule_->folds();
  stalls_ = {};
  halves_ = {};
  half_ = 0;
  first_ = true;
  failure_ = nullptr;
  start_cycle_ = now();
  for (const std::uint64_t half : {0U, 1U}) request_operands(half);
  phase_ = halves_[0].valid ? Phase::AwaitData : Phase::AwaitStores;
  started_.notify(sc_core::SC_ZERO_TIME);
}

void Controller::run() {
  // What leaves a SystemC process loses its type and ends the simulation: the platform rethrows it
  // outside.
  try {
    while (phase_ != Phase::Done) {
      const std::int64_t wait = advance();
      if (wait == 0) continue;
      next_trigger(cycles(wait));
      return;
    }
  } catch (...) {
    failure_ = std::current_exception();
    phase_ = Phase::Done;
  }
  elapsed_cycles_ = now() - start_cycle_;
  done_.notify(cycles(1));
}

std::int64_t Controller::advance() {
  std::int64_t wait = 0;
  switch (phase_) {
    case Phase::AwaitData:
      wait = until(halves_[half_].ready);
      (first_ ? stalls_.first_load : stalls_.operands) += wait;
      first_ = false;
      phase_ = Phase::AwaitPsums;
      break;
    case Phase::AwaitPsums:
      wait = until(halves_[half_].psums_ready);
      stalls_.psum_spill += wait;
      phase_ = Phase::AwaitRoom;
      break;
    case Phase::AwaitRoom:
      wait = until(halves_[half_].written);
      (halves_[half_].wrote_unfinished ? stalls_.psum_spill : stalls_.write_back) += wait;
      phase_ = Phase::Compute;
      break;
    case Phase::Compute:
      wait = array->start(halves_[half_].slice, half_);
      phase_ = Phase::Finish;
      break;
    case Phase::Finish:
      finish_slice();
      break;
    case Phase::AwaitStores:
      wait = until(std::max(halves_[0].written, halves_[1].written));
      stalls_.write_back += wait;
      phase_ = Phase::Done;
      break;
    case Phase::Done:
      break;
  }
  return wait;
}

void Controller::finish_slice() {
  // Operands go first: the array waits for them. Psums go last: they may be what is being stored.
  const Slice finished = halves_[half_].slice;
  request_operands(half_);
  store_outputs(half_, finished);
  request_psums(half_);
  half_ ^= 1U;
  phase_ = halves_[half_].valid ? Phase::AwaitData : Phase::AwaitStores;
}

void Controller::request_operands(std::uint64_t half) {
  Half& next = halves_[half];
  next.valid = !schedule_->done();
  if (!next.valid) return;
  next.slice = schedule_->next();
  next.psums_ready = sc_core::SC_ZERO_TIME;
  next.ready = fetch(a_fill, half, next.slice.a_fetch, next.slice.a_lead);
  next.ready = std::max(next.ready, fetch(b_fill, half, next.slice.b_fetch, next.slice.b_lead));
}

void Controller::request_psums(std::uint64_t half) {
  Half& next = halves_[half];
  if (next.valid) next.psums_ready = fetch(psum_fill, half, next.slice.psum_fetch, 0);
}

void Controller::store_outputs(std::uint64_t half, const Slice& slice) {
  const std::int64_t bytes = slice.psum_store;
  if (bytes == 0) return;
  sc_core::sc_time delay;
  transport(psum_fill, payload_, tlm::TLM_READ_COMMAND, half, bytes, delay);
  transport(dram, payload_, tlm::TLM_WRITE_COMMAND, half, bytes, delay);
  halves_[half].written = sc_core::sc_time_stamp() + delay;
  halves_[half].wrote_unfinished = slice.store_is_unfinished;
}

sc_core::sc_time Controller::fetch(Socket& scratchpad, std::uint64_t half, std::int64_t bytes,
                                   std::int64_t lead) {
  if (bytes == 0) return sc_core::SC_ZERO_TIME;
  sc_core::sc_time delay;
  transport(dram, payload_, tlm::TLM_READ_COMMAND, half, bytes, delay);
  transport(scratchpad, payload_, tlm::TLM_WRITE_COMMAND, half, bytes, delay);
  return sc_core::sc_time_stamp() + delay + cycles(lead);
}

}  // namespace narrowmac
