#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/experiment/precision_assignment.h"

namespace narrowmac {

/// The [formats] tables of an assignment, to be put into a run file.
std::string formats_text(const std::vector<LayerAssignment>& layers);

/// A run file that trains as assigned, with what it was derived from in comments. Throws Error if
/// no run could be made of it (a residual of more than 24 bits).
std::string assigned_run_text(const PrecisionAssignment& assignment, AccumulatorSource source,
                              const std::filesystem::path& run, const std::filesystem::path& file);

}  // namespace narrowmac
