#pragma once

#include <exception>
#include <memory>
#include <systemc>
#include <vector>

#include "models/array/systemc/structural/processing_element.h"

namespace narrowmac {

/// The array with a module per PE and a wire between any two neighbours, and the buffers at its
/// edges: for verification and for waveforms. At every falling edge of the clock the edges are
/// driven with what the PEs take at the next rising one.
///
/// A token's element: os: the place of the product in its PE's sequence; ws, is: the streamed
/// element, and for a stationary operand the row that it belongs to.
class StructuralArray : public sc_core::sc_module, public ResultSink {
 public:
  sc_core::sc_in<bool> clock;

  SC_HAS_PROCESS(StructuralArray);
  /// The shape, dataflow and pipeline of `array` are built; a GEMM may choose its psum and policy.
  StructuralArray(const sc_core::sc_module_name& name, const ArrayDesign& array);

  /// A GEMM begins with the first rising edge after the next falling one. `problem` stays valid
  /// until it is done. With `observed` the PEs show products and flags. Throws Error as
  /// make_pe_grid().
  void begin(const GemmProblem& problem, Psum psum, bool observed);
  /// Rising edges since then.
  [[nodiscard]] std::int64_t cycles() const { return cycle_; }
  /// Rising edges until the last result came, that edge included.
  [[nodiscard]] std::int64_t last_result() const { return last_result_; }
  /// True when the last output has left.
  [[nodiscard]] bool done() const { return done_; }
  /// Notified at the falling edge after the last output has left, or a PE failed.
  [[nodiscard]] const sc_core::sc_event& finished() const { return finished_; }
  /// Writes all outputs. Throws what a PE threw.
  void write(const OutputView& out) const;
  /// Every PE's registers.
  void trace(sc_core::sc_trace_file* file) const override;
  [[nodiscard]] const ProcessingElement& pe(int row, int column) const;

  void deliver(const MacResult& result, std::int64_t row, std::int64_t column) override;
  void fail(std::exception_ptr failure) override;
  [[nodiscard]] bool failed() const override { return failure_ != nullptr; }

 private:
  void build_wires();
  void drive();
  void drive_west(const ActiveFold& active);
  void drive_north(const ActiveFold& active);
  void drive_psums(const ActiveFold& active);

  ArrayDesign array_;
  GemmProblem problem_;
  std::int64_t chunk_length_ = 0;
  std::unique_ptr<ExactMac> arithmetic_;
  std::unique_ptr<FoldSequence> folds_;
  std::vector<double> a_, b_, out_;
  sc_core::sc_vector<Wire> west_, north_, psums_;  ///< those between PEs included
  std::vector<std::unique_ptr<ProcessingElement>> pes_;
  std::int64_t cycle_ = 0;  ///< the next rising edge
  std::int64_t last_result_ = 0;
  bool done_ = true;
  sc_core::sc_event finished_;
  std::exception_ptr failure_;
};

}  // namespace narrowmac
