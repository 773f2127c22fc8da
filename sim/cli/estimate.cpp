#include "models/cost/estimate.h"

#include <fmt/core.h>

#include "models/design/config.h"
#include "models/design/error.h"
#include "sim/cli/commands.h"

namespace narrowmac {
namespace {

Json parts_of(const CostRecord& record) {
  Json::Object parts;
  for (const AreaPart& part : record.parts) parts.emplace_back(part.name, part.area_um2);
  return Json(std::move(parts));
}

/// What the numbers leave out, for people.
std::string limits(const CostRecord& record) {
  return fmt::format(
      "{} on {} ({})\n"
      "Area without placement and clock tree; delay without wires; energy of 64 sums of 128 "
      "products "
      "of operands from\nN(0, 1), zero-delay: no wires, no clock tree, and no glitches, which "
      "multiply the energy of a floating-point MAC by\n2.3 to 4. Tools' noise is about 5 %: "
      "compare "
      "ratios in one library, not absolute numbers.\n",
      record.backend, record.library, record.tools);
}

std::string table_of(const CostRecord& record, const MacDesign& mac) {
  std::string text = fmt::format(
      "{}\n{:<22}{:>12.1f} um^2\n{:<22}{:>12.3f} ns\n{:<22}{:>12.4f} pJ per product, {:.4f} of it "
      "at "
      "clock pins\n{:<22}{:>12.5f} uW\n",
      describe(mac), "area", record.area_um2, "critical path", record.delay_ns, "energy",
      record.energy_pj, record.clock_pj, "leakage", record.leakage_uw);
  for (const AreaPart& part : record.parts) {
    text += fmt::format("  {:<20}{:>12.1f} um^2 {:>5.1f} %\n", part.name, part.area_um2,
                        100 * part.area_um2 / record.area_um2);
  }
  return text + limits(record);
}

}  // namespace

int estimate_command(const EstimateCommand& command, OutputFormat format) {
  const MacFile file = read_mac_file(command.mac);
  const RtlDesign design = RtlDesign::of(file.mac, file.array.value_or(ArrayDesign{}));
  try {
    check_rtl(design);
  } catch (const Error& failure) {
    throw Error(fmt::format("{}: {}", command.mac.string(), failure.what()));
  }
  const std::filesystem::path liberty = command.liberty.value_or(std::filesystem::path());
  const CostRecord record = estimate_by_synthesis(
      design, liberty.empty() ? default_liberty() : liberty, normal_operands(file.mac, 0),
      command.cached ? default_synthesis_cache() : std::filesystem::path());
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
    object.emplace_back("parts", parts_of(record));
    print(Json(std::move(object)).to_text());
    return 0;
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
