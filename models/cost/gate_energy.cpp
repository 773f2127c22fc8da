#include <fmt/core.h>

#include <algorithm>

#include "models/cost/gate_netlist.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

/// The transition that energy tables are read at: a third of the way through their points, as fast
/// as signals are in a netlist with short wires. Energy depends on it weakly.
double typical_transition(const LibertyTable& table) {
  return table.transitions.empty() ? 0 : table.transitions[table.transitions.size() / 3];
}

double energy_of(const LibertyTable& table, double load) {
  return table.at(load, typical_transition(table));
}

/// Mean over rising and falling, and over the arcs of a pin.
double internal_energy(const LibertyPin& pin, double load) {
  double sum = 0;
  for (const LibertyPower& power : pin.powers) {
    const double rise = power.rise ? energy_of(*power.rise, load) : 0;
    const double fall = power.fall ? energy_of(*power.fall, load) : 0;
    sum += (rise + fall) / (power.rise && power.fall ? 2 : 1);
  }
  return pin.powers.empty() ? 0 : sum / static_cast<double>(pin.powers.size());
}

}  // namespace

GateEnergy::GateEnergy(const GateNetlist& netlist)
    : per_toggle_(static_cast<std::size_t>(netlist.net_count_), 0.0) {
  const double square = netlist.library_.voltage * netlist.library_.voltage;
  std::vector<double> load(per_toggle_.size(), 0.0);
  for (const GateNetlist::Connection& connection : netlist.loads_) {
    load[static_cast<std::size_t>(connection.net)] += connection.pin->capacitance;
  }
  for (std::size_t net = 0; net < load.size(); ++net) per_toggle_[net] = load[net] * square / 2;
  for (const GateNetlist::Connection& connection : netlist.loads_) {
    const double internal = internal_energy(*connection.pin, 0);
    if (connection.pin->is_clock) {
      clock_ += connection.pin->capacitance * square + 2 * internal;
    } else {
      per_toggle_[static_cast<std::size_t>(connection.net)] += internal;
    }
  }
  const auto drive = [&](int net, const LibertyPin& pin) {
    const auto at = static_cast<std::size_t>(net);
    per_toggle_[at] += internal_energy(pin, load[at]);
  };
  for (const GateNetlist::Gate& gate : netlist.gates_) drive(gate.output, *gate.output_pin);
  for (const GateNetlist::Register& element : netlist.registers_) {
    for (std::size_t i = 0; i < element.outputs.size(); ++i) {
      drive(element.outputs[i], *element.output_pins[i]);
    }
  }
}

double GateEnergy::per_cycle(const GateSimulation& simulation) const {
  double sum = 0;
  for (std::size_t net = 2; net < per_toggle_.size(); ++net) {
    sum += per_toggle_[net] * static_cast<double>(simulation.toggles()[net]);
  }
  const auto cycles = static_cast<double>(std::max<std::uint64_t>(simulation.run_cycles(), 1));
  return sum / cycles + clock_;
}

RegisterCost register_cost(const Liberty& library) {
  const LibertyCell* smallest = nullptr;
  for (const auto& [name, cell] : library.cells) {
    if (!cell.flip_flop || cell.flip_flop->has_set_or_reset) continue;
    if (smallest == nullptr || cell.area < smallest->area) smallest = &cell;
  }
  if (smallest == nullptr) {
    throw Error(fmt::format("library {}: no D flip-flop without set and reset", library.name));
  }
  const double square = library.voltage * library.voltage;
  RegisterCost cost;
  cost.area_um2 = smallest->area;
  cost.leakage_uw = smallest->leakage * 1e6;
  double load = 0;
  for (const LibertyPin& pin : smallest->pins) {
    if (!pin.is_output && !pin.is_clock) load += pin.capacitance;
  }
  double clock = 0, toggle = load * square / 2;
  for (const LibertyPin& pin : smallest->pins) {
    if (pin.is_clock) {
      clock += pin.capacitance * square + 2 * internal_energy(pin, 0);
    } else {
      toggle += internal_energy(pin, pin.is_output ? load : 0);
    }
  }
  cost.clock_pj = clock * 1e12;
  cost.toggle_pj = toggle * 1e12;
  return cost;
}

}  // namespace narrowmac
