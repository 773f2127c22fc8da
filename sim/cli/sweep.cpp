#include "sim/experiment/sweep.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "sim/cli/commands.h"

namespace narrowmac {
namespace {

ResultTable points_table(const SweepReport& report) {
  ResultTable table;
  table.columns = {"label", "seed", "hash"};
  table.columns.insert(table.columns.end(), report.keys.begin(), report.keys.end());
  for (const SweepPointReport& point : report.points) {
    std::vector<Json> row = {Json(point.label), Json(point.seed), Json(point.hash)};
    for (const std::string& value : point.values) row.emplace_back(value);
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

int sweep_command(const SweepCommand& command, OutputFormat format) {
  const SweepReport report = run_sweep(command.options);
  if (command.options.dry_run) {
    print(render(points_table(report), format));
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
  print(format == OutputFormat::Csv ? report.sweep_csv
                                    : render(parse_csv(report.sweep_csv), format));
  return report.failed > 0 || report.signal != 0 ? 1 : 0;
}

}  // namespace narrowmac
