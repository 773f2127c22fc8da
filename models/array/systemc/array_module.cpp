#include "models/array/systemc/array_module.h"

#include <algorithm>

#include "models/array/systemc/clock.h"
#include "models/array/systemc/transport.h"

namespace narrowmac {

ArrayModule::ArrayModule(const sc_core::sc_module_name& name)
    : sc_core::sc_module(name), a_port("a_port"), b_port("b_port"), psum_port("psum_port") {}

void ArrayModule::reset() {
  spent_ = {};
  port_stalls_ = 0;
  statistics_.reset();
}

std::int64_t ArrayModule::start(const Slice& slice, std::uint64_t half) {
  // The ports work side by side; psums are read and written through one.
  sc_core::sc_time a_time, b_time, psum_time;
  transport(a_port, payload_, tlm::TLM_READ_COMMAND, half, slice.a_read, a_time);
  transport(b_port, payload_, tlm::TLM_READ_COMMAND, half, slice.b_read, b_time);
  transport(psum_port, payload_, tlm::TLM_READ_COMMAND, half, slice.psum_read, psum_time);
  transport(psum_port, payload_, tlm::TLM_WRITE_COMMAND, half, slice.psum_write, psum_time);
  const std::int64_t compute = slice.cycles.total();
  const std::int64_t busy = std::max(compute, whole_cycles(std::max({a_time, b_time, psum_time})));
  spent_ += slice.cycles;
  port_stalls_ += busy - compute;
  return busy;
}

}  // namespace narrowmac
