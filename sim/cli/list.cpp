#include <fmt/core.h>

#include <fstream>

#include "models/design/error.h"
#include "models/workload/topology.h"
#include "sim/cli/commands.h"
#include "sim/experiment/presets.h"

namespace narrowmac {
namespace {

/// The first comment line of a file says what it is.
std::string description_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto start = line.find_first_not_of("# \t\r");
    if (!line.starts_with('#')) {
      if (start == std::string::npos) continue;
      break;
    }
    if (start == std::string::npos) continue;
    return line.substr(start, line.find_last_not_of(" \t\r") + 1 - start);
  }
  return "";
}

}  // namespace

int list_command(const ListCommand& /*command*/, OutputFormat format) {
  ResultTable table;
  table.columns = {"kind", "name", "description", "path"};
  for (const std::string category : {"macs", "arrays", "networks", "experiments", "sweeps"}) {
    for (const std::filesystem::path& path : list_presets(category)) {
      table.rows.push_back({Json(category.substr(0, category.size() - 1)),
                            Json(path.stem().string()), Json(description_of(path)),
                            Json(path.string())});
    }
  }
  for (const std::filesystem::path& path : list_presets("topologies", {}, ".csv")) {
    const std::size_t layers = read_topology(path).size();
    table.rows.push_back({Json("topology"), Json(path.stem().string()),
                          Json(fmt::format("SCALE-Sim topology, {} layers", layers)),
                          Json(path.string())});
  }
  if (table.rows.empty()) {
    throw Error(
        "there are no shipped files to list: neither NARROWMAC_CONFIGS, nor the installed share, "
        "nor the "
        "source tree has a folder configs/");
  }
  if (format == OutputFormat::Table) {  // the path is long and seldom wanted
    table.columns.pop_back();
    for (auto& row : table.rows) row.pop_back();
  }
  print(render(table, format));
  return 0;
}

}  // namespace narrowmac
