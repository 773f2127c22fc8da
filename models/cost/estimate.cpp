#include "models/cost/estimate.h"

#include "models/cost/gate_netlist.h"
#include "models/cost/liberty.h"

namespace narrowmac {

CostRecord estimate_by_synthesis(const RtlDesign& design, const std::filesystem::path& liberty,
                                 const OperandTrace& trace, const std::filesystem::path& cache) {
  const Synthesis synthesis = synthesise(design, liberty, cache);
  const Liberty library = read_liberty(liberty);
  const GateNetlist netlist(synthesis.netlist_json, "mac", library);
  const MacEnergy energy = mac_energy(design, netlist, trace);
  CostRecord record;
  record.area_um2 = synthesis.area_um2;
  record.delay_ns = synthesis.delay_ns;
  record.energy_pj = energy.joules * 1e12;
  record.clock_pj = energy.clock_joules * 1e12;
  record.leakage_uw = netlist.leakage() * 1e6;
  record.parts = synthesis.parts;
  record.backend = "synthesis";
  record.library = library.name;
  record.tools = synthesis.tools;
  return record;
}

}  // namespace narrowmac
