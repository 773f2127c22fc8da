#include "sim/experiment/recommend.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "sim/cli/commands.h"
#include "sim/experiment/recommend_files.h"

namespace narrowmac {
namespace {

/// Two decimals: what runs of a few seeds can carry.
Json two_decimals(const std::optional<double>& value, double factor = 1) {
  if (!value) return Json();
  return Json(std::round(*value * factor * 100) / 100);
}

Json price_cell(const RunCost& price, double RunCost::*member) {
  return price.step ? two_decimals(price.*member) : Json();
}

Json accumulator_cell(const TrainedDesign& design, Pass pass) {
  if (design.role == TrainedDesign::Role::Baseline) return Json("fp32");
  if (design.accumulators.mantissas[static_cast<std::size_t>(pass)] == 0) return Json();
  return Json(design.accumulators.format(pass).to_string());
}

/// Of a pass with this chunk length, the widest mantissa that the theory asks for.
Json widest_theory(const RecommendReport& report, std::int64_t chunk, Pass pass) {
  std::optional<int> widest;
  for (const GemmKnee& knee : report.knees) {
    if (knee.chunk != chunk || knee.pass != pass || !knee.theory) continue;
    widest = std::max(widest.value_or(0), *knee.theory);
  }
  return widest ? Json(*widest) : Json();
}

/// Sentences in lines of a terminal's width.
std::string wrapped(const std::string& text, std::size_t width = 100) {
  std::string lines;
  std::size_t used = 0, start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::size_t length = end - start;
    if (used > 0 && used + 1 + length > width) {
      lines += '\n';
      used = 0;
    } else if (used > 0) {
      lines += ' ';
      ++used;
    }
    lines += text.substr(start, length);
    used += length;
    start = end + 1;
  }
  return lines + "\n";
}

/// What prices are relative to, and how far they can be trusted.
std::string price_note(const RecommendReport& report) {
  std::string note = "area, energy: of the MACs, relative to fp32-accumulating ones";
  for (const TrainedDesign& design : report.designs) {
    if (!design.price.step) continue;
    return wrapped(note + "; " + fit_text(design.price) + ": smaller differences say nothing.");
  }
  return note + "\n";
}

std::string knees_for_people(const RecommendReport& report) {
  ResultTable table;
  table.columns = {"adds", "FWD",  "BWD",    "GRAD",  "theory FWD", "BWD",
                   "GRAD", "area", "energy", "least", "searched"};
  for (const ChunkStart& start : report.starts) {
    std::vector<Json> row = {Json(chunk_name(start.accumulators.chunk))};
    for (const Pass pass : kPasses) {
      const bool chosen = start.accumulators.mantissas[static_cast<std::size_t>(pass)] > 0;
      row.push_back(chosen ? Json(start.accumulators.format(pass).to_string()) : Json());
    }
    for (const Pass pass : kPasses) {
      row.push_back(widest_theory(report, start.accumulators.chunk, pass));
    }
    row.push_back(price_cell(start.price, &RunCost::area_relative));
    row.push_back(price_cell(start.price, &RunCost::energy_relative));
    row.push_back(price_cell(start.least, &RunCost::energy_relative));
    row.emplace_back(start.trained ? "yes" : "no");
    table.rows.push_back(std::move(row));
  }
  return fmt::format(
             "Measured knees: VRR >= {} and NMSE <= {} in every layer, on the operands of a "
             "training step of the baseline\n",
             kKneeVrr, kKneeNmse) +
         render(table, OutputFormat::Table) +
         "area, energy: see below; least: energy with one bit everywhere\n";
}

std::string designs_for_people(const RecommendReport& report) {
  ResultTable table;
  table.columns = {"design", "adds", "FWD",  "BWD",       "GRAD", "test %", "+-",
                   "loss",   "low",  "high", "seeds say", "area", "energy"};
  for (const TrainedDesign& design : report.designs) {
    std::vector<Json> row = {Json(to_string(design.role)),
                             Json(chunk_name(design.accumulators.chunk))};
    for (const Pass pass : kPasses) row.push_back(accumulator_cell(design, pass));
    const auto mean = [](const std::optional<SeedMean>& of) {
      return of ? std::optional(of->mean) : std::nullopt;
    };
    const auto part = [](const std::optional<SeedMean>& of, auto member) {
      return of ? (*of).*member : std::nullopt;
    };
    row.push_back(two_decimals(mean(design.accuracy), 100));
    row.push_back(two_decimals(part(design.accuracy, &SeedMean::standard_error), 100));
    row.push_back(two_decimals(mean(design.loss), 100));
    row.push_back(two_decimals(part(design.loss, &SeedMean::low), 100));
    row.push_back(two_decimals(part(design.loss, &SeedMean::high), 100));
    const std::string_view verdict = verdict_name(design);
    row.push_back(verdict.empty() ? Json() : Json(verdict));
    row.push_back(price_cell(design.price, &RunCost::area_relative));
    row.push_back(price_cell(design.price, &RunCost::energy_relative));
    table.rows.push_back(std::move(row));
  }
  return fmt::format(
             "Verified with {}; loss in points of test accuracy against the baseline with the same "
             "seeds, with its interval of 95 %\n",
             report.seeds.size() == 1 ? fmt::format("seed {}", report.seeds.front())
                                      : fmt::format("seeds {}", fmt::join(report.seeds, ", "))) +
         render(table, OutputFormat::Table) + price_note(report);
}

std::string search_for_people(const RecommendReport& report) {
  ResultTable table;
  table.columns = {"adds", "FWD", "BWD", "GRAD", "loss"};
  for (const TrainedDesign& design : report.searched) {
    std::vector<Json> row = {Json(chunk_name(design.accumulators.chunk))};
    for (const Pass pass : kPasses) row.push_back(accumulator_cell(design, pass));
    row.push_back(design.loss ? two_decimals(design.loss->mean, 100) : Json("diverged"));
    table.rows.push_back(std::move(row));
  }
  return fmt::format("Search, one run each, with seed {}\n", report.search_seed) +
         render(table, OutputFormat::Table);
}

std::string report_for_people(const RecommendReport& report) {
  std::string reasons;
  for (const TrainedDesign& design : report.designs) {
    if (design.price.reason.empty()) continue;
    reasons = wrapped("No area and energy where there is a -: " + design.price.reason);
  }
  std::string text = fmt::format("{}, {:.3g} points of test accuracy may be lost\n\n", report.name,
                                 100 * report.budget);
  text += knees_for_people(report) + "\n" + search_for_people(report) + "\n" +
          designs_for_people(report) + reasons + "\n" + wrapped(report.verdict);
  if (report.recommended) {
    text += fmt::format("\nrun file: {}\n", (report.out / "recommended.toml").string());
  }
  return text;
}

}  // namespace

int recommend_command(const RecommendCommand& command, OutputFormat format) {
  const RecommendReport report = recommend(command.options);
  if (report.signal != 0) {
    spdlog::error("{}: stopped by signal {}; --resume goes on", report.out.string(), report.signal);
    return 1;
  }
  switch (format) {
    case OutputFormat::Table:
      print(report_for_people(report));
      break;
    case OutputFormat::Csv:
      print(designs_csv(report));
      break;
    case OutputFormat::Json:
      print(recommend_json(report).to_text());
      break;
  }
  return 0;
}

}  // namespace narrowmac
