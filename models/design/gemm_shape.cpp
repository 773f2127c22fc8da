#include "models/design/gemm_shape.h"

namespace narrowmac {

std::string_view to_string(Pass pass) {
  switch (pass) {
    case Pass::Forward:
      return "FWD";
    case Pass::Backward:
      return "BWD";
    case Pass::Gradient:
      return "GRAD";
  }
  return "";
}

Traffic& Traffic::operator+=(const Traffic& other) {
  a_reads += other.a_reads;
  b_reads += other.b_reads;
  psum_reads += other.psum_reads;
  psum_writes += other.psum_writes;
  dram_reads += other.dram_reads;
  dram_writes += other.dram_writes;
  return *this;
}

}  // namespace narrowmac
