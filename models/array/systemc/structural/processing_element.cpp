#include "models/array/systemc/structural/processing_element.h"

#include <algorithm>
#include <utility>

#include "models/design/error.h"
#include "models/numerics/convert.h"

namespace narrowmac {

ProcessingElement::ProcessingElement(const sc_core::sc_module_name& name, const ArrayDesign& array,
                                     int row, int column, ResultSink& sink)
    : sc_core::sc_module(name),
      clock("clock"),
      west("west"),
      north("north"),
      psum_in("psum_in"),
      east("east"),
      south("south"),
      psum_out("psum_out"),
      mac_("mac", array.multiplier_latency, array.adder_latency),
      sink_(sink),
      output_stationary_(array.dataflow == Dataflow::OutputStationary),
      row_(row),
      column_(column),
      array_rows_(array.rows),
      sums_(output_stationary_ ? static_cast<std::size_t>(sum_registers(array)) : 0U),
      load_(output_stationary_ ? 0U : static_cast<std::size_t>(array.adder_latency - 1)) {
  SC_METHOD(run);
  sensitive << clock.pos();
  dont_initialize();
}

void ProcessingElement::end_of_elaboration() {
  west_ = &west->read();
  north_ = &north->read();
  psum_in_ = &psum_in->read();
  const auto wire = [](sc_core::sc_port<sc_core::sc_signal_out_if<Token>>& port) {
    auto* const found = dynamic_cast<Wire*>(port.get_interface());
    if (found == nullptr) throw Error("a PE's port needs a Wire", Error::Kind::System);
    return found;
  };
  east_ = wire(east);
  south_ = wire(south);
  psum_out_ = wire(psum_out);
}

void ProcessingElement::configure(const ExactMac& arithmetic, const AccumulationOrder& order,
                                  const NumberFormat& sums, bool observed) {
  arithmetic_ = &arithmetic;
  chunk_length_ = order.chunk ? order.chunk->length : 0;
  format_ = sums;
  observed_ = observed;
  mac_.configure(arithmetic, observed);
  std::fill(sums_.begin(), sums_.end(), Sum{});
  std::fill(load_.begin(), load_.end(), Token{});
}

void ProcessingElement::run() {
  if (sink_.failed()) return;
  // What leaves a SystemC process loses its type and ends the simulation: the sink keeps it.
  try {
    if (output_stationary_) {
      run_output_stationary();
    } else {
      run_operand_stationary();
    }
  } catch (...) {
    sink_.fail(std::current_exception());
  }
}

/// Operands end where their fold does.
void ProcessingElement::pass_on(const Token& a, const Token& b) {
  east_->Wire::write(a.valid() && column_ + 1 < a.fold->width ? a : Token{});
  south_->Wire::write(b.valid() && row_ + 1 < b.fold->height ? b : Token{});
}

void ProcessingElement::run_output_stationary() {
  const Token& a = *west_;
  const Token& b = *north_;
  pass_on(a, b);
  MacInput input;
  if (a.valid() && b.valid()) {
    if (b.fold != a.fold || b.element != a.element) {
      throw Error("operands of different products meet in a PE", Error::Kind::System);
    }
    const std::int64_t period = a.fold->period;
    const std::int64_t k = period == 1 ? a.element : a.element / period;
    const std::int64_t row = (a.element - k * period) * array_rows_ + row_;
    input = {a.value, b.value, a.fold->index(row, column_, k), a.fold, a.element};
  }
  show(input);
  const MacInput due = mac_.multiply(input);
  if (due.valid()) {
    add_to_sum(due);
  } else {
    keep(mac_.pass({}));
  }
}

void ProcessingElement::add_to_sum(const MacInput& due) {
  Sum& sum = sums_[place(due.element, *due.fold)];
  if (due.index.k == 0) {
    const double start = arithmetic_->start(due.index.m, due.index.n);
    sum = {chunk_length_ == 0 ? start : 0, start, false};
  } else if (sum.pending) {
    throw Error("a PE needs a sum that its adder has not finished", Error::Kind::System);
  }
  sum.pending = true;
  keep(mac_.add(due, sum.sum));
}

void ProcessingElement::keep(const MacResult& result) {
  if (!result.valid()) return;
  Sum& sum = sums_[place(result.element, *result.fold)];
  sum.sum = result.value;
  sum.pending = false;
  const std::int64_t k = result.index.k;
  const bool last = k + 1 == result.fold->streamed;
  if (observed_) {
    accumulator_ = result.value;
    accumulator_bits_ = encode(arithmetic_->shown_sum(result.value), format_);
  }
  if (chunk_length_ > 0 && (last || (k + 1) % chunk_length_ == 0)) {
    sum.total = arithmetic_->add(sum.total, sum.sum, result.index, k / chunk_length_);
    sum.sum = 0;
  }
  if (!last) return;
  MacResult finished = result;
  finished.value = chunk_length_ > 0 ? sum.total : sum.sum;
  const auto row =
      static_cast<std::int64_t>(place(result.element, *result.fold)) * array_rows_ + row_;
  sink_.deliver(finished, row, column_);
}

void ProcessingElement::take_stationary(const Token& from_north) {
  const bool mine = from_north.valid() && from_north.element == row_;
  if (mine) next_stationary_ = from_north.value;
  // The ring of adder_latency - 1 places, and the wire, take as long as a psum.
  Token passing = mine ? Token{} : from_north;
  if (!load_.empty()) {
    std::swap(passing, load_[load_at_]);
    load_at_ = load_at_ + 1 == load_.size() ? 0 : load_at_ + 1;
  }
  south_->Wire::write(passing);
}

void ProcessingElement::run_operand_stationary() {
  const Token& streamed = *west_;
  east_->Wire::write(streamed.valid() && column_ + 1 < streamed.fold->width ? streamed : Token{});
  if (streamed.valid() && streamed.element == 0) stationary_ = next_stationary_;
  take_stationary(*north_);
  MacInput input;
  // Beyond a partial fold's columns what streams by meets no stationary operand.
  if (streamed.valid() && column_ < streamed.fold->columns) {
    const bool weights = streamed.fold->dataflow == Dataflow::WeightStationary;
    input = {weights ? streamed.value : stationary_, weights ? stationary_ : streamed.value,
             streamed.fold->index(row_, column_, streamed.element), streamed.fold,
             streamed.element};
  }
  show(input);
  const Token& psum = *psum_in_;
  const MacInput due = mac_.multiply(input);
  MacResult result;
  if (due.valid() && psum.valid()) {
    if (psum.fold != due.fold || psum.element != due.element) {
      throw Error("a psum meets the product of another one in a PE", Error::Kind::System);
    }
    result = mac_.add(due, psum.value);
  } else {
    // An idle row or column, or a bubble.
    MacResult passing{psum.value, {}, psum.fold, psum.element};
    if (psum.valid()) passing.index = psum.fold->index(row_, column_, psum.element);
    result = mac_.pass(passing);
  }
  const bool leaves = result.valid() && row_ + 1 == result.fold->height;
  psum_out_->Wire::write(leaves ? Token{} : Token{result.value, result.fold, result.element});
  if (!result.valid()) return;
  if (observed_) {
    accumulator_ = result.value;
    accumulator_bits_ = encode(arithmetic_->shown_sum(result.value), format_);
  }
  if (leaves) sink_.deliver(result, row_, column_);
}

void ProcessingElement::show(const MacInput& input) {
  if (!observed_) return;
  valid_ = input.valid();
  a_ = valid_ ? arithmetic_->operand_a(input.a) : 0;
  b_ = valid_ ? arithmetic_->operand_b(input.b) : 0;
}

void ProcessingElement::trace(sc_core::sc_trace_file* file) const {
  const std::string prefix = std::string(name()) + ".";
  sc_trace(file, valid_, prefix + "valid");
  sc_trace(file, a_, prefix + "a");
  sc_trace(file, b_, prefix + "b");
  sc_trace(file, mac_.product, prefix + "product");
  sc_trace(file, accumulator_, prefix + "accumulator");
  sc_trace(file, accumulator_bits_, prefix + "accumulator_bits", format_.width);
  sc_trace(file, mac_.full_swamping, prefix + "full_swamping");
  sc_trace(file, mac_.partial_swamping, prefix + "partial_swamping");
  sc_trace(file, mac_.overflow, prefix + "overflow");
  sc_trace(file, mac_.underflow, prefix + "underflow");
}

}  // namespace narrowmac
