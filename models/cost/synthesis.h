#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/cost/rtl.h"

namespace narrowmac {

/// A part of the area: multiplier, alignment, ...
struct AreaPart {
  std::string name;
  double area_um2 = 0;
};

/// A MAC in the gates of a library.
struct Synthesis {
  std::string netlist_json;  ///< the flattened module mac, as Yosys writes it
  double area_um2 = 0;
  double delay_ns =
      0;  ///< the longest path: from a register or an input to a register, setup included
  std::vector<AreaPart> parts;  ///< adds up to area_um2
  std::string tools;            ///< names and versions
};

/// Debian's package qflow-tech-osu018: the default library. Throws Error if it is not installed.
std::filesystem::path default_liberty();

/// Yosys with ABC maps the design's Verilog to the library, OpenSTA times it. Equal designs, tools
/// and libraries come from `cache`, if it is not empty. Throws Error that names the package of a
/// missing tool.
Synthesis synthesise(const RtlDesign& design, const std::filesystem::path& liberty,
                     const std::filesystem::path& cache);

/// Where results are kept: $XDG_CACHE_HOME or ~/.cache, then narrowmac/synthesis; empty without
/// either.
std::filesystem::path default_synthesis_cache();

}  // namespace narrowmac
