#pragma once

#include "sim/cli/options.h"

namespace CLI {
class App;
}

namespace narrowmac {

/// The options of `vrr`, which fill `vrr` when the command line is parsed.
void add_vrr_options(CLI::App& command, VrrCommand& vrr);
/// The options of `predict`, likewise.
void add_predict_options(CLI::App& command, PredictCommand& predict);

}  // namespace narrowmac
