#include "models/array/systemc/structural/structural_array.h"

#include <algorithm>

#include "models/array/pe/exact_grid.h"
#include "models/design/error.h"

namespace narrowmac {

StructuralArray::StructuralArray(const sc_core::sc_module_name& name, const ArrayDesign& array)
    : sc_core::sc_module(name), clock("clock"), array_(array) {
  build_wires();
  SC_METHOD(drive);
  sensitive << clock.neg();
  dont_initialize();
}

void StructuralArray::build_wires() {
  const auto rows = static_cast<std::size_t>(array_.rows);
  const auto columns = static_cast<std::size_t>(array_.columns);
  west_.init(rows * (columns + 1));
  north_.init((rows + 1) * columns);
  psums_.init((rows + 1) * columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string name = "pe_" + std::to_string(r) + "_" + std::to_string(c);
      pes_.push_back(std::make_unique<ProcessingElement>(name.c_str(), array_, static_cast<int>(r),
                                                         static_cast<int>(c), *this));
      ProcessingElement& pe = *pes_.back();
      pe.clock(clock);
      pe.west(west_[r * (columns + 1) + c]);
      pe.east(west_[r * (columns + 1) + c + 1]);
      pe.north(north_[r * columns + c]);
      pe.south(north_[(r + 1) * columns + c]);
      pe.psum_in(psums_[r * columns + c]);
      pe.psum_out(psums_[(r + 1) * columns + c]);
    }
  }
}

const ProcessingElement& StructuralArray::pe(int row, int column) const {
  return *pes_[static_cast<std::size_t>(row) * static_cast<std::size_t>(array_.columns) +
               static_cast<std::size_t>(column)];
}

void StructuralArray::begin(const GemmProblem& problem, Psum psum, bool observed) {
  check_problem(problem);
  array_.psum = psum;
  if (problem.order != accumulation_order(problem.mac, array_)) {
    throw Error("the GEMM's order of accumulation is not the one of its MAC and its array");
  }
  problem_ = problem;
  chunk_length_ = problem.order.chunk ? problem.order.chunk->length : 0;
  arithmetic_ = std::make_unique<ExactMac>(problem);
  folds_ = std::make_unique<FoldSequence>(stream_shape(problem), array_);
  a_ = arithmetic_->tokens_of_a();
  b_ = arithmetic_->tokens_of_b();
  const GemmShape shape = problem.shape();
  out_.clear();
  for (std::int64_t m = 0; m < shape.m; ++m) {
    for (std::int64_t n = 0; n < shape.n; ++n) out_.push_back(arithmetic_->start(m, n));
  }
  for (const auto& pe : pes_) {
    pe->configure(*arithmetic_, problem.order, problem.mac.accumulator.format, observed);
  }
  for (auto* wires : {&west_, &north_, &psums_}) {
    for (std::size_t i = 0; i < wires->size(); ++i) (*wires)[i].write({});
  }
  failure_ = nullptr;
  done_ = false;
  cycle_ = -1;
  last_result_ = 0;
}

void StructuralArray::drive() {
  if (done_) return;
  ++cycle_;
  folds_->advance(cycle_);
  done_ = folds_->done(cycle_) || failure_ != nullptr;
  const auto columns = static_cast<std::size_t>(array_.columns);
  for (std::size_t r = 0; r < static_cast<std::size_t>(array_.rows); ++r) {
    west_[r * (columns + 1)].write({});
  }
  for (std::size_t c = 0; c < columns; ++c) {
    north_[c].write({});
    psums_[c].write({});
  }
  if (done_) return finished_.notify(sc_core::SC_ZERO_TIME);
  for (const ActiveFold& active : folds_->active()) {
    drive_west(active);
    drive_north(active);
    if (!active.fold.output_stationary()) drive_psums(active);
  }
}

void StructuralArray::drive_west(const ActiveFold& active) {
  const Fold& fold = active.fold;
  const std::vector<double>& values = fold.dataflow == Dataflow::InputStationary ? b_ : a_;
  const std::int64_t delay = fold.output_stationary() ? 1 : fold.row_delay;
  for (std::int64_t r = 0; r < fold.height; ++r) {
    const std::int64_t element = cycle_ - active.start - r * delay;
    if (element < 0 || element >= fold.span()) continue;
    const std::int64_t j = fold.output_stationary() ? element % fold.period : 0;
    const std::int64_t k = fold.output_stationary() ? element / fold.period : element;
    const std::int64_t row = j * fold.array_rows + r;
    if (j >= fold.sums || row >= fold.rows) continue;
    const double value = values[static_cast<std::size_t>(fold.west.at(row, k))];
    west_[static_cast<std::size_t>(r * (array_.columns + 1))].write({value, &fold, element});
  }
}

void StructuralArray::drive_north(const ActiveFold& active) {
  const Fold& fold = active.fold;
  for (std::int64_t c = 0; c < fold.columns; ++c) {
    Wire& wire = north_[static_cast<std::size_t>(c)];
    if (fold.output_stationary()) {
      const std::int64_t element = cycle_ - active.start - c;
      if (element < 0 || element >= fold.span() || element % fold.period >= fold.sums) continue;
      const std::int64_t k = element / fold.period;
      wire.write({b_[static_cast<std::size_t>(fold.north.at(c, k))], &fold, element});
      continue;
    }
    // The last row goes in first; each is there before the first streamed element.
    const std::int64_t row = fold.height - 1 - (cycle_ - active.load_start() - c);
    if (row < 0 || row >= fold.rows) continue;
    const std::vector<double>& held = fold.dataflow == Dataflow::WeightStationary ? b_ : a_;
    wire.write({held[static_cast<std::size_t>(fold.north.at(row, c))], &fold, row});
  }
}

void StructuralArray::drive_psums(const ActiveFold& active) {
  const Fold& fold = active.fold;
  for (std::int64_t c = 0; c < fold.columns; ++c) {
    const std::int64_t element = cycle_ - active.start - c - array_.multiplier_latency;
    if (element < 0 || element >= fold.streamed) continue;
    const double psum =
        chunk_length_ == 0 ? out_[static_cast<std::size_t>(fold.out.at(c, element))] : 0;
    psums_[static_cast<std::size_t>(c)].write({psum, &fold, element});
  }
}

void StructuralArray::deliver(const MacResult& result, std::int64_t row, std::int64_t column) {
  const Fold& fold = *result.fold;
  last_result_ = cycle_ + 1;
  if (fold.output_stationary()) {
    out_[static_cast<std::size_t>(fold.out.at(row, column))] = result.value;
    return;
  }
  double& out = out_[static_cast<std::size_t>(fold.out.at(column, result.element))];
  out = chunk_length_ == 0 ? result.value
                           : arithmetic_->add(out, result.value, result.index, fold.row_fold);
}

void StructuralArray::fail(std::exception_ptr failure) {
  if (!failure_) failure_ = std::move(failure);
}

void StructuralArray::write(const OutputView& out) const {
  if (failure_) std::rethrow_exception(failure_);
  const GemmShape shape = problem_.shape();
  std::size_t i = 0;
  for (std::int64_t m = 0; m < shape.m; ++m) {
    for (std::int64_t n = 0; n < shape.n; ++n) out.store(m, n, out_[i++]);
  }
}

void StructuralArray::trace(sc_core::sc_trace_file* file) const {
  for (const auto& pe : pes_) pe->trace(file);
}

}  // namespace narrowmac
