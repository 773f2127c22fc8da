#include "sim/cli/theory_options.h"

#include <CLI/CLI.hpp>

namespace narrowmac {

void add_vrr_options(CLI::App& command, VrrCommand& vrr) {
  CLI::Option* mantissa = command
                              .add_option("--accumulator-mantissa", vrr.accumulator_mantissa,
                                          "Stored mantissa bits of the accumulator: 9 for e6m9")
                              ->check(CLI::Range(1, kMaxTheoryMantissa));
  command.add_flag("--find", vrr.find, "Find the smallest accumulator that suffices")
      ->excludes(mantissa);
  Accumulation& sum = vrr.sum;
  command
      .add_option("--product-mantissa", sum.product_mantissa,
                  "Mantissa bits of a product: 5 for two e5m2 operands")
      ->check(CLI::Range(0, kMaxTheoryMantissa))
      ->capture_default_str();
  command.add_option("--length", sum.length, "Products in the sum, 2 to 2^40")
      ->required()
      ->check(CLI::Range(std::int64_t{2}, kMaxTheoryLength));
  command.add_option("--chunk", sum.chunk, "Products in a chunk (default: sequential)")
      ->check(CLI::Range(std::int64_t{1}, kMaxTheoryLength));
  command.add_option("--nzr", sum.nonzero_ratio, "Part of the products that is not zero")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
}

void add_predict_options(CLI::App& command, PredictCommand& predict) {
  command
      .add_option("NETWORK", predict.network,
                  "Network file (*.toml), topology (*.csv), or the name of a shipped one")
      ->required();
  command
      .add_option("--batch", predict.batch,
                  "Images at a time (default: the network file's batch, else 128; 1 for a "
                  "topology)")
      ->check(CLI::Range(1, 1 << 24));
  command
      .add_option(
          "--chunk", predict.chunk,
          "Products in a chunk of the chunked accumulator (default: that of --mac, else 64)")
      ->check(CLI::Range(std::int64_t{2}, kMaxTheoryLength));
  command.add_option("--nzr", predict.nonzero_ratios,
                     "Part of the products that is not zero: a number, a CSV file with layer, "
                     "pass, nonzero_ratio (a run's layers.csv), or a run directory (default: 1)");
  CLI::Option* product =
      command
          .add_option("--product-mantissa", predict.product_mantissa,
                      "Mantissa bits of a product (default: that of --mac, else 5, of two e5m2 "
                      "operands)")
          ->check(CLI::Range(0, kMaxTheoryMantissa));
  command
      .add_option("--mac", predict.mac,
                  "MAC file or the name of a shipped one: the mantissa of its operands' products, "
                  "and its chunk length")
      ->excludes(product);
  command.add_option("--input", predict.input,
                     "CHANNELSxHEIGHTxWIDTH of the images (default: the network file's, else "
                     "1x28x28)");
}

}  // namespace narrowmac
