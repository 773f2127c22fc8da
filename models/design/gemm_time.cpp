#include "models/design/gemm_time.h"

namespace narrowmac {

CycleParts& CycleParts::operator+=(const CycleParts& other) {
  load += other.load;
  fill += other.fill;
  compute += other.compute;
  drain += other.drain;
  pipeline += other.pipeline;
  return *this;
}

StallCauses& StallCauses::operator+=(const StallCauses& other) {
  first_load += other.first_load;
  operands += other.operands;
  psum_spill += other.psum_spill;
  write_back += other.write_back;
  scratchpad += other.scratchpad;
  return *this;
}

}  // namespace narrowmac
