#include "models/cost/rtl.h"

#include <fmt/core.h>

#include <algorithm>
#include <sstream>

#include "models/cost/mac_cycles.h"
#include "models/cost/step_vectors.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr int kMostMultiplierStages = 3;
constexpr int kMostAdderStages = 3;
constexpr std::size_t kTestbenchSteps = 5000;
constexpr std::size_t kTestbenchCycles = 5000;

/// Ports of width 0 do not exist in Verilog: a word that nobody reads has one bit.
int port_bits(int random_bits) { return std::max(random_bits, 1); }

void add_number(RtlTokens& tokens, const std::string& name, int value) {
  tokens[name] = std::to_string(value);
}

void add_format(RtlTokens& tokens, const std::string& prefix, const NumberFormat& format) {
  add_number(tokens, prefix + "KIND", static_cast<int>(format.family));
  add_number(tokens, prefix + "EXPONENT_BITS", format.exponent_bits);
  add_number(tokens, prefix + "FRACTION_BITS", format.fraction_bits);
  add_number(tokens, prefix + "WIDTH", format.width);
}

void add_conversion(RtlTokens& tokens, const std::string& prefix, const Conversion& conversion) {
  add_format(tokens, prefix, conversion.format);
  add_number(tokens, prefix + "ROUNDING", static_cast<int>(conversion.rounding.mode));
  add_number(tokens, prefix + "RANDOM_BITS", port_bits(conversion.rounding.random_bits));
  add_number(tokens, prefix + "RANDOM_TOP", port_bits(conversion.rounding.random_bits) - 1);
  add_number(tokens, prefix + "GUARD_BITS", conversion.rounding.guard_bits);
  add_number(tokens, prefix + "OVERFLOW", static_cast<int>(conversion.overflow));
  add_number(tokens, prefix + "SUBNORMALS", conversion.subnormals ? 1 : 0);
}

/// Every line of `text` behind "// ".
std::string commented(const std::string& text) {
  std::istringstream lines(text);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    result += line.empty() ? "//\n" : "//   " + line + "\n";
  }
  if (!result.empty()) result.pop_back();
  return result;
}

std::string file_list() {
  std::string list = "+incdir+.\n";
  for (const RtlFile& file : rtl_modules()) {
    if (file.name.ends_with(".v")) list += file.name + "\n";
  }
  return list + "mac.v\n";
}

}  // namespace

RtlDesign RtlDesign::of(const MacDesign& mac, const ArrayDesign& array) {
  RtlDesign design;
  design.mac = mac;
  design.multiplier_stages = array.multiplier_latency;
  design.adder_stages = array.adder_latency;
  design.interleave = array.interleave;
  return design;
}

void check_rtl(const RtlDesign& design) {
  if (design.mac.dot || design.mac.exact) {
    throw Error(
        fmt::format("mac.{}: no Verilog is written for {}; accepted here: sequential sums, "
                    "and chunks",
                    design.mac.dot ? "dot" : "order", design.mac.dot ? "dot units" : "exact sums"));
  }
  if (design.multiplier_stages > kMostMultiplierStages) {
    throw Error(
        fmt::format("array.multiplier_latency = {}: the Verilog has at most {} registers "
                    "before the adder; accepted here: 0..{}",
                    design.multiplier_stages, kMostMultiplierStages, kMostMultiplierStages));
  }
  const int most = design.mac.chunk ? 1 : kMostAdderStages;
  if (design.adder_stages > most) {
    throw Error(fmt::format(
        "array.adder_latency = {}: the Verilog of a MAC {} has at most {} stage{} in its adder; "
        "accepted here: 1..{}",
        design.adder_stages, design.mac.chunk ? "with a chunk" : "without a chunk", most,
        most == 1 ? "" : "s", most));
  }
}

