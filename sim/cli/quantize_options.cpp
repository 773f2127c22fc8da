#include "sim/cli/quantize_options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <string>

#include "models/design/error.h"
#include "models/theory/assignment.h"

namespace narrowmac {
namespace {

/// "1%" or "0.01".
double parse_mismatch(const std::string& text) {
  const std::optional<double> share = parse_share(text);
  if (!share || !(*share >= 0 && *share <= 1)) {
    throw Error(
        fmt::format("--mismatch: found '{}'; accepted: a share of the images, 0 to 1, as 1% "
                    "or 0.01",
                    text));
  }
  return *share;
}

}  // namespace

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
      .add_option("SOURCE", assign.source,
                  "A run directory (a full-precision run with [observe] precision = true, or one "
                  "with [quantization] and [mac]), or a statistics file: JSON")
      ->required();
  command
      .add_option("--bmin", assign.minimum_bits,
                  "Bits of the activation or weight tensor of least noise gain (default: the "
                  "fewest with which fixed-point inference keeps --mismatch; required with a "
                  "statistics file)")
      ->check(CLI::Range(1, kMaxMinimumBits));
  command
      .add_option_function<std::string>(
          "--mismatch",
          [&assign](const std::string& text) { assign.mismatch = parse_mismatch(text); },
          "Of the test images, those that inference at B_min may decide otherwise than full "
          "precision: 1% or 0.01")
      ->default_str("1%");
  command
      .add_option_function<std::string>(
          "--accumulators",
          [&assign](const std::string& name) {
            assign.accumulators =
                name == "theory" ? AccumulatorSource::Theory : AccumulatorSource::Measured;
          },
          "Which accumulators --out gets: in closed form, or measured on the sums of a step")
      ->check(CLI::IsMember({"theory", "measured"}))
      ->default_str("measured");
  command.add_option("--out", assign.out,
                     "Run file with the assignment; from a statistics file its [formats] only, to "
                     "be put into a run file");
}

}  // namespace narrowmac
