#pragma once

#include <string>

#include "sim/experiment/run_config.h"

namespace narrowmac {

/// Reads [formats] and [[formats.layer]] of a run file into `config.training.formats`; the network
/// must have been read. Throws Error with file, line and key, also for formats that contradict each
/// other.
void read_formats(const ConfigTable& root, RunConfig& config);
/// A MAC without subnormals must not be given any: one tensor feeds several passes and layers, so
/// the format has to say it. The MACs must have been read.
void check_subnormals(const ConfigTable& root, const RunConfig& config);
/// [formats] and its tables, complete; [quantization] instead of what it decides.
std::string formats_to_toml(const RunConfig& config);

}  // namespace narrowmac
