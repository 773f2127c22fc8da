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

std::string line_of(std::string_view what, const std::string& value) {
  return fmt::format("{:<16}{}\n", what, value);
}

std::string or_dash(const Json& number, int digits) {
  return number.is_null() ? "-" : fmt::format("{:.{}f}", number.number(), digits);
}

/// What happened in the accumulators, pass by pass; empty if nothing was observed (fp32).
std::string passes_for_people(const Json& results) {
  ResultTable table;
  table.columns = {"pass", "full swamping %", "partial swamping %", "overflow %", "VRR", "NMSE"};
  for (const Pass pass : kPasses) {
    const Json& of_pass = results.at("passes").at(to_string(pass));
    if (of_pass.at("observed_gemms").integer() == 0) continue;
    table.rows.push_back({Json(to_string(pass)), rounded(of_pass.at("full_swamping"), 4, 100),
                          rounded(of_pass.at("partial_swamping"), 4, 100),
                          rounded(of_pass.at("overflow"), 4, 100), rounded(of_pass.at("vrr"), 4),
                          rounded(of_pass.at("nmse"), 4)});
  }
  return table.rows.empty() ? "" : "\n" + render(table, OutputFormat::Table);
}

/// Area and energy of the MACs, or why there are none.
std::string cost_for_people(const Json& cost) {
  if (!cost.at("reason").is_null()) return "none: " + cost.at("reason").string();
  return fmt::format(
      "{:.0f} um^2 a MAC, {:.4g} uJ a step in MACs; {:.2f} and {:.2f} of fp32-accumulating ones "
      "({} on {})",
      cost.at("mac_area_um2").number(), cost.at("energy_step_uj").number(),
      cost.at("area_relative").number(), cost.at("energy_relative").number(),
      cost.at("backend").string(), cost.at("library").string());
}

std::string results_for_people(const RunReport& report) {
  const Json summary = Json::parse(report.summary_json, (report.out / "summary.json").string());
  const Json& results = summary.at("results");
  const Json& hardware = summary.at("hardware");
  const Json& time = summary.at("time");
  std::string text = fmt::format("run {} ({})\n", report.name, report.out.string());
  text += line_of("test accuracy", or_dash(rounded(results.at("test_accuracy"), 4, 100), 2) + " %");
  text += line_of("test loss", or_dash(results.at("test_loss"), 4));
  text += line_of("train loss", or_dash(results.at("train_loss"), 4) + " (last epoch)");
  text += line_of("diverged", report.diverged ? "yes" : "no");
  text += line_of("steps", std::to_string(report.steps));
  text += line_of(
      "array", fmt::format("{}: {} cycles, {} of them stalls", hardware.at("array").string(),
                           hardware.at("cycles").integer(), hardware.at("stall_cycles").integer()));
  if (const Json* const cost = hardware.find("cost")) {
    text += line_of("cost", cost_for_people(*cost));
  }
  text += line_of("time",
                  fmt::format("{:.1f} s training ({:.0f} images/s), {:.1f} s evaluation",
                              time.at("training").number(), time.at("images_per_second").number(),
                              time.at("evaluation").number()));
  return text + passes_for_people(results);
}

void print_results(const RunReport& report, OutputFormat format) {
  if (format == OutputFormat::Json) {
    print(report.summary_json);
    return;
  }
  if (format == OutputFormat::Table) {
    print(results_for_people(report));
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
