#pragma once

#include "sim/cli/options.h"

namespace CLI {
class App;
}

namespace narrowmac {

/// The options of `rtl`, which fill `rtl` when the command line is parsed.
void add_rtl_options(CLI::App& command, RtlCommand& rtl);
/// The options of `estimate`, likewise.
void add_estimate_options(CLI::App& command, EstimateCommand& estimate);

}  // namespace narrowmac
