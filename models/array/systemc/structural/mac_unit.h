#pragma once

#include <systemc>
#include <vector>

#include "models/array/pe/exact_mac.h"

namespace narrowmac {

/// Operands on their way through a multiplier, with what the PE needs to know of them.
struct MacInput {
  double a = 0, b = 0;
  MacIndex index;
  const Fold* fold = nullptr;  ///< null: a bubble
  std::int64_t element = 0;
  [[nodiscard]] bool valid() const { return fold != nullptr; }
};

/// A sum that comes out of the adder.
struct MacResult {
  double value = 0;
  MacIndex index;
  const Fold* fold = nullptr;  ///< null: a bubble
  std::int64_t element = 0;
  [[nodiscard]] bool valid() const { return fold != nullptr; }
};

/// A pipelined multiply-accumulate unit. Operands taken at a clock edge meet their addend
/// `multiplier_latency` edges later (0: at once), and the sum is in the result register
/// `adder_latency` edges after that (1: from this edge on). A clock edge is one multiply() and then
/// one add() or pass(); it has no process of its own, its PE clocks it.
class MacUnit : public sc_core::sc_module {
 public:
  MacUnit(const sc_core::sc_module_name& name, int multiplier_latency, int adder_latency);

  /// Empties the pipeline. The arithmetic of the next operands; with `observed` every step leaves
  /// its product and flags.
  void configure(const ExactMac& arithmetic, bool observed);
  /// The operands whose product is due at this edge; `input` starts its way.
  MacInput multiply(const MacInput& input);
  /// Adds `addend` and the product of `due`.
  MacResult add(const MacInput& due, double addend);
  /// Something that passes the adder unchanged, a bubble too.
  MacResult pass(const MacResult& through);

  // Of the last addition; flags are false in a cycle without one.
  double product = 0;
  bool full_swamping = false, partial_swamping = false, overflow = false, underflow = false;

 private:
  void observe(double addend, const MacOutcome& outcome);

  const ExactMac* arithmetic_ = nullptr;
  bool observed_ = false;
  std::vector<MacInput> multiplier_;  ///< rings: the oldest entry is replaced by the newest
  std::vector<MacResult> adder_;
  std::size_t multiplier_at_ = 0, adder_at_ = 0;
};

}  // namespace narrowmac
