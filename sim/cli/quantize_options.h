#pragma once

#include "sim/cli/options.h"

namespace CLI {
class App;
}

namespace narrowmac {

/// The options of `quantize`, which fill `quantize` when the command line is parsed.
void add_quantize_options(CLI::App& command, QuantizeCommand& quantize);
/// The options of `assign`, likewise.
void add_assign_options(CLI::App& command, AssignCommand& assign);

}  // namespace narrowmac
