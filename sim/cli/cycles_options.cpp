#include "sim/cli/cycles_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace narrowmac {

void add_cycles_options(CLI::App& command, CyclesArguments& cycles) {
  command
      .add_option("WORKLOAD", cycles.command.workload,
                  "Network file (*.toml), SCALE-Sim topology (*.csv: convolutions or GEMMs), or "
                  "the name of a shipped one")
      ->required();
  command
      .add_option("--array", cycles.command.arrays,
                  "ROWSxCOLUMNS, one or several separated by commas (default: that of --memory)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--dataflow", cycles.dataflows,
                  "os, ws, is, several separated by commas, or all (default: that of --memory)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"os", "ws", "is", "all"}));
  command
      .add_option("--passes", cycles.passes, "FWD, BWD, GRAD, separated by commas (default: FWD)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"FWD", "BWD", "GRAD"}));
  command
      .add_option(
          "--batch", cycles.batch,
          "Images at a time (default: the network file's batch, else 128; 1 for a topology)")
      ->check(CLI::Range(1, 1 << 24));
  command
      .add_option("--policy", cycles.policy,
                  "How folds follow each other (default: that of --memory, else padded)")
      ->check(CLI::IsMember({"padded", "ragged", "overlapped"}));
  command.add_option("--memory", cycles.memory,
                     "Array file with [memory], or SCALE-Sim .cfg: scratchpads and DRAM, with "
                     "their stalls (default: no stalls)");
  command.add_option("--mac", cycles.mac,
                     "MAC file or the name of a shipped one: the formats decide the bytes "
                     "(default: [mac] of --memory, else "
                     "operands of 8 and psums of 32 bits)");
  command.add_option(
      "--input", cycles.input,
      "CHANNELSxHEIGHTxWIDTH of a network's images (default: the network file's, else "
      "1x28x28)");
  command
      .add_option("--fidelity", cycles.fidelity,
                  "functional: in closed form; transaction: controller, scratchpads and DRAM in "
                  "SystemC, the same counts (default: functional)")
      ->check(CLI::IsMember({"functional", "transaction"}));
}

CyclesCommand understand(const CyclesArguments& arguments) {
  CyclesCommand cycles = arguments.command;
  for (const std::string& name : arguments.dataflows) {
    if (name == "all") {
      cycles.dataflows = {Dataflow::OutputStationary, Dataflow::WeightStationary,
                          Dataflow::InputStationary};
      break;
    }
    cycles.dataflows.push_back(parse_dataflow(name));
  }
  if (!arguments.passes.empty()) cycles.passes.clear();
  for (const Pass pass : kPasses) {  // each once, in this order
    const auto named = [pass](const std::string& name) { return name == to_string(pass); };
    if (std::any_of(arguments.passes.begin(), arguments.passes.end(), named)) {
      cycles.passes.push_back(pass);
    }
  }
  if (arguments.batch > 0) cycles.batch = arguments.batch;
  if (!arguments.policy.empty()) cycles.policy = parse_policy(arguments.policy);
  if (!arguments.memory.empty()) cycles.memory = arguments.memory;
  if (!arguments.mac.empty()) cycles.mac = arguments.mac;
  if (!arguments.input.empty()) cycles.input = arguments.input;
  if (!arguments.fidelity.empty()) cycles.fidelity = parse_fidelity(arguments.fidelity);
  return cycles;
}

}  // namespace narrowmac
