#pragma once

#include <systemc>
#include <utility>
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
  MacInput multiply(const MacInput& input) { return through(multiplier_, multiplier_at_, input); }
  /// Adds `addend` and the product of `due`.
  MacResult add(const MacInput& due, double addend) {
    MacResult result{0, due.index, due.fold, due.element};
    if (observed_) {
      const MacOutcome outcome = arithmetic_->observed_step(addend, due.a, due.b, due.index);
      observe(addend, outcome);
      result.value = outcome.sum.value;
    } else {
      result.value = arithmetic_->step(addend, due.a, due.b, due.index);
    }
    return through(adder_, adder_at_, result);
  }
  /// Something that passes the adder unchanged, a bubble too.
  MacResult pass(const MacResult& passing) {
    if (observed_) full_swamping = partial_swamping = overflow = underflow = false;
    return through(adder_, adder_at_, passing);
  }

  // Of the last addition; flags are false in a cycle without one.
  double product = 0;
  bool full_swamping = false, partial_swamping = false, overflow = false, underflow = false;

 private:
  /// Puts `newest` into a ring and takes the oldest out; a ring without places is a wire.
  template <typename T>
  static T through(std::vector<T>& ring, std::size_t& at, const T& newest) {
    if (ring.empty()) return newest;
    const T oldest = std::exchange(ring[at], newest);
    at = at + 1 == ring.size() ? 0 : at + 1;
    return oldest;
  }
  void observe(double addend, const MacOutcome& outcome);

  const ExactMac* arithmetic_ = nullptr;
  bool observed_ = false;
  std::vector<MacInput> multiplier_;  ///< rings: the oldest entry is replaced by the newest
  std::vector<MacResult> adder_;
  std::size_t multiplier_at_ = 0, adder_at_ = 0;
};

}  // namespace narrowmac
