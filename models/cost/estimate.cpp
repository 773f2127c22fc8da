#include "models/cost/estimate.h"

#include <fmt/core.h>

#include <sstream>

#include "models/cost/cache.h"
#include "models/cost/gate_netlist.h"
#include "models/cost/liberty.h"

namespace narrowmac {
namespace {

/// What a netlist gives beside its area and delay.
struct NetlistCost {
  double joules = 0, clock_joules = 0, leakage_watts = 0;
  std::string library;
};

std::string to_text(const NetlistCost& cost) {
  return fmt::format("narrowmac energy 1\n{:.17g} {:.17g} {:.17g}\n{}\n", cost.joules,
                     cost.clock_joules, cost.leakage_watts, cost.library);
}

bool from_text(const std::string& text, NetlistCost& cost) {
  std::istringstream lines(text);
  std::string first;
  return std::getline(lines, first) && first == "narrowmac energy 1" &&
         lines >> cost.joules >> cost.clock_joules >> cost.leakage_watts &&
         std::getline(lines >> std::ws, cost.library);
}

std::string_view bytes_of(const std::vector<double>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)};
}

NetlistCost simulate(const RtlDesign& design, const Synthesis& synthesis,
                     const std::filesystem::path& liberty, const OperandTrace& trace) {
  const Liberty library = read_liberty(liberty);
  const GateNetlist netlist(synthesis.netlist_json, "mac", library);
  const MacEnergy energy = mac_energy(design, netlist, trace);
  return {energy.joules, energy.clock_joules, netlist.leakage(), library.name};
}

/// From the cache if netlist, library, operands and design are the same.
NetlistCost netlist_cost(const RtlDesign& design, const Synthesis& synthesis,
                         const std::filesystem::path& liberty, const OperandTrace& trace,
                         const std::filesystem::path& cache) {
  if (cache.empty()) return simulate(design, synthesis, liberty, trace);
  const std::string cells = read_cached_text(liberty).value_or("");
  const std::string numbers = fmt::format("{} {} {} {}", design.multiplier_stages,
                                          design.adder_stages, design.interleave, trace.length);
  const std::string mac = to_toml(design.mac);
  const std::filesystem::path path =
      cache / ("energy-" + hash_of({synthesis.netlist_json, cells, mac, numbers, bytes_of(trace.a),
                                    bytes_of(trace.b)}));
  NetlistCost cost;
  const std::optional<std::string> known = read_cached_text(path);
  if (known && from_text(*known, cost)) return cost;
  cost = simulate(design, synthesis, liberty, trace);
  write_cached_text(path, to_text(cost));
  return cost;
}

}  // namespace

CostRecord estimate_by_synthesis(const RtlDesign& design, const std::filesystem::path& liberty,
                                 const OperandTrace& trace, const std::filesystem::path& cache) {
  const Synthesis synthesis = synthesise(design, liberty, cache);
  const NetlistCost cost = netlist_cost(design, synthesis, liberty, trace, cache);
  CostRecord record;
  record.area_um2 = synthesis.area_um2;
  record.delay_ns = synthesis.delay_ns;
  record.energy_pj = cost.joules * 1e12;
  record.clock_pj = cost.clock_joules * 1e12;
  record.leakage_uw = cost.leakage_watts * 1e6;
  record.parts = synthesis.parts;
  record.backend = "synthesis";
  record.library = cost.library;
  record.tools = synthesis.tools;
  return record;
}

}  // namespace narrowmac
