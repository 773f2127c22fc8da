#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace narrowmac {

/// A table of a liberty file over output load (farads) and input transition (seconds); either may
/// be absent.
struct LibertyTable {
  std::vector<double> loads;        ///< empty: does not depend on the load
  std::vector<double> transitions;  ///< likewise
  std::vector<double> values;       ///< loads x transitions, transitions fastest; joules

  /// Linear between the points, the nearest point beyond the table's ends.
  [[nodiscard]] double at(double load, double transition) const;
};

/// Internal energy of one transition at a pin.
struct LibertyPower {
  std::optional<LibertyTable> rise, fall;
  /// The mean of rising and falling.
  [[nodiscard]] double at(double load, double transition) const;
};

struct LibertyPin {
  std::string name;
  bool is_output = false;
  bool is_clock = false;
  double capacitance = 0;  ///< farads
  std::string function;    ///< of an output, in liberty's notation; empty: none
  std::vector<LibertyPower> powers;
};

/// The register of a flip-flop cell.
struct LibertyFlipFlop {
  std::string state;  ///< the name by which functions call it
  std::string not_state;
  std::string next_state;
  std::string clocked_on;
  bool has_set_or_reset = false;
};

struct LibertyCell {
  std::string name;
  double area = 0;     ///< as the file has it, in all known files um^2
  double leakage = 0;  ///< watts
  std::vector<LibertyPin> pins;
  std::optional<LibertyFlipFlop> flip_flop;

  /// Null if there is none of that name.
  [[nodiscard]] const LibertyPin* pin(std::string_view wanted) const;
};

/// What pricing a netlist takes from a liberty file, in SI units.
struct Liberty {
  std::string name;
  double voltage = 0;  ///< volts
  std::map<std::string, LibertyCell, std::less<>> cells;
};

/// Reads a liberty file of the Synopsys syntax (version 2008.09 and older, nonlinear delay model).
/// Throws Error naming the file and the line for text that is not one, and for a library without
/// what pricing needs: a voltage, a capacitance unit, cells with areas, a D flip-flop.
Liberty read_liberty(const std::filesystem::path& path);

}  // namespace narrowmac
