#pragma once

#include "sim/cli/options.h"

namespace CLI {
class App;
}

namespace narrowmac {

/// The options of `measure`, which fill `measure` when the command line is parsed.
void add_measure_options(CLI::App& command, MeasureCommand& measure);

}  // namespace narrowmac
