#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/cost/rtl.h"

// Co-simulation: the Verilog of many designs as one model, each vector compared with the reference.

namespace narrowmac {

struct GridDesign {
  std::string name;
  RtlDesign design;
  bool quick = false;  ///< part of the short run
};

/// The designs of a list: [[design]] tables with a name, the keys of [mac], and the pipeline's.
std::vector<GridDesign> read_grid(const std::filesystem::path& list, bool quick_only);

/// Writes grid.v, one file per design, the modules, model.cpp and files.f for Verilator.
void write_grid(const std::vector<GridDesign>& designs, const std::filesystem::path& folder);

/// What has been compared.
struct GridCounts {
  std::string name;
  std::string description;
  std::uint64_t steps = 0;
  std::uint64_t second_steps = 0;
  std::uint64_t cycles = 0;
  bool exhaustive = false;     ///< every legal step was among them
  std::uint64_t recorded = 0;  ///< of the steps, those with operands from a run
  std::uint64_t mismatches = 0;
  std::string first_mismatch;
};

/// Runs the compiled model of `designs` against the reference: `steps` steps and `cycles` clock
/// cycles per design. Designs with at most 2^20 steps go through all of them first; of the others
/// every second one has values of `recorded` as operands, if there are any.
std::vector<GridCounts> run_grid(const std::vector<GridDesign>& designs,
                                 const std::filesystem::path& library, std::uint64_t steps,
                                 std::uint64_t cycles, const std::vector<double>& recorded);

}  // namespace narrowmac
