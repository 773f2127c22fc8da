#include "sim/cli/estimate_report.h"

#include <fmt/core.h>

#include <algorithm>

namespace narrowmac {
namespace {

constexpr std::string_view kNotInIt =
    "Not in the numbers: placement, wires, clock tree; what MACs share, a source of random words "
    "and a counter of chunks;\nand glitches, which multiply the energy of a floating-point MAC by "
    "2.3 to 4. Tools' noise is about 5 %: compare ratios\nin one library, not absolute numbers.\n";

Json area_parts_of(const CostRecord& record) {
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

/// How far off the fit was, behind a fitted number.
std::string error_text(const CostRecord& record, std::string_view cost) {
  for (const CostError& error : record.errors) {
    if (error.cost != cost) continue;
    return fmt::format("   off by {:.0f} % on designs the fit had not seen, at most {:.0f} %",
                       100 * error.mean, 100 * error.largest);
  }
  return "";
}

/// Backend, library and tools, in a line.
std::string source_line(const CostRecord& record) {
  return fmt::format("{} on {} ({})\n", record.backend, record.library, record.tools);
}

std::string memory_line(const ArrayDesign& array, const MemoryCost& memory) {
  if (!array.memory) {
    return "No [memory], so neither scratchpads nor DRAM are in it.\n";
  }
  const auto half = [](std::int64_t bytes) { return static_cast<double>(bytes) / 2; };
  return fmt::format(
      "Scratchpads ({}) take {:.1f} (operands) and {:.1f} (psums), DRAM {:.1f} pJ a byte;\nsource: "
      "{}\n",
      memory.process, memory.scratchpad_pj_per_byte(half(array.memory->operand_scratchpad_bytes)),
      memory.scratchpad_pj_per_byte(half(array.memory->psum_scratchpad_bytes)),
      memory.dram_pj_per_byte, memory.source);
}

std::string array_text(const ArrayDesign& design, const ArrayCost& array) {
  std::string text = fmt::format("array {}\n", describe(design));
  text += fmt::format("  {:<20}{:>12}{:>16}{:>16}\n", "part", "count", "area, um^2", "leakage, uW");
  for (const ArrayPart& part : array.parts) {
    text += fmt::format("  {:<20}{:>12}{:>16.0f}{:>16}\n", part.name, part.count, part.area_um2,
                        part.leakage_uw ? fmt::format("{:.2f}", *part.leakage_uw) : "-");
  }
  return text + fmt::format("  {:<20}{:>12}{:>16.0f}{:>16.2f}\n", "total", "", array.area_um2,
                            array.leakage_uw);
}

Json array_json(const ArrayDesign& design, const ArrayCost& array, const MemoryCost& memory) {
  Json::Array parts;
  for (const ArrayPart& part : array.parts) {
    parts.push_back(Json::Object{{"part", part.name},
                                 {"count", part.count},
                                 {"area_um2", part.area_um2},
                                 {"leakage_uw", part.leakage_uw}});
  }
  Json::Object object{{"rows", design.rows},
                      {"columns", design.columns},
                      {"dataflow", to_string(design.dataflow)},
                      {"area_um2", array.area_um2},
                      {"leakage_uw", array.leakage_uw},
                      {"delay_ns", array.delay_ns},
                      {"parts", std::move(parts)}};
  if (design.memory) {
    const auto per_byte = [&memory](std::int64_t bytes) {
      return memory.scratchpad_pj_per_byte(static_cast<double>(bytes) / 2);
    };
    object.emplace_back(
        "memory",
        Json::Object{
            {"operand_scratchpad_pj_per_byte", per_byte(design.memory->operand_scratchpad_bytes)},
            {"psum_scratchpad_pj_per_byte", per_byte(design.memory->psum_scratchpad_bytes)},
            {"dram_pj_per_byte", memory.dram_pj_per_byte},
            {"process", memory.process},
            {"source", memory.source}});
  } else {
    object.emplace_back("memory", Json());
  }
  return object;
}

std::string text_of(const EstimateReport& report) {
  const CostRecord& record = report.record;
  const auto line = [&record](std::string_view name, double value, int digits,
                              std::string_view unit, std::string_view cost) {
    return fmt::format("{:<22}{:>12.{}f} {}{}\n", name, value, digits, unit,
                       error_text(record, cost));
  };
  std::string text = describe(report.mac) + "\n";
  text += line("area", record.area_um2, 1, "um^2", "area_um2");
  for (const AreaPart& part : record.parts) {
    text += fmt::format("  {:<20}{:>12.1f} um^2 {:>5.1f} %\n", part.name, part.area_um2,
                        100 * part.area_um2 / record.area_um2);
  }
  text += line("critical path", record.delay_ns, 3, "ns", "delay_ns");
  text += line("energy per product", record.energy_pj, 4, "pJ", "energy_pj");
  text += line("  at clock pins", record.clock_pj, 4, "pJ", "clock_pj");
  text += line("leakage", record.leakage_uw, 5, "uW", "leakage_uw");
  if (report.array) {
    text += array_text(*report.design, *report.array);
    text += fmt::format("  {:<20}{:>12.4f} pJ a product, in operand registers\n", "",
                        report.array->register_pj);
    text += memory_line(*report.design, report.memory);
  }
  return text + source_line(record) +
         "Energy of 64 sums of 128 products of operands from N(0, 1), zero-delay.\n" +
         std::string(kNotInIt);
}

Json::Object numbers_of(const CostRecord& record) {
  return {{"area_um2", record.area_um2},     {"delay_ns", record.delay_ns},
          {"energy_pj", record.energy_pj},   {"clock_pj", record.clock_pj},
          {"leakage_uw", record.leakage_uw}, {"backend", record.backend},
          {"library", record.library},       {"tools", record.tools}};
}

/// One row: everything that has a number.
ResultTable row_of(const EstimateReport& report) {
  Json::Object object = numbers_of(report.record);
  const auto column = [](std::string name, std::string_view unit) {
    std::replace(name.begin(), name.end(), ' ', '_');
    return name + std::string(unit);
  };
  // The area's; a measured one has none.
  Json area_error;
  for (const CostError& error : report.record.errors) {
    if (error.cost == "area_um2") area_error = Json(error.mean);
  }
  object.emplace_back("error", area_error);
  for (const CostError& error : report.record.errors) {
    object.emplace_back(column(error.cost, "_mean_error"), error.mean);
    object.emplace_back(column(error.cost, "_largest_error"), error.largest);
  }
  for (const AreaPart& part : report.record.parts) {
    object.emplace_back(column(part.name, "_um2"), part.area_um2);
  }
  if (report.array) {
    object.emplace_back("array_area_um2", report.array->area_um2);
    object.emplace_back("array_leakage_uw", report.array->leakage_uw);
    object.emplace_back("register_pj", report.array->register_pj);
    for (const ArrayPart& part : report.array->parts) {
      object.emplace_back(column("array " + part.name, "_um2"), part.area_um2);
    }
  }
  ResultTable table;
  table.rows.emplace_back();
  for (const auto& [name, value] : object) {
    table.columns.push_back(name);
    table.rows.back().push_back(value);
  }
  return table;
}

/// One row per layer and pass; numbers in full.
ResultTable gemm_table(const TrainingPrice& price) {
  ResultTable table;
  table.columns = {"layer",        "pass",       "mac",     "macs",        "cycles",
                   "stall_cycles", "product_pj", "mac_uj",  "register_uj", "scratchpad_uj",
                   "dram_uj",      "leakage_uj", "total_uj"};
  for (const GemmPrice& gemm : price.gemms) {
    std::vector<Json> row = {gemm.layer, to_string(gemm.pass), gemm.mac, gemm.macs};
    if (gemm.on_array) {
      const EnergyParts& energy = gemm.energy;
      const auto if_memory = [&price](double value) {
        return price.has_memory ? Json(value) : Json();
      };
      row.insert(row.end(), {gemm.cycles, gemm.stall_cycles, gemm.energy_product_pj, energy.mac,
                             energy.registers, if_memory(energy.scratchpads),
                             if_memory(energy.dram), energy.leakage, energy.total()});
    }
    row.resize(table.columns.size());
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// For people: four digits of what is computed, and a MAC that all rows share above the table.
std::string gemm_text(const TrainingPrice& price) {
  ResultTable table = gemm_table(price);
  const auto is_first = [&price](const GemmPrice& gemm) {
    return gemm.mac == price.gemms.front().mac;
  };
  const bool one_mac = std::all_of(price.gemms.begin(), price.gemms.end(), is_first);
  constexpr std::size_t kMac = 2, kComputed = 6;
  for (auto& row : table.rows) {
    for (std::size_t i = kComputed; i < row.size(); ++i) row[i] = rounded(row[i], 4);
    if (one_mac) row.erase(row.begin() + kMac);
  }
  if (!one_mac) return render(table, OutputFormat::Table);
  table.columns.erase(table.columns.begin() + kMac);
  return fmt::format("{}\n", price.gemms.front().mac) + render(table, OutputFormat::Table);
}

Json energy_json(const EnergyParts& energy, bool has_memory) {
  const auto if_memory = [has_memory](double value) { return has_memory ? Json(value) : Json(); };
  return Json::Object{{"mac_uj", energy.mac},
                      {"register_uj", energy.registers},
                      {"scratchpad_uj", if_memory(energy.scratchpads)},
                      {"dram_uj", if_memory(energy.dram)},
                      {"leakage_uj", energy.leakage},
                      {"total_uj", energy.total()}};
}

std::string energy_line(std::string_view name, const EnergyParts& energy, bool has_memory) {
  std::string text = fmt::format("{:<22}{:>12.5g} uJ: MACs {:.4g}, operand registers {:.4g}", name,
                                 energy.total(), energy.mac, energy.registers);
  if (has_memory) {
    text += fmt::format(", scratchpads {:.4g}, DRAM {:.4g}", energy.scratchpads, energy.dram);
  }
  return text + fmt::format(", leakage {:.4g}\n", energy.leakage);
}

/// fp32 has no price, and how much work that is.
std::string fp32_line(const TrainingPrice& price) {
  std::int64_t all = 0, fp32 = 0;
  for (const GemmPrice& gemm : price.gemms) {
    all += gemm.macs;
    if (!gemm.on_array) fp32 += gemm.macs;
  }
  if (fp32 == 0) return "";
  return fmt::format(
      "Without a price: the {:.1f} % of the MAC operations that are fp32, outside the "
      "array.\n",
      100 * static_cast<double>(fp32) / static_cast<double>(all));
}

std::string text_of(const TrainingReport& report) {
  const TrainingPrice& price = report.price;
  std::string text = fmt::format("run {}\n", report.run);
  text += array_text(report.config.array, price.array);
  text += fmt::format("clock {:.2f} MHz ({})\na training step of {} images:\n", price.clock_mhz,
                      report.given_clock ? "--clock" : "the slowest MAC's critical path",
                      report.config.training.batch);
  text += gemm_text(price);
  text += energy_line("step", price.step, price.has_memory);
  text += energy_line(fmt::format("epoch ({} steps)", price.steps_per_epoch), price.epoch,
                      price.has_memory);
  text += fmt::format(
      "The MACs take {:.2f} of the area and {:.2f} of the energy of MACs with these operands that "
      "accumulate in fp32.\n",
      price.area_relative, price.energy_relative);
  text += memory_line(report.config.array, report.memory);
  text += fp32_line(price) + source_line(report.source);
  for (const std::string_view cost : {"area_um2", "energy_pj"}) {
    const std::string error = error_text(report.source, cost);
    if (!error.empty()) text += fmt::format("{}:{}\n", cost, error);
  }
  return text + fmt::format("Energy per product: {}, zero-delay.\n", report.operands) +
         std::string(kNotInIt);
}

Json json_of(const TrainingReport& report) {
  const TrainingPrice& price = report.price;
  const bool has_memory = price.has_memory;
  return Json::Object{{"schema", 1},
                      {"run", report.run},
                      {"backend", report.source.backend},
                      {"library", report.source.library},
                      {"tools", report.source.tools},
                      {"error", errors_of(report.source)},
                      {"operands", report.operands},
                      {"clock_mhz", price.clock_mhz},
                      {"array", array_json(report.config.array, price.array, report.memory)},
                      {"batch", report.config.training.batch},
                      {"steps_per_epoch", price.steps_per_epoch},
                      {"area_relative", price.area_relative},
                      {"energy_relative", price.energy_relative},
                      {"layers", to_json(gemm_table(price))},
                      {"step", energy_json(price.step, has_memory)},
                      {"epoch", energy_json(price.epoch, has_memory)}};
}

}  // namespace

std::string render(const EstimateReport& report, OutputFormat format) {
  if (format == OutputFormat::Table) return text_of(report);
  if (format == OutputFormat::Csv) return render(row_of(report), format);
  Json::Object object{{"schema", 1}};
  for (auto& member : numbers_of(report.record)) object.push_back(std::move(member));
  object.emplace_back("error", errors_of(report.record));
  object.emplace_back("parts", area_parts_of(report.record));
  if (report.array) {
    Json::Object array = array_json(*report.design, *report.array, report.memory).object();
    array.emplace_back("register_pj", report.array->register_pj);
    object.emplace_back("array", Json(std::move(array)));
  }
  return Json(std::move(object)).to_text();
}

std::string render(const TrainingReport& report, OutputFormat format) {
  if (format == OutputFormat::Table) return text_of(report);
  if (format == OutputFormat::Csv) return render(gemm_table(report.price), format);
  return json_of(report).to_text();
}

}  // namespace narrowmac
