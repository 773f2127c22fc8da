#include "sim/experiment/run.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include "sim/cli/commands.h"

namespace narrowmac {
namespace {

ResultTable plan_table(const RunPlan& plan) {
  ResultTable table;
  table.columns = {"layer", "pass", "m", "n", "k", "cycles", "mac"};
  for (const PlannedGemm& gemm : plan.gemms) {
    table.rows.push_back({Json(gemm.layer), Json(to_string(gemm.pass)), Json(gemm.shape.m),
                          Json(gemm.shape.n), Json(gemm.shape.k), Json(gemm.cycles),
                          Json(gemm.mac)});
  }
  return table;
}

void print_plan(const RunReport& report, OutputFormat format) {
  if (format != OutputFormat::Table) {
    print(render(plan_table(report.plan), format));
    return;
  }
  print(fmt::format("run {} ({})\narray {}\n{} steps of {} an epoch; one step:\n{}", report.name,
                    report.out.string(), report.plan.array, report.plan.steps,
                    report.plan.steps_per_epoch, render(plan_table(report.plan), format)));
}

void print_results(const RunReport& report, OutputFormat format) {
  if (format == OutputFormat::Json) {
    print(report.summary_json);
    return;
  }
  ResultTable table;
  table.columns = {"name",     "test_accuracy", "test_loss", "train_loss",
                   "diverged", "steps",         "directory"};
  table.rows.push_back({Json(report.name), Json(report.test_accuracy), Json(report.test_loss),
                        Json(report.train_loss), Json(report.diverged), Json(report.steps),
                        Json(report.out.string())});
  print(render(table, format));
}

}  // namespace

int run_command(const RunCommand& command, OutputFormat format) {
  const RunReport report = run_experiment(command.options);
  switch (report.outcome) {
    case RunOutcome::Planned:
      print_plan(report, format);
      return 0;
    case RunOutcome::Interrupted:
      spdlog::error("{}: stopped by signal {} after {} steps; --resume goes on",
                    report.out.string(), report.signal, report.steps);
      return 1;
    case RunOutcome::WasFinished:
      spdlog::info("{}: was finished already, nothing was computed", report.out.string());
      break;
    case RunOutcome::Finished:
      break;
  }
  print_results(report, format);
  return 0;
}

}  // namespace narrowmac
