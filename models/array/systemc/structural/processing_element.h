#pragma once

#include <exception>
#include <systemc>
#include <vector>

#include "models/array/systemc/structural/mac_unit.h"
#include "models/array/systemc/structural/token.h"

namespace narrowmac {

/// Where PEs deliver what is finished.
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  /// A finished sum of an os PE, or a psum that leaves the bottom row.
  virtual void deliver(const MacResult& result, std::int64_t row, std::int64_t column) = 0;
  /// What a PE's process threw.
  virtual void fail(std::exception_ptr failure) = 0;
  /// True from a failure to the next GEMM: what is still under way must not be touched, since the
  /// operands may be gone.
  [[nodiscard]] virtual bool failed() const = 0;
};

/// A processing element: operand registers, a MAC and its sums. At every rising edge it reads the
/// wires that its neighbours wrote at the edge before.
///
/// west -> east: the operand that moves east. north -> south: under os the other operand; under ws
/// and is the next fold's stationary operand, which takes as long from row to row as a psum.
/// psum_in -> psum_out: ws and is.
class ProcessingElement : public sc_core::sc_module {
 public:
  sc_core::sc_in<bool> clock;
  sc_core::sc_port<sc_core::sc_signal_in_if<Token>> west, north, psum_in;
  sc_core::sc_port<sc_core::sc_signal_out_if<Token>> east, south, psum_out;

  SC_HAS_PROCESS(ProcessingElement);
  ProcessingElement(const sc_core::sc_module_name& name, const ArrayDesign& array, int row,
                    int column, ResultSink& sink);

  /// Empties the registers for a GEMM of these MACs.
  void configure(const ExactMac& arithmetic, const AccumulationOrder& order,
                 const NumberFormat& sums, bool observed);
  /// Operands, product, sum as a number and as bits, flags.
  void trace(sc_core::sc_trace_file* file) const override;

 protected:
  void end_of_elaboration() override;

 private:
  /// A sum that this PE keeps under os.
  struct Sum {
    double sum = 0;
    double total = 0;      ///< with chunks: the second accumulator
    bool pending = false;  ///< still in the adder
  };

  void run();
  void run_output_stationary();
  void pass_on(const Token& a, const Token& b);
  void add_to_sum(const MacInput& due);
  void keep(const MacResult& result);
  void run_operand_stationary();
  void take_stationary(const Token& from_north);
  void show(const MacInput& input);

  /// Which of the PE's sums a token belongs to under os.
  static std::size_t place(std::int64_t element, const Fold& fold) {
    return fold.period == 1 ? 0 : static_cast<std::size_t>(element % fold.period);
  }

  MacUnit mac_;
  // The ports, looked up once: at every edge a PE reads and writes all of them.
  const Token* west_ = nullptr;
  const Token* north_ = nullptr;
  const Token* psum_in_ = nullptr;
  Wire* east_ = nullptr;
  Wire* south_ = nullptr;
  Wire* psum_out_ = nullptr;
  ResultSink& sink_;
  bool output_stationary_;
  int row_, column_;
  int array_rows_;
  std::int64_t chunk_length_ = 0;
  const ExactMac* arithmetic_ = nullptr;
  NumberFormat format_;
  bool observed_ = false;

  std::vector<Sum> sums_;
  std::vector<Token> load_;  ///< ring: the stationary operands on their way to the next row
  std::size_t load_at_ = 0;
  double stationary_ = 0, next_stationary_ = 0;

  // What the waveform shows.
  bool valid_ = false;
  double a_ = 0, b_ = 0, accumulator_ = 0;
  std::uint64_t accumulator_bits_ = 0;
};

}  // namespace narrowmac