RtlTokens rtl_tokens(const RtlDesign& design, std::string_view prefix) {
  const MacDesign& mac = design.mac;
  RtlTokens tokens;
  tokens["PREFIX"] = prefix;
  tokens["DESCRIPTION"] = describe(mac);
  tokens["TOML"] = commented(to_toml(mac));
  add_format(tokens, "A_", mac.a);
  add_format(tokens, "B_", mac.b);
  add_number(tokens, "OPERAND_SUBNORMALS", mac.accumulator.subnormals ? 1 : 0);
  add_number(tokens, "ROUND_PRODUCT", mac.product ? 1 : 0);
  add_conversion(tokens, "P_", mac.product.value_or(mac.accumulator));
  if (!mac.product) {
    add_number(tokens, "P_ROUNDING", 0);
    add_number(tokens, "P_RANDOM_BITS", 1);
    add_number(tokens, "P_RANDOM_TOP", 0);
  }
  add_conversion(tokens, "", mac.accumulator);
  const Conversion& second = mac.chunk ? mac.chunk->accumulator : mac.accumulator;
  add_conversion(tokens, "S_", second);
  if (!mac.chunk) {
    add_number(tokens, "S_RANDOM_BITS", 1);
    add_number(tokens, "S_RANDOM_TOP", 0);
  }
  add_number(tokens, "CHUNK", mac.chunk ? 1 : 0);
  add_number(tokens, "SPECIAL_VALUES", mac.special_values ? 1 : 0);
  add_number(tokens, "MULTIPLIER_STAGES", design.multiplier_stages);
  add_number(tokens, "ADDER_STAGES", design.adder_stages);
  add_number(tokens, "INTERLEAVE", design.interleave);
  add_number(tokens, "LATENCY", design.latency());
  add_number(tokens, "A_TOP", mac.a.width - 1);
  add_number(tokens, "B_TOP", mac.b.width - 1);
  add_number(tokens, "WIDTH_TOP", mac.accumulator.format.width - 1);
  add_number(tokens, "SUM_TOP", design.sum_format().width - 1);
  tokens["SECOND_LINE"] =
      mac.chunk ? "\n//   mac_second_step  one step of the second accumulator" : "";
  const auto include = [&](const std::string& name, const std::string& file) {
    std::string text = fill_template(embedded_rtl_file(file), tokens);
    text.pop_back();  // the newline is the including file's
    tokens[name] = text;
  };
  include("STEP_PARAMETERS", "step_parameters.v.in");
  include("MAC_PARAMETERS", "mac_parameters.v.in");
  return tokens;
}

std::vector<RtlFile> rtl_modules() {
  std::vector<RtlFile> modules;
  for (const RtlFile& file : embedded_rtl_files()) {
    if (!file.name.ends_with(".in")) modules.push_back(file);
  }
  return modules;
}

std::string rtl_top(const RtlDesign& design, std::string_view prefix) {
  check_rtl(design);
  const RtlTokens tokens = rtl_tokens(design, prefix);
  std::string text = fill_template(embedded_rtl_file("mac.v.in"), tokens);
  if (design.mac.chunk) text += fill_template(embedded_rtl_file("mac_second_step.v.in"), tokens);
  return text;
}

std::vector<RtlFile> rtl_folder(const RtlDesign& design, std::uint64_t seed) {
  std::vector<RtlFile> files = rtl_modules();
  files.push_back({"mac.v", rtl_top(design)});
  const std::vector<StepVector> steps = step_vectors(design.mac, kTestbenchSteps, seed);
  const std::vector<MacCycle> cycles = mac_cycles(design, kTestbenchCycles, seed);
  RtlTokens tokens = rtl_tokens(design);
  tokens["STEPS"] = std::to_string(steps.size());
  tokens["CYCLES"] = std::to_string(cycles.size());
  tokens["STEP_BITS"] = std::to_string(step_bits(design.mac));
  tokens["CYCLE_BITS"] = std::to_string(cycle_bits(design));
  files.push_back({"steps.hex", steps_hex(design.mac, steps)});
  files.push_back({"cycles.hex", cycles_hex(design, cycles)});
  files.push_back({"mac_tb.v", fill_template(embedded_rtl_file("mac_tb.v.in"), tokens)});
  files.push_back({"files.f", file_list()});
  files.push_back({"README.txt", fill_template(embedded_rtl_file("README.txt.in"), tokens)});
  return files;
}

}  // namespace narrowmac
