#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/cost/rtl.h"

namespace narrowmac {

/// One clock cycle at the ports of the module mac, as codes.
struct MacCycle {
  bool start = false;
  bool chunk_end = false;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint32_t random_product = 0;
  std::uint32_t random_sum = 0;
  std::uint32_t random_second = 0;
  bool compared = false;  ///< `sum` is known after this cycle's edge
  std::uint64_t sum = 0;
};

/// `count` cycles of sums of random lengths and operands, with what the exact reference makes of
/// them: sums take turns, chunks end at their length or with the sum, random words come when the
/// pipeline wants them.
std::vector<MacCycle> mac_cycles(const RtlDesign& design, std::size_t count, std::uint64_t seed);

/// Lines for $readmemh: start, chunk_end, a, b, random_product, random_sum, random_second,
/// compared, sum, from the top.
std::string cycles_hex(const RtlDesign& design, const std::vector<MacCycle>& cycles);
int cycle_bits(const RtlDesign& design);

}  // namespace narrowmac
