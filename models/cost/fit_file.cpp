#include <fmt/core.h>

#include "models/cost/fit.h"
#include "models/design/config.h"

namespace narrowmac {
namespace {

std::string line_to_toml(const std::string& family, const std::string& name, const FitLine& line) {
  std::string text = fmt::format("\n[{}.\"{}\"]\nmean_error = {:.5f}\nlargest_error = {:.5f}\n",
                                 family, name, line.mean_error, line.largest_error);
  for (const auto& [feature, coefficient] : line.coefficients) {
    text += fmt::format("{} = {:.9e}\n", feature, coefficient);
  }
  return text;
}

FitLine read_line(const ConfigTable& table) {
  FitLine line;
  for (const std::string& key : table.keys()) {
    const double value = table.number(key);
    if (key == "mean_error") {
      line.mean_error = value;
    } else if (key == "largest_error") {
      line.largest_error = value;
    } else {
      line.coefficients[key] = value;
    }
  }
  return line;
}

}  // namespace

std::string to_toml(const CostFit& fit) {
  std::string text = fmt::format(
      "# Costs of a MAC as sums of coefficients times features, fitted to synthesis by "
      "scripts/calibrate.\n# Errors are relative, on designs left out of the fit (four-fold).\n"
      "library = \"{}\"\ntools = \"{}\"\n",
      fit.library, fit.tools);
  if (fit.register_bit) {
    const RegisterCost& bit = *fit.register_bit;
    text += fmt::format(
        "\n# A D flip-flop, per bit: of a cycle, and of a change.\n[register]\narea_um2 = {:.9e}\n"
        "clock_pj = {:.9e}\ntoggle_pj = {:.9e}\nleakage_uw = {:.9e}\n",
        bit.area_um2, bit.clock_pj, bit.toggle_pj, bit.leakage_uw);
  }
  for (const auto& [name, family] : fit.families) {
    text += fmt::format("\n[{}]\ndesigns = {}\n", name, family.designs);
    for (const auto& [line, coefficients] : family.lines) {
      text += line_to_toml(name, line, coefficients);
    }
  }
  return text;
}

CostFit read_cost_fit(const std::filesystem::path& path) {
  const ConfigTable root = ConfigTable::read_file(path);
  CostFit fit;
  fit.library = root.string("library");
  fit.tools = root.string("tools");
  if (root.has("register")) {
    const ConfigTable table = root.table("register");
    fit.register_bit = RegisterCost{table.number("area_um2"), table.number("clock_pj"),
                                    table.number("toggle_pj"), table.number("leakage_uw")};
  }
  for (const FitFamily kind : kFitFamilies) {
    const std::string name(to_string(kind));
    if (!root.has(name)) continue;
    const ConfigTable table = root.table(name);
    CostFit::Family& family = fit.families[name];
    family.designs = static_cast<int>(table.integer("designs", 1, 1 << 20));
    for (const std::string& line : table.keys()) {
      if (line != "designs") family.lines[line] = read_line(table.table(line));
    }
    for (const std::string_view cost : {"area_um2", "delay_ns", "energy_pj", "leakage_uw"}) {
      if (family.lines.find(cost) == family.lines.end()) (void)table.table(cost);  // throws
    }
  }
  root.reject_unknown();
  return fit;
}

}  // namespace narrowmac
