#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cli/options.h"

namespace CLI {
class App;
}

namespace narrowmac {

/// The options of `cycles` as they stand on the command line, before names are understood. Empty:
/// not given.
struct CyclesArguments {
  CyclesCommand command;
  std::vector<std::string> dataflows, passes;
  std::int64_t batch = 0;
  std::string policy, memory, mac, input, fidelity;
};

/// The options of `cycles`, which fill `cycles` when the command line is parsed.
void add_cycles_options(CLI::App& command, CyclesArguments& cycles);

/// What was asked for. Throws Error for a name that does not exist.
CyclesCommand understand(const CyclesArguments& arguments);

}  // namespace narrowmac
