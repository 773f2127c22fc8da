#include "models/array/systemc/structural/mac_unit.h"

#include <algorithm>

namespace narrowmac {
MacUnit::MacUnit(const sc_core::sc_module_name& name, int multiplier_latency, int adder_latency)
    : sc_core::sc_module(name),
      multiplier_(static_cast<std::size_t>(multiplier_latency)),
      adder_(static_cast<std::size_t>(adder_latency - 1)) {}

void MacUnit::configure(const ExactMac& arithmetic, bool observed) {
  arithmetic_ = &arithmetic;
  observed_ = observed;
  std::fill(multiplier_.begin(), multiplier_.end(), MacInput{});
  std::fill(adder_.begin(), adder_.end(), MacResult{});
  pass({});
}

/// The words of GemmStatistics: a step that overflows never swamps.
void MacUnit::observe(double addend, const MacOutcome& outcome) {
  product = outcome.product;
  const bool lost = outcome.counts && !outcome.sum.overflow && outcome.sum.inexact;
  full_swamping = lost && outcome.sum.value == addend;
  partial_swamping = lost && outcome.sum.value != addend;
  overflow = outcome.counts && outcome.sum.overflow;
  underflow = outcome.counts && outcome.sum.underflow;
}

}  // namespace narrowmac
