#include "sim/cli/cost_options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "models/design/error.h"

namespace narrowmac {

void add_rtl_options(CLI::App& command, RtlCommand& rtl) {
  command
      .add_option("--mac", rtl.mac,
                  "MAC file ([mac], perhaps [array]) or the name of a shipped one")
      ->required();
  command.add_option("--out", rtl.out, "Folder to create")->required();
  command.add_option("--seed", rtl.seed, "Seed of the testbench's vectors")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_estimate_options(CLI::App& command, EstimateCommand& estimate) {
  command.add_option("--mac", estimate.mac,
                     "MAC file ([mac], perhaps [array] and [memory]) or the name of a shipped one; "
                     "with --run it stands in the place of the run's own MACs");
  command.add_option("--array", estimate.array, "Price an array of ROWSxCOLUMNS, e.g. 32x32");
  command.add_option(
      "--run", estimate.run,
      "Run directory: energy per layer and pass, training step and epoch, of its own "
      "MACs and array; by synthesis with its operands");
  command.add_option("--clock", estimate.clock_mhz,
                     "With --run: clock in MHz, for leakage (default: as the slowest MAC allows)");
  command
      .add_option("--memory-costs", estimate.memory_costs,
                  "Scratchpads and DRAM: a file, or a shipped one (memory-180nm, memory-45nm)")
      ->capture_default_str();
  const auto backend = std::make_shared<std::string>();
  command
      .add_option("--backend", *backend,
                  "fit: instant, with its error; synthesis: seconds (default: fit, and synthesis "
                  "with --liberty)")
      ->check(CLI::IsMember({"fit", "synthesis"}));
  command.add_option("--liberty", estimate.liberty,
                     "Liberty file of the cells (default: Debian's osu018, 180 nm)");
  command
      .add_option("--fit", estimate.fit,
                  "Coefficients: a file that scripts/calibrate has made, or a shipped one's name")
      ->capture_default_str();
  command.add_flag_callback(
      "--no-cache", [&estimate] { estimate.cached = false; },
      "Synthesise even if the same has been synthesised before");
  command.callback([&estimate, backend] {
    if (*backend == "fit" && estimate.liberty) {
      throw Error(
          "--liberty: found beside --backend fit, which reads no library; accepted with "
          "--backend synthesis");
    }
    if (!estimate.mac && !estimate.run) {
      throw Error("--mac: missing; accepted: a MAC file, or --run with a run directory");
    }
    if (estimate.clock_mhz && !estimate.run) {
      throw Error("--clock: found without --run, which it is about");
    }
    if (estimate.clock_mhz && !(*estimate.clock_mhz > 0 && *estimate.clock_mhz <= 1e6)) {
      throw Error(
          fmt::format("--clock: found {}; accepted: megahertz, above 0", *estimate.clock_mhz));
    }
    estimate.synthesises = *backend == "synthesis" || estimate.liberty.has_value();
  });
}

}  // namespace narrowmac
