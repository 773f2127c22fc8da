#include "models/array/systemc/host_port.h"

namespace narrowmac {

HostPort::HostPort(const sc_core::sc_module_name& name, Controller& controller)
    : sc_core::sc_module(name), array("array"), controller_(controller) {
  SC_METHOD(serve);
  sensitive << posted_;
  dont_initialize();
  SC_METHOD(finish);
  sensitive << controller_.done() << failed_;
  dont_initialize();
}

void HostPort::post(const GemmShape& shape, const ArrayDesign& design, const ElementBytes& bytes,
                    const PlatformJob* job) {
  shape_ = shape;
  design_ = &design;
  bytes_ = bytes;
  job_ = job;
  done_ = false;
  failure_ = nullptr;
  posted_.notify(sc_core::SC_ZERO_TIME);
}

void HostPort::serve() {
  // What leaves a SystemC process loses its type and ends the simulation: the platform rethrows it
  // outside.
  try {
    array->begin(job_);
    controller_.start(shape_, *design_, bytes_);
  } catch (...) {
    failure_ = std::current_exception();
    failed_.notify(sc_core::SC_ZERO_TIME);
  }
}

void HostPort::finish() {
  try {
    if (!failure_) array->end();
  } catch (...) {
    failure_ = std::current_exception();
  }
  done_ = true;
  sc_core::sc_pause();
}

}  // namespace narrowmac
