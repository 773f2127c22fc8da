#include "models/cost/estimate.h"

#include <fmt/core.h>

#include "models/cost/fit.h"
#include "models/design/config.h"
#include "models/design/error.h"
#include "sim/cli/commands.h"
#include "sim/experiment/presets.h"

namespace narrowmac {
namespace {

constexpr std::string_view kUnit[] = {"um^2", "ns", "pJ", "uW"};

Json parts_of(const CostRecord& record) {
  Json::Object parts;
  for (const AreaPart& part : record.parts) parts.emplace_back(part.name, part.area_um2);
  return Json(std::move(parts));
}

/// Null for what has been measured.
Json errors_of(const CostRecord& record) {
  if (record.errors.empty()) return Json();
  Json::Object errors;
  for (const CostError& error : record.errors) {
    errors.emplace_back(error.cost,
                        Json(Json::Object{{"mean", error.mean}, {"largest", error.largest}}));
  }
  return Json(std::move(errors));
}

/// ", +-4 % (largest 12 %)" behind a fitted number.
std::string error_text(const CostRecord& record, std::string_view cost) {
  for (const CostError& error : record.errors) {
    if (error.cost != cost) continue;
    return fmt::format("   off by {:.0f} % on designs the fit had not seen, at most {:.0f} %",
                       100 * error.mean, 100 * error.largest);
  }
  return "";
}

/// What the numbers hold and leave out, for people.
std::string limits(const CostRecord& record) {
  return fmt::format(
      "{} on {} ({})\n"
      "Area without placement and clock tree; delay without wires; energy of 64 sums of 128 "
      "products of operands from\nN(0, 1), zero-delay: no wires, no clock tree, and no glitches, "
      "which multiply the energy of a floating-point MAC by\n2.3 to 4. Tools' noise is about 5 %: "
      "compare ratios in one library, not absolute numbers.\n",
      record.backend, record.library, record.tools);
}

std::string table_of(const CostRecord& record, const MacDesign& mac) {
  const auto line = [&record](std::string_view name, double value, int digits,
                              std::string_view unit, std::string_view cost) {
    return fmt::format("{:<22}{:>12.{}f} {}{}\n", name, value, digits, unit,
                       error_text(record, cost));
  };
  std::string text = describe(mac) + "\n";
  text += line("area", record.area_um2, 1, kUnit[0], "area_um2");
  for (const AreaPart& part : record.parts) {
    text += fmt::format("  {:<20}{:>12.1f} {} {:>5.1f} %\n", part.name, part.area_um2, kUnit[0],
                        100 * part.area_um2 / record.area_um2);
  }
  text += line("critical path", record.delay_ns, 3, kUnit[1], "delay_ns");
  text += line("energy per product", record.energy_pj, 4, kUnit[2], "energy_pj");
  text += line("  at clock pins", record.clock_pj, 4, kUnit[2], "clock_pj");
  text += line("leakage", record.leakage_uw, 5, kUnit[3], "leakage_uw");
  return text + limits(record);
}

/// A name without a slash or an ending is a shipped fit's.
std::filesystem::path fit_file(const EstimateCommand& command) {
  const bool is_file = command.fit.find('/') != std::string::npos || command.fit.ends_with(".toml");
  return is_file ? std::filesystem::path(command.fit) : find_preset("costs", command.fit);
}

CostRecord estimate(const EstimateCommand& command, const RtlDesign& design) {
  if (!command.synthesises) {
    const CostFit fit = read_cost_fit(fit_file(command));
    try {
      return estimate_by_fit(design, fit);
    } catch (const Error& failure) {
      throw Error(fmt::format("{}: {}", command.mac.string(), failure.what()));
    }
  }
  try {
    check_rtl(design);
  } catch (const Error& failure) {
    throw Error(fmt::format("{}: {}", command.mac.string(), failure.what()));
  }
  return estimate_by_synthesis(
      design, command.liberty ? *command.liberty : default_liberty(),
      normal_operands(design.mac, 0),
      command.cached ? default_synthesis_cache() : std::filesystem::path());
}

}  // namespace

int estimate_command(const EstimateCommand& command, OutputFormat format) {
  const MacFile file = read_mac_file(command.mac);
  const RtlDesign design = RtlDesign::of(file.mac, file.array.value_or(ArrayDesign{}));
  const CostRecord record = estimate(command, design);
  if (format == OutputFormat::Table) {
    print(table_of(record, file.mac));
    return 0;
  }
  Json::Object object{{"area_um2", record.area_um2},     {"delay_ns", record.delay_ns},
                      {"energy_pj", record.energy_pj},   {"clock_pj", record.clock_pj},
                      {"leakage_uw", record.leakage_uw}, {"backend", record.backend},
                      {"library", record.library},       {"tools", record.tools}};
  if (format == OutputFormat::Json) {
    object.insert(object.begin(), {"schema", 1});
    object.emplace_back("error", errors_of(record));
    object.emplace_back("parts", parts_of(record));
    print(Json(std::move(object)).to_text());
    return 0;
  }
  for (const CostError& error : record.errors) {
    object.emplace_back(error.cost + " mean_error", error.mean);
    object.emplace_back(error.cost + " largest_error", error.largest);
  }
  for (const AreaPart& part : record.parts) {
    object.emplace_back(part.name + " um2", part.area_um2);
  }
  ResultTable table;
  table.rows.emplace_back();
  for (const auto& [name, value] : object) {
    table.columns.push_back(name);
    table.rows.back().push_back(value);
  }
  print(render(table, format));
  return 0;
}

}  // namespace narrowmac
