#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/cost/mac_energy.h"
#include "models/cost/synthesis.h"

namespace narrowmac {

/// How far a fitted cost was off on designs that the fit had not seen, relative.
struct CostError {
  std::string cost;  ///< area_um2, ...
  double mean = 0;
  double largest = 0;
};

/// What one MAC costs, whichever back end says so.
struct CostRecord {
  double area_um2 = 0;
  double delay_ns = 0;
  double energy_pj = 0;  ///< per product, without glitches, wires, clock tree and leakage
  double clock_pj = 0;   ///< of it, at the registers' clock pins
  double leakage_uw = 0;
  std::vector<AreaPart> parts;
  std::string backend;
  std::string library;  ///< the library's own name
  std::string tools;
  std::vector<CostError> errors;  ///< of a fit; empty: the costs were measured
};

/// By synthesis with a liberty file, on a trace of operands.
CostRecord estimate_by_synthesis(const RtlDesign& design, const std::filesystem::path& liberty,
                                 const OperandTrace& trace, const std::filesystem::path& cache);

}  // namespace narrowmac
