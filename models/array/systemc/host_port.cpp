#include "models/array/systemc/host_port.h"

#include "models/array/systemc/clock.h"

namespace narrowmac {

HostPort::HostPort(const sc_core::sc_module_name& name, Controller& controller)
    : sc_core::sc_module(name), array("array"), controller_(controller) {
  SC_THREAD(serve);
}

void HostPort::post(const PlatformJob& job, const ElementBytes& bytes) {
  job_ = &job;
  bytes_ = bytes;
  failure_ = nullptr;
  posted_.notify(sc_core::SC_ZERO_TIME);
}

void HostPort::serve() {
  while (true) {
    if (job_ == nullptr) wait(posted_);
    // What leaves a SystemC process loses its type and ends the simulation: run() rethrows it
    // outside.
    try {
      execute();
    } catch (const sc_core::sc_unwind_exception&) {
      throw;
    } catch (...) {
      failure_ = std::current_exception();
    }
    job_ = nullptr;
    wait(cycles(1));  // between jobs: the DRAM channel is idle when the next one starts
    sc_core::sc_pause();
  }
}

void HostPort::execute() {
  if (!array->compute(*job_)) return;
  const std::int64_t start = whole_cycles(sc_core::sc_time_stamp());
  controller_.execute(*job_, bytes_);
  elapsed_cycles_ = whole_cycles(sc_core::sc_time_stamp()) - start;
}

}  // namespace narrowmac
