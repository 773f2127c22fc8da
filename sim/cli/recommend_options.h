#pragma once

#include "sim/cli/options.h"

namespace CLI {
class App;
}

namespace narrowmac {

/// The options of `recommend`, which fill `recommend` when the command line is parsed.
void add_recommend_options(CLI::App& command, RecommendCommand& recommend);

}  // namespace narrowmac
