#include "sim/experiment/sweep.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <map>

#include "sim/cli/commands.h"

namespace narrowmac {
namespace {

/// What a terminal's line has room for of a value; csv and json have all of it.
std::string shortened(const std::string& value, OutputFormat format) {
  constexpr std::size_t kMost = 32;
  if (format != OutputFormat::Table || value.size() <= kMost) return value;
  return value.substr(0, kMost - 3) + "...";
}

ResultTable points_table(const SweepReport& report, OutputFormat format) {
  ResultTable table;
  table.columns = {"label", "seed", "hash"};
  table.columns.insert(table.columns.end(), report.keys.begin(), report.keys.end());
  for (const SweepPointReport& point : report.points) {
    std::vector<Json> row = {Json(point.label), Json(point.seed), Json(point.hash)};
    for (const std::string& value : point.values) row.emplace_back(shortened(value, format));
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// A title above each group of three columns FWD, BWD, GRAD, ending where the group ends.
std::string group_titles(const std::string& header, const std::vector<std::string>& titles) {
  std::string line;
  std::size_t from = 0;
  for (const std::string& title : titles) {
    from = header.find("GRAD", from) + 4;
    line.resize(std::max(line.size(), from - std::min(from, title.size())), ' ');
    line += title;
  }
  return line + "\n";
}

/// What a person compares, short enough for a line; csv and json have everything.
std::string results_for_people(const std::string& sweep_csv) {
  const ResultTable all = parse_csv(sweep_csv);
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < all.columns.size(); ++i) index[all.columns[i]] = i;
  const auto cell = [&](const std::vector<Json>& row, const std::string& column) -> const Json& {
    return row.at(index.at(column));
  };
  const bool any_diverged = std::any_of(all.rows.begin(), all.rows.end(), [&](const auto& row) {
    const Json& diverged = cell(row, "diverged");
    return !diverged.is_null() && diverged.string() == "true";
  });
  struct Group {
    std::string column;
    double factor;
    int digits;
  };
  const std::array<Group, 3> groups = {Group{"full_swamping", 100, 3}, Group{"vrr", 1, 4},
                                       Group{"nmse", 1, 3}};
  ResultTable table;
  table.columns = {"label", "seed", "test %"};
  if (any_diverged) table.columns.emplace_back("diverged");
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (const Pass pass : kPasses) table.columns.emplace_back(to_string(pass));
  }
  table.columns.insert(table.columns.end(), {"area", "energy", "seconds"});
  for (const auto& row : all.rows) {
    std::vector<Json> line = {cell(row, "label"), cell(row, "seed"),
                              rounded(cell(row, "test_accuracy"), 4, 100)};
    if (any_diverged) {
      const Json& diverged = cell(row, "diverged");
      line.push_back(diverged.is_null() ? Json() : Json(diverged.string() == "true"));
    }
    for (const Group& group : groups) {
      for (const Pass pass : kPasses) {
        const std::string column = fmt::format("{}_{}", group.column, to_string(pass));
        line.push_back(rounded(cell(row, column), group.digits, group.factor));
      }
    }
    line.push_back(rounded(cell(row, "area_relative"), 3));
    line.push_back(rounded(cell(row, "energy_relative"), 3));
    line.push_back(rounded(cell(row, "seconds"), 4));
    table.rows.push_back(std::move(line));
  }
  const std::string text = render(table, OutputFormat::Table);
  constexpr std::string_view kCosts =
      "area, energy: of the MACs, per step, against MACs of the same operands that accumulate in "
      "fp32\n";
  return group_titles(text.substr(0, text.find('\n')), {"full swamping %", "VRR", "NMSE"}) + text +
         std::string(kCosts);
}

}  // namespace

int sweep_command(const SweepCommand& command, OutputFormat format) {
  const SweepReport report = run_sweep(command.options);
  if (command.options.dry_run) {
    print(render(points_table(report, format), format));
    return 0;
  }
  const auto failed = std::find_if(
      report.points.begin(), report.points.end(),
      [](const auto& point) { return point.state == SweepPointReport::State::Failed; });
  if (failed != report.points.end()) {
    spdlog::error("{} of {} points failed, first '{}' (see {}): {}", report.failed,
                  report.points.size(), failed->label, failed->log.string(), failed->error);
  }
  if (report.signal != 0) {
    spdlog::error("{}: stopped by signal {}; --resume goes on", report.out.string(), report.signal);
  }
  switch (format) {
    case OutputFormat::Table:
      print(results_for_people(report.sweep_csv));
      break;
    case OutputFormat::Csv:
      print(report.sweep_csv);
      break;
    case OutputFormat::Json:
      print(render(parse_csv(report.sweep_csv), format));
      break;
  }
  return report.failed > 0 || report.signal != 0 ? 1 : 0;
}

}  // namespace narrowmac
