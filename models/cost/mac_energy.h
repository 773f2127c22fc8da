#pragma once

#include <cstdint>
#include <vector>

#include "models/cost/gate_netlist.h"
#include "models/cost/rtl.h"

namespace narrowmac {

/// Energy per MAC operation of a mapped design.
struct MacEnergy {
  double joules = 0;           ///< per product, clock pins included, leakage not
  double clock_joules = 0;     ///< of it, what the registers' clock pins take
  std::uint64_t products = 0;  ///< measured
};

/// The operands of sums of one length, sum after sum: values of the design's formats.
struct OperandTrace {
  std::int64_t length = 0;  ///< products in a sum
  std::vector<double> a, b;
  [[nodiscard]] std::int64_t sums() const { return static_cast<std::int64_t>(a.size()) / length; }
};

/// 64 sums of 128 products of operands drawn from N(0, 1), rounded to the operand formats
/// (integers: 4 sigma = maximum). Depends on the seed only.
OperandTrace normal_operands(const MacDesign& mac, std::uint64_t seed);

/// Of the bits of the operands' codes, the part that changes from a product to the next.
struct OperandActivity {
  double a = 0, b = 0;
};
OperandActivity operand_activity(const MacDesign& mac, const OperandTrace& trace);

/// Simulates the netlist of the module mac on the trace, 64 sums side by side, and checks every
/// cycle against the exact reference. Throws Error if one differs.
MacEnergy mac_energy(const RtlDesign& design, const GateNetlist& netlist,
                     const OperandTrace& trace);

}  // namespace narrowmac
