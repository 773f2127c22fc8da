#include "sim/cli/quantize_options.h"

#include <CLI/CLI.hpp>
#include <string>

#include "models/theory/assignment.h"

namespace narrowmac {

void add_quantize_options(CLI::App& command, QuantizeCommand& quantize) {
  command
      .add_option_function<std::string>(
          "--scheme",
          [&quantize](const std::string& name) { quantize.scheme = parse_gradient_scheme(name); },
          "ptq: one range per tensor; psq: one per row; bhq: rows mixed by Householder "
          "reflections, so that a large row is spread over many")
      ->required()
      ->check(CLI::IsMember({"ptq", "psq", "bhq"}));
  command.add_option("--bits", quantize.bits, "Bits of a code: codes are 0 .. 2^bits - 1")
      ->required()
      ->check(CLI::Range(kMinCodeBits, kMaxCodeBits));
  command
      .add_option("--in", quantize.in, "The gradient, samples x features: .npy, float32 or float64")
      ->required();
  command.add_option("--out", quantize.out, "What the codes stand for: .npy, float64")->required();
  command
      .add_option_function<std::string>(
          "--rounding",
          [&quantize](const std::string& name) { quantize.rounding = parse_code_rounding(name); },
          "Stochastic is unbiased, nearest-even not")
      ->check(CLI::IsMember({"stochastic", "nearest-even", "nearest"}))
      ->default_str("stochastic");
  command
      .add_option("--trials", quantize.trials,
                  "Measure variance and bias over so many quantizations; the first is --out's "
                  "(default: measure nothing)")
      ->check(CLI::Range(2, 1 << 24));
  command.add_option("--seed", quantize.seed, "Seed of stochastic rounding")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_assign_options(CLI::App& command, AssignCommand& assign) {
  command
      .add_option("STATS", assign.statistics, "Statistics of a full-precision training run: JSON")
      ->required();
  command
      .add_option("--bmin", assign.minimum_bits,
                  "Bits of the activation or weight tensor of least noise gain: the smallest with "
                  "which fixed-point inference is accurate")
      ->required()
      ->check(CLI::Range(1, kMaxMinimumBits));
}

}  // namespace narrowmac
