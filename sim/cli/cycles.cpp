#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "models/design/config.h"
#include "models/design/scale_sim_config.h"
#include "sim/cli/array_size.h"
#include "sim/cli/commands.h"
#include "sim/cli/cycle_study.h"
#include "sim/cli/image_shape.h"
#include "sim/cli/mac_argument.h"
#include "sim/experiment/presets.h"

namespace narrowmac {
namespace {

namespace fs = std::filesystem;

/// What the files say of the hardware.
struct Hardware {
  ArrayDesign array;  ///< sides and dataflow count only if the flags say so
  bool has_sides = false;
  bool has_dataflow = false;
  std::optional<MacDesign> mac;
};

/// An array file that is named as it is, or a shipped one.
fs::path find_array(const fs::path& path) {
  std::error_code error;
  if (path.has_extension() || fs::exists(path, error)) return path;
  try {
    return find_preset("arrays", path.string());
  } catch (const Error& failure) {
    throw Error(fmt::format("--memory: {}", failure.what()), failure.kind());
  }
}

Hardware read_array_file(const fs::path& path) {
  const ConfigTable root = ConfigTable::read_file(path);
  Hardware hardware;
  hardware.array = parse_array(root);
  if (!hardware.array.memory) {
    throw root.error("memory", "missing; accepted: an array file with a [memory] table");
  }
  if (root.has("mac")) hardware.mac = parse_mac(root.table("mac"));
  root.reject_unknown();
  if (root.has("array")) {
    const ConfigTable table = root.table("array");
    hardware.has_sides = table.has("rows") && table.has("columns");
    hardware.has_dataflow = table.has("dataflow");
  }
  return hardware;
}

Hardware read_scale_sim(const fs::path& path) {
  const ScaleSimConfig config = read_scale_sim_config(path);
  for (const std::string& note : config.notes) spdlog::info("{}", note);
  Hardware hardware;
  hardware.has_sides = config.rows && config.columns;
  if (hardware.has_sides) {
    hardware.array.rows = *config.rows;
    hardware.array.columns = *config.columns;
  }
  hardware.has_dataflow = config.dataflow.has_value();
  if (config.dataflow) hardware.array.dataflow = *config.dataflow;
  hardware.array.memory = config.memory;
  return hardware;
}

Hardware read_hardware(const CyclesCommand& command) {
  Hardware hardware;
  if (command.memory) {
    hardware = command.memory->extension() == ".cfg" ? read_scale_sim(*command.memory)
                                                     : read_array_file(find_array(*command.memory));
  }
  if (command.mac) hardware.mac = read_mac_argument(*command.mac).mac;
  return hardware;
}

/// Psums have the second accumulator's format wherever there is one, unless they are chained.
ElementBytes bytes_of(const ArrayDesign& array, const std::optional<MacDesign>& mac) {
  constexpr ElementBytes kIntegers{1, 1, 4};  // 8-bit operands, 32-bit sums
  if (!mac) return kIntegers;
  AccumulationOrder order;
  const bool chained = array.psum == Psum::Chained && array.dataflow != Dataflow::OutputStationary;
  if (!chained) order.chunk = mac->chunk;
  if (mac->dot || mac->exact) order = accumulation_order(*mac, array);  // refuses ws and is
  return element_bytes(*mac, order);
}

/// For a message about something that neither an option nor the file of --memory says.
std::string not_in_memory_file(const CyclesCommand& command, std::string_view what) {
  return command.memory ? fmt::format(", and {} has no {}", command.memory->string(), what) : "";
}

/// All arrays with all dataflows.
std::vector<StudiedArray> arrays_of(const CyclesCommand& command, const Hardware& hardware) {
  if (command.arrays.empty() && !hardware.has_sides) {
    throw Error(fmt::format(
        "--array: missing{}; accepted: ROWSxCOLUMNS, e.g. 32x32, or a --memory file with the "
        "array's "
        "sides",
        not_in_memory_file(command, "rows and columns (ArrayHeight and ArrayWidth in a .cfg)")));
  }
  if (command.dataflows.empty() && !hardware.has_dataflow) {
    throw Error(fmt::format(
        "--dataflow: missing{}; accepted: os, ws, is, all, or a --memory file with a dataflow",
        not_in_memory_file(command, "dataflow")));
  }
  ArrayDesign array = hardware.array;
  if (command.policy) array.policy = *command.policy;
  std::vector<ArrayDesign> sized;
  for (const std::string& text : command.arrays) {
    set_array_size(array, text);
    sized.push_back(array);
  }
  if (sized.empty()) sized.push_back(array);
  std::vector<Dataflow> dataflows = command.dataflows;
  if (dataflows.empty()) dataflows.push_back(array.dataflow);
  std::vector<StudiedArray> arrays;
  for (ArrayDesign& design : sized) {
    for (const Dataflow dataflow : dataflows) {
      design.dataflow = dataflow;
      arrays.push_back({design, bytes_of(design, hardware.mac)});
    }
  }
  return arrays;
}

std::string size_text(const ArrayDesign& array) {
  return fmt::format("{}x{}", array.rows, array.columns);
}

ResultTable full_table(const std::vector<CycleRow>& rows) {
  ResultTable table;
  table.columns = {"array",
                   "dataflow",
                   "layer",
                   "pass",
                   "m",
                   "n",
                   "k",
                   "folds",
                   "cycles",
                   "load_cycles",
                   "fill_cycles",
                   "compute_cycles",
                   "drain_cycles",
                   "stall_cycles",
                   "pipeline_stall_cycles",
                   "starvation_stall_cycles",
                   "psum_spill_stall_cycles",
                   "dram_stall_cycles",
                   "utilization",
                   "mapping_efficiency",
                   "bound_by",
                   "a_read_bytes",
                   "b_read_bytes",
                   "psum_read_bytes",
                   "psum_write_bytes",
                   "dram_read_bytes",
                   "dram_write_bytes",
                   "best"};
  for (const CycleRow& row : rows) {
    const GemmShape& shape = row.gemm.shape;
    const Timing& time = row.timing;
    const Traffic& traffic = time.traffic;
    table.rows.push_back({size_text(row.array),
                          to_string(row.array.dataflow),
                          row.gemm.layer,
                          to_string(row.gemm.pass),
                          shape.m,
                          shape.n,
                          shape.k,
                          time.folds,
                          row.cycles(),
                          time.cycles.load,
                          time.cycles.fill,
                          time.cycles.compute,
                          time.cycles.drain,
                          row.stall_cycles(),
                          time.cycles.pipeline,
                          time.stalls.scratchpad,
                          time.stalls.psum_spill,
                          time.stalls.dram(),
                          row.utilization(),
                          time.mapping_efficiency,
                          bound_by(time.cycles, time.stalls),
                          traffic.a_reads,
                          traffic.b_reads,
                          traffic.psum_reads,
                          traffic.psum_writes,
                          traffic.dram_reads,
                          traffic.dram_writes,
                          row.is_best});
  }
  return table;
}

Json decimals(double value, int count) {
  const double scale = std::pow(10.0, count);
  return Json(std::round(value * scale) / scale);
}

Json percent(double share) { return decimals(100 * share, 1); }

Json megabytes(std::int64_t bytes) { return decimals(static_cast<double>(bytes) / 1e6, 3); }

std::int64_t scratchpad_bytes(const Traffic& traffic) {
  return traffic.a_reads + traffic.b_reads + traffic.psum_reads + traffic.psum_writes;
}

/// Where cycles go, in percent: load, fill, compute, drain and the stalls, by cause.
void add_shares(std::vector<Json>& cells, const CycleParts& parts, const StallCauses& stalls) {
  const std::int64_t all = parts.total() + stalls.total();
  for (const std::int64_t part :
       {parts.load, parts.fill, parts.compute, parts.drain, parts.pipeline, stalls.scratchpad,
        stalls.psum_spill, stalls.dram()}) {
    cells.push_back(all == 0 ? Json()
                             : percent(static_cast<double>(part) / static_cast<double>(all)));
  }
}

const std::vector<std::string>& share_columns() {
  static const std::vector<std::string> columns = {"load %",       "fill %",      "compute %",
                                                   "drain %",      "pipeline %",  "starvation %",
                                                   "psum spill %", "DRAM stall %"};
  return columns;
}

/// Columns that say nothing without a memory model or with a MAC of one cycle.
void drop_empty_columns(ResultTable& table) {
  const auto is_zero = [](const Json& cell) { return cell.is_null() || cell.number() == 0; };
  for (const std::string_view name :
       {"pipeline %", "starvation %", "psum spill %", "DRAM stall %", "DRAM MB"}) {
    const auto found = std::find(table.columns.begin(), table.columns.end(), name);
    if (found == table.columns.end()) continue;
    const auto index = found - table.columns.begin();
    if (!std::all_of(table.rows.begin(), table.rows.end(), [&](const std::vector<Json>& row) {
          return is_zero(row[static_cast<std::size_t>(index)]);
        })) {
      continue;
    }
    table.columns.erase(found);
    for (auto& row : table.rows) row.erase(row.begin() + index);
  }
}

std::vector<std::string> columns_around_shares(std::vector<std::string> before,
                                               const std::vector<std::string>& after) {
  before.insert(before.end(), share_columns().begin(), share_columns().end());
  before.insert(before.end(), after.begin(), after.end());
  return before;
}

std::string rows_for_people(const std::vector<CycleRow>& rows, bool compares) {
  ResultTable table;
  table.columns = columns_around_shares(
      {"array", "dataflow", "layer", "pass", "M", "N", "K", "folds", "cycles"},
      {"utilization %", "mapped %", "scratchpads MB", "DRAM MB", "bound by"});
  if (compares) table.columns.emplace_back("best");
  for (const CycleRow& row : rows) {
    const GemmShape& shape = row.gemm.shape;
    const Timing& time = row.timing;
    std::vector<Json> cells = {size_text(row.array),
                               to_string(row.array.dataflow),
                               row.gemm.layer,
                               to_string(row.gemm.pass),
                               shape.m,
                               shape.n,
                               shape.k,
                               time.folds,
                               row.cycles()};
    add_shares(cells, time.cycles, time.stalls);
    cells.push_back(percent(row.utilization()));
    cells.push_back(percent(time.mapping_efficiency));
    cells.push_back(megabytes(scratchpad_bytes(time.traffic)));
    cells.push_back(megabytes(time.traffic.dram_reads + time.traffic.dram_writes));
    cells.emplace_back(bound_by(time.cycles, time.stalls));
    if (compares) cells.emplace_back(row.is_best ? "*" : "");
    table.rows.push_back(std::move(cells));
  }
  drop_empty_columns(table);
  return render(table, OutputFormat::Table);
}

std::string totals_for_people(const std::vector<CycleRow>& rows) {
  ResultTable table;
  table.columns = columns_around_shares({"array", "dataflow", "pass", "cycles"},
                                        {"utilization %", "scratchpads MB", "DRAM MB", "bound by"});
  for (const CycleTotal& total : total_cycles(rows)) {
    std::vector<Json> cells = {total.array, total.dataflow, total.pass, total.cycles};
    add_shares(cells, total.parts, total.stalls);
    cells.push_back(percent(total.utilization()));
    cells.push_back(megabytes(scratchpad_bytes(total.traffic)));
    cells.push_back(megabytes(total.traffic.dram_reads + total.traffic.dram_writes));
    cells.emplace_back(bound_by(total.parts, total.stalls));
    table.rows.push_back(std::move(cells));
  }
  drop_empty_columns(table);
  return render(table, OutputFormat::Table);
}

std::string heading(const CyclesCommand& command, const Workload& workload,
                    const StudiedArray& first) {
  const ArrayDesign& array = first.array;
  const ElementBytes& bytes = first.bytes;
  std::string text = fmt::format(
      "{}, batch {}; {} folds; elements of {} (A), {} (B) and {} (psum) bytes\n", command.workload,
      workload.batch, to_string(array.policy), bytes.a, bytes.b, bytes.psum);
  if (command.fidelity == Fidelity::Transaction) text += "simulated at transaction level\n";
  if (!array.memory) return text + "no memory model: no stalls, no DRAM traffic\n\n";
  return text + fmt::format(
                    "scratchpads of {} bytes (A, B) and {} (psums) at {} bytes a cycle; DRAM {} "
                    "bytes a cycle, latency {} cycles\n\n",
                    array.memory->operand_scratchpad_bytes, array.memory->psum_scratchpad_bytes,
                    array.memory->scratchpad_bytes_per_cycle, array.memory->dram_bytes_per_cycle,
                    array.memory->dram_latency_cycles);
}

/// The gradient of the image may be most of BWD, and nobody needs it.
std::string note_on_first_layer(const Workload& workload) {
  for (const WorkloadGemm& gemm : workload.gemms) {
    if (gemm.layer != workload.gemms.front().layer) break;
    if (gemm.pass != Pass::Backward) continue;
    return fmt::format(
        "\nBWD of {} is counted; if that layer reads the image, training does not compute it.\n",
        gemm.layer);
  }
  return "";
}

/// What does not fit is said with the file that holds the sizes.
std::vector<CycleRow> study(const CyclesCommand& command, const std::vector<StudiedArray>& arrays,
                            const Workload& workload) {
  try {
    return study_cycles(arrays, workload, command.fidelity);
  } catch (const Error& failure) {
    if (!command.memory) throw;
    const bool scale_sim = command.memory->extension() == ".cfg";
    throw Error(fmt::format("{}: {}{}", command.memory->string(), failure.what(),
                            scale_sim ? " (scratchpads are IfmapSramSzkB, FilterSramSzkB and "
                                        "OfmapSramSzkB in a .cfg)"
                                      : ""),
                failure.kind());
  }
}

}  // namespace

int cycles_command(const CyclesCommand& command, OutputFormat format) {
  const Hardware hardware = read_hardware(command);
  const std::vector<StudiedArray> arrays = arrays_of(command, hardware);
  std::optional<FeatureShape> input;
  if (command.input) input = image_shape(*command.input);
  const Workload workload = load_workload(command.workload, command.passes, command.batch, input);
  const std::vector<CycleRow> rows = study(command, arrays, workload);
  if (format != OutputFormat::Table) {
    print(render(full_table(rows), format));
    return 0;
  }
  print(heading(command, workload, arrays.front()) + rows_for_people(rows, arrays.size() > 1) +
        "\nTotals\n" + totals_for_people(rows) + note_on_first_layer(workload));
  return 0;
}

}  // namespace narrowmac
