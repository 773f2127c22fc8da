#include "models/cost/gate_netlist.h"

#include <fmt/core.h>

#include <bit>
#include <nlohmann/json.hpp>

#include "models/design/error.h"

namespace narrowmac {
namespace {

using Json = nlohmann::json;

/// Nets are Yosys' numbers, which start at 2; 0 and 1 are the constants, x counts as 0.
int net_of(const Json& bit) {
  if (bit.is_number_integer()) return bit.get<int>();
  return bit.get<std::string>() == "1" ? 1 : 0;
}

const LibertyCell& cell_of(const Liberty& library, const std::string& type) {
  const auto found = library.cells.find(type);
  if (found == library.cells.end()) {
    throw Error(fmt::format("the netlist has a cell '{}', which the library {} has not", type,
                            library.name));
  }
  return found->second;
}

}  // namespace

std::size_t GateNetlist::function_of(const std::string& text) {
  const auto found = function_places_.find(text);
  if (found != function_places_.end()) return found->second;
  functions_.emplace_back(text);
  function_places_[text] = functions_.size() - 1;
  return functions_.size() - 1;
}

GateNetlist::GateNetlist(std::string_view json, const std::string& module, const Liberty& library)
    : library_(library) {
  const Json design = Json::parse(json);
  const Json& top = design.at("modules").at(module);
  for (const auto& [name, port] : top.at("ports").items()) {
    for (const Json& bit : port.at("bits")) ports_[name].push_back(net_of(bit));
  }
  const auto note = [this](int net) { net_count_ = std::max(net_count_, net + 1); };
  for (const auto& entry : ports_) {
    for (const int net : entry.second) note(net);
  }
  for (const auto& [name, cell] : top.at("cells").items()) {
    const LibertyCell& type = cell_of(library, cell.at("type").get<std::string>());
    cells_.push_back(&type);
    std::map<std::string, int> nets;
    for (const auto& [pin, bits] : cell.at("connections").items()) {
      if (bits.empty()) continue;
      nets[pin] = net_of(bits.at(0));
      note(nets[pin]);
      const LibertyPin* const known = type.pin(pin);
      if (known == nullptr) {
        throw Error(fmt::format("cell {} has no pin '{}' in the library", type.name, pin));
      }
      if (!known->is_output) loads_.push_back({known, nets[pin]});
    }
    const auto inputs_of = [&](std::size_t function) {
      std::vector<int> inputs;
      for (const std::string& pin : functions_[function].pins()) {
        inputs.push_back(nets.count(pin) != 0 ? nets[pin] : 0);
      }
      return inputs;
    };
    if (type.flip_flop) {
      Register added;
      added.cell = &type;
      added.next_state = function_of(type.flip_flop->next_state);
      added.inputs = inputs_of(added.next_state);
      for (const LibertyPin& pin : type.pins) {
        if (!pin.is_output || nets.count(pin.name) == 0) continue;
        added.outputs.push_back(nets[pin.name]);
        added.inverted.push_back(pin.function == type.flip_flop->not_state);
        added.output_pins.push_back(&pin);
      }
      registers_.push_back(std::move(added));
      continue;
    }
    for (const LibertyPin& pin : type.pins) {
      if (!pin.is_output || nets.count(pin.name) == 0) continue;
      if (pin.function.empty()) {
        throw Error(fmt::format("cell {} has no function at its pin {}", type.name, pin.name));
      }
      const std::size_t function = function_of(pin.function);
      gates_.push_back({&type, function, inputs_of(function), nets[pin.name], &pin});
    }
  }
  sort_gates();
}

void GateNetlist::sort_gates() {
  std::vector<int> driver(static_cast<std::size_t>(net_count_), -1);
  for (std::size_t i = 0; i < gates_.size(); ++i) {
    driver[static_cast<std::size_t>(gates_[i].output)] = static_cast<int>(i);
  }
  // Kahn's algorithm: a gate is ready when all gates before it are placed.
  std::vector<int> missing(gates_.size(), 0);
  std::vector<std::vector<std::size_t>> readers(gates_.size());
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < gates_.size(); ++i) {
    for (const int net : gates_[i].inputs) {
      const int from = driver[static_cast<std::size_t>(net)];
      if (from < 0) continue;
      ++missing[i];
      readers[static_cast<std::size_t>(from)].push_back(i);
    }
    if (missing[i] == 0) ready.push_back(i);
  }
  std::vector<Gate> sorted;
  sorted.reserve(gates_.size());
  while (!ready.empty()) {
    const std::size_t gate = ready.back();
    ready.pop_back();
    sorted.push_back(gates_[gate]);
    for (const std::size_t reader : readers[gate]) {
      if (--missing[reader] == 0) ready.push_back(reader);
    }
  }
  if (sorted.size() != gates_.size()) throw Error("the netlist has a combinational loop");
  gates_ = std::move(sorted);
}

double GateNetlist::area() const {
  double sum = 0;
  for (const LibertyCell* const cell : cells_) sum += cell->area;
  return sum;
}

double GateNetlist::register_area() const {
  double sum = 0;
  for (const Register& element : registers_) sum += element.cell->area;
  return sum;
}

double GateNetlist::leakage() const {
  double sum = 0;
  for (const LibertyCell* const cell : cells_) sum += cell->leakage;
  return sum;
}

const std::vector<int>& GateNetlist::port(std::string_view name) const {
  const auto found = ports_.find(name);
  if (found == ports_.end()) throw Error(fmt::format("the netlist has no port {}", name));
  return found->second;
}

GateSimulation::GateSimulation(const GateNetlist& netlist)
    : netlist_(netlist),
      inputs_(static_cast<std::size_t>(netlist.net_count_), 0),
      values_(inputs_),
      states_(netlist.registers_.size(), 0),
      toggles_(inputs_) {
  inputs_[1] = values_[1] = ~std::uint64_t{0};
}

void GateSimulation::set(const std::vector<int>& port, std::size_t bit, std::uint64_t runs) {
  const auto net = static_cast<std::size_t>(port[bit]);
  if (net > 1) inputs_[net] = runs;
}

std::uint64_t GateSimulation::get(const std::vector<int>& port, std::size_t bit) const {
  return values_[static_cast<std::size_t>(port[bit])];
}

std::uint64_t GateSimulation::evaluate(std::size_t function, const std::vector<int>& nets) {
  pins_.clear();
  for (const int net : nets) pins_.push_back(inputs_[static_cast<std::size_t>(net)]);
  return netlist_.functions_[function].evaluate(pins_);
}

void GateSimulation::settle(bool counts) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const GateNetlist::Register& element = netlist_.registers_[i];
    for (std::size_t output = 0; output < element.outputs.size(); ++output) {
      inputs_[static_cast<std::size_t>(element.outputs[output])] =
          element.inverted[output] ? ~states_[i] : states_[i];
    }
  }
  for (const GateNetlist::Gate& gate : netlist_.gates_) {
    inputs_[static_cast<std::size_t>(gate.output)] = evaluate(gate.function, gate.inputs);
  }
  if (counts) {
    for (std::size_t net = 0; net < values_.size(); ++net) {
      toggles_[net] += static_cast<std::uint64_t>(std::popcount(inputs_[net] ^ values_[net]));
    }
    run_cycles_ += 64;
  }
  values_ = inputs_;
}

void GateSimulation::clock() {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const GateNetlist::Register& element = netlist_.registers_[i];
    states_[i] = evaluate(element.next_state, element.inputs);
  }
}

}  // namespace narrowmac
