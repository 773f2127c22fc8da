#include "sim/cli/measure_options.h"

#include <CLI/CLI.hpp>

namespace narrowmac {

void add_measure_options(CLI::App& command, MeasureCommand& measure) {
  command.add_option("--mac", measure.mac,
                     "MAC file ([mac], perhaps [array]) or the name of a shipped one (default with "
                     "--run: the run's own MAC of "
                     "each layer and pass)");
  command
      .add_option("--lengths", measure.lengths,
                  "Products per sum, 1..4194304, separated by commas (default with --run: those of "
                  "each GEMM; shorter ones take its first products)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--mantissas", measure.mantissas,
                  "Replace the mantissa of every accumulator, 1..23, separated by commas (default: "
                  "as in the MAC file; with --find: 1 to 23)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--find", measure.find,
                     "The smallest mantissa from which all wider ones satisfy this: vrr, nmse, "
                     "full_swamping or partial_swamping, a relation, a number");
  command.add_option("--run", measure.run,
                     "Run directory: measure on the operands of the training step after its last "
                     "checkpoint, instead of on N(0, 1)");
  command.add_option("--trials", measure.trials,
                     "Dot products per row, at least, 64..16777216 (default: 16384 up to length "
                     "2^14, 6144 up to 2^20, 1536 beyond)");
  command.add_option("--nzr", measure.nonzero_ratio,
                     "Part of the products that is not zero, above 0 (default: 1)");
  command.add_option("--seed", measure.seed, "Seed of operands and of stochastic rounding")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

}  // namespace narrowmac
