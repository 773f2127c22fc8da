#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/cost/cell_function.h"
#include "models/cost/liberty.h"

namespace narrowmac {

/// A module mapped to the cells of a library, as Yosys writes it (write_json).
class GateNetlist {
 public:
  /// `library` must outlive the netlist. Throws Error for cells that the library has not, cells
  /// without a function, and combinational loops.
  GateNetlist(std::string_view json, const std::string& module, const Liberty& library);

  [[nodiscard]] double area() const;           ///< as the library has it: um^2
  [[nodiscard]] double register_area() const;  ///< of the flip-flops
  [[nodiscard]] double leakage() const;        ///< watts
  [[nodiscard]] std::size_t cell_count() const { return gates_.size() + registers_.size(); }

  /// The nets of a port, lowest bit first. Throws Error if there is none of that name.
  [[nodiscard]] const std::vector<int>& port(std::string_view name) const;

 private:
  friend class GateSimulation;
  friend class GateEnergy;

  struct Connection {
    const LibertyPin* pin;
    int net;
  };
  struct Gate {
    const LibertyCell* cell;
    std::size_t function;     ///< into functions_
    std::vector<int> inputs;  ///< nets, in the function's order
    int output;
    const LibertyPin* output_pin;
  };
  struct Register {
    const LibertyCell* cell;
    std::size_t next_state;
    std::vector<int> inputs;
    std::vector<int> outputs;    ///< nets
    std::vector<bool> inverted;  ///< of the outputs, against the state
    std::vector<const LibertyPin*> output_pins;
  };

  std::size_t function_of(const std::string& text);
  void sort_gates();

  const Liberty& library_;
  std::vector<CellFunction> functions_;
  std::map<std::string, std::size_t, std::less<>> function_places_;
  std::vector<Gate> gates_;  ///< every input before its readers
  std::vector<Register> registers_;
  std::vector<const LibertyCell*> cells_;
  std::vector<Connection> loads_;  ///< every input pin and its net
  std::map<std::string, std::vector<int>, std::less<>> ports_;
  int net_count_ = 2;  ///< nets 0 and 1 are the constants
};

/// 64 independent runs of a netlist side by side, one per bit of a word, clock cycle by clock
/// cycle, without delays: a net changes at most once a cycle.
class GateSimulation {
 public:
  explicit GateSimulation(const GateNetlist& netlist);

  /// Sets bit `bit` of an input port in all runs.
  void set(const std::vector<int>& port, std::size_t bit, std::uint64_t runs);
  /// Lets the inputs and the registers' outputs settle, and counts what changed if `counts`.
  void settle(bool counts);
  /// The clock edge: registers take their next states.
  void clock();
  [[nodiscard]] std::uint64_t get(const std::vector<int>& port, std::size_t bit) const;

  /// Changes of each net over all runs and counted cycles.
  [[nodiscard]] const std::vector<std::uint64_t>& toggles() const { return toggles_; }
  /// Counted cycles times 64.
  [[nodiscard]] std::uint64_t run_cycles() const { return run_cycles_; }

 private:
  const GateNetlist& netlist_;
  std::vector<std::uint64_t> inputs_;  ///< what set() has put on nets
  std::vector<std::uint64_t> values_;
  std::vector<std::uint64_t> states_;
  std::vector<std::uint64_t> toggles_;
  std::uint64_t run_cycles_ = 0;
  std::vector<std::uint64_t> pins_;

  std::uint64_t evaluate(std::size_t function, const std::vector<int>& nets);
};

/// Energy of one cycle in joules, from the changes of every net: half C V^2 with the capacitances
/// of the pins on it, the internal energy of its driver and of the pins it drives, and for every
/// register a whole clock pulse. No wires, no clock tree, no glitches.
class GateEnergy {
 public:
  explicit GateEnergy(const GateNetlist& netlist);
  [[nodiscard]] double per_cycle(const GateSimulation& simulation) const;
  /// The part that every cycle takes whatever the data: clock pins.
  [[nodiscard]] double clock_per_cycle() const { return clock_; }

 private:
  std::vector<double> per_toggle_;  ///< of each net
  double clock_ = 0;
};

/// A bit of a register, such as those that hand operands from PE to PE.
struct RegisterCost {
  double area_um2 = 0;
  double clock_pj = 0;   ///< of a clock cycle
  double toggle_pj = 0;  ///< of a change of the bit, with the next register's input as its load
  double leakage_uw = 0;
};
/// The smallest D flip-flop of a library without set and reset. Throws Error if there is none.
RegisterCost register_cost(const Liberty& library);

}  // namespace narrowmac
