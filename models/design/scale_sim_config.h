#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/design/array_design.h"

namespace narrowmac {

/// What a SCALE-Sim .cfg file says of things that exist here, too.
struct ScaleSimConfig {
  std::optional<int> rows, columns;  ///< ArrayHeight, ArrayWidth
  std::optional<Dataflow> dataflow;
  /// Only with InterfaceBandwidth = USER: under CALC the interface is as fast as the array wants.
  std::optional<MemoryDesign> memory;
  std::vector<std::string> notes;  ///< what was read in a way worth knowing, one sentence each
};

/// Reads a .cfg file of SCALE-Sim 1 to 3. Sizes in kB become bytes, a word counts as one byte. Keys
/// that do not concern cycles here (names, address offsets, banks and layout, request buffers) are
/// accepted; features that change cycles and do not exist here (sparsity, custom layouts, a
/// Ramulator trace) are refused when switched on; unknown keys are refused. Throws Error naming
/// file and line.
ScaleSimConfig read_scale_sim_config(const std::filesystem::path& path);
ScaleSimConfig parse_scale_sim_config(std::string_view text, std::string_view source_name);

}  // namespace narrowmac
