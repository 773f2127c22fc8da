#include "models/array/systemc/structural/mac_unit.h"

#include <algorithm>
#include <utility>

namespace narrowmac {
namespace {

/// Puts `newest` into a ring and takes the oldest out; a ring without places is a wire.
template <typename T>
T through(std::vector<T>& ring, std::size_t& at, const T& newest) {
  if (ring.empty()) return newest;
  const T oldest = std::exchange(ring[at], newest);
  at = at + 1 == ring.size() ? 0 : at + 1;
  return oldest;
}

}  // namespace

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

MacInput MacUnit::multiply(const MacInput& input) {
  return through(multiplier_, multiplier_at_, input);
}

MacResult MacUnit::add(const MacInput& due, double addend) {
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

MacResult MacUnit::pass(const MacResult& passing) {
  if (observed_) full_swamping = partial_swamping = overflow = underflow = false;
  return through(adder_, adder_at_, passing);
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
