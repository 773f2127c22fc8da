#include "sim/experiment/recommend_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/experiment/csv.h"
#include "sim/experiment/files.h"

namespace narrowmac {
namespace {

using Role = TrainedDesign::Role;

constexpr const char* kRecommended = "recommended.toml";
constexpr const char* kRecommendedNetwork = "network.toml";

std::string accumulator_name(const TrainedDesign& design, Pass pass) {
  if (design.role == Role::Baseline) return "e8m23";
  if (design.accumulators.mantissas[static_cast<std::size_t>(pass)] == 0) return "";
  return design.accumulators.format(pass).to_string();
}

Json seeds_json(const std::vector<std::int64_t>& seeds) {
  Json::Array array;
  for (const std::int64_t seed : seeds) array.emplace_back(seed);
  return array;
}

Json mean_json(const std::optional<SeedMean>& mean) {
  if (!mean) return Json();
  return Json::Object{{"mean", mean->mean},
                      {"standard_error", mean->standard_error},
                      {"low", mean->low},
                      {"high", mean->high}};
}

Json accumulators_json(const PassAccumulators& accumulators) {
  Json::Object passes;
  for (const Pass pass : kPasses) {
    const bool chosen = accumulators.mantissas[static_cast<std::size_t>(pass)] > 0;
    passes.emplace_back(std::string(to_string(pass)),
                        chosen ? Json(accumulators.format(pass).to_string()) : Json());
  }
  return passes;
}

Json design_json(const TrainedDesign& design) {
  Json::Array accuracies, runs;
  for (const auto& accuracy : design.accuracies) accuracies.emplace_back(accuracy);
  for (const std::string& run : design.runs) runs.emplace_back(run);
  Json::Object accumulators;
  for (const Pass pass : kPasses) {
    const std::string name = accumulator_name(design, pass);
    accumulators.emplace_back(std::string(to_string(pass)), name.empty() ? Json() : Json(name));
  }
  const std::int64_t chunk = design.accumulators.chunk;
  return Json::Object{
      {"role", to_string(design.role)},
      {"chunk", chunk > 0 ? Json(chunk) : Json()},
      {"accumulators", std::move(accumulators)},
      {"seeds", seeds_json(design.seeds)},
      {"test_accuracies", std::move(accuracies)},
      {"test_accuracy", mean_json(design.accuracy)},
      {"loss", mean_json(design.loss)},
      {"diverged", design.diverged},
      {"verdict", design.role == Role::Baseline ? Json() : Json(verdict_name(design))},
      {"price", to_json(design.price)},
      {"runs", std::move(runs)}};
}

Json knee_json(const GemmKnee& knee) {
  const auto number = [](const std::optional<int>& value) { return value ? Json(*value) : Json(); };
  return Json::Object{{"chunk", knee.chunk > 0 ? Json(knee.chunk) : Json()},
                      {"layer", knee.layer},
                      {"pass", to_string(knee.pass)},
                      {"length", knee.length},
                      {"nonzero_ratio", knee.nonzero_ratio},
                      {"mantissa_theory", number(knee.theory)},
                      {"exponent", knee.exponent},
                      {"mantissa", number(knee.mantissa)},
                      {"vrr", knee.vrr},
                      {"nmse", knee.nmse},
                      {"vrr_one_narrower", knee.vrr_less},
                      {"nmse_one_narrower", knee.nmse_less}};
}

void write_mean(CsvWriter& csv, const std::optional<SeedMean>& mean, bool with_interval) {
  const auto part = [&](std::optional<double> SeedMean::*member) {
    return mean ? (*mean).*member : std::nullopt;
  };
  csv << (mean ? std::optional(mean->mean) : std::nullopt) << part(&SeedMean::standard_error);
  if (with_interval) csv << part(&SeedMean::low) << part(&SeedMean::high);
}

void write_design(CsvWriter& csv, const TrainedDesign& design) {
  csv << to_string(design.role)
      << (design.accumulators.chunk > 0 ? std::to_string(design.accumulators.chunk) : "");
  for (const Pass pass : kPasses) csv << accumulator_name(design, pass);
  csv << fmt::format("{}", fmt::join(design.seeds, " "));
  write_mean(csv, design.accuracy, false);
  write_mean(csv, design.loss, true);
  const RunCost& price = design.price;
  const auto number = [&](double value) {
    return price.step ? std::optional(value) : std::nullopt;
  };
  const StepCost step = price.step.value_or(StepCost{});
  csv << std::int64_t{design.diverged} << verdict_name(design) << number(step.mac_area_um2)
      << number(price.area_relative) << number(step.energy_uj) << number(price.energy_relative)
      << price.reason << fmt::format("{}", fmt::join(design.runs, " "));
  csv.end_row();
}

}  // namespace

std::string_view verdict_name(const TrainedDesign& design) {
  if (design.role == Role::Baseline) return "";
  if (!design.verdict) return "diverged";
  switch (*design.verdict) {
    case BudgetVerdict::Within:
      return "within";
    case BudgetVerdict::MeanWithin:
      return "mean within";
    case BudgetVerdict::MeanBeyond:
      return "mean beyond";
    case BudgetVerdict::Beyond:
      break;
  }
  return "beyond";
}

std::string designs_csv(const RecommendReport& report) {
  CsvWriter csv({"role",
                 "chunk",
                 "accumulator_FWD",
                 "accumulator_BWD",
                 "accumulator_GRAD",
                 "seeds",
                 "test_accuracy",
                 "test_accuracy_standard_error",
                 "loss",
                 "loss_standard_error",
                 "loss_low",
                 "loss_high",
                 "diverged",
                 "verdict",
                 "mac_area_um2",
                 "area_relative",
                 "energy_step_uj",
                 "energy_relative",
                 "price_reason",
                 "runs"});
  for (const TrainedDesign& design : report.designs) write_design(csv, design);
  for (const TrainedDesign& design : report.searched) write_design(csv, design);
  return csv.text();
}

std::string knees_csv(const RecommendReport& report) {
  CsvWriter csv({"chunk", "layer", "pass", "length", "nonzero_ratio", "mantissa_theory", "exponent",
                 "mantissa", "vrr", "nmse", "vrr_one_narrower", "nmse_one_narrower"});
  const auto text = [](const std::optional<int>& value) {
    return value ? std::to_string(*value) : std::string();
  };
  for (const GemmKnee& knee : report.knees) {
    csv << (knee.chunk > 0 ? std::to_string(knee.chunk) : "") << knee.layer << to_string(knee.pass)
        << knee.length << knee.nonzero_ratio << text(knee.theory) << std::int64_t{knee.exponent}
        << text(knee.mantissa) << knee.vrr << knee.nmse << knee.vrr_less << knee.nmse_less;
    csv.end_row();
  }
  return csv.text();
}

Json recommend_json(const RecommendReport& report) {
  const auto design_at = [&](const std::optional<std::size_t>& index) {
    return index ? design_json(report.designs[*index]) : Json();
  };
  Json::Array designs, searched, knees, starts;
  for (const TrainedDesign& design : report.designs) designs.push_back(design_json(design));
  for (const TrainedDesign& design : report.searched) searched.push_back(design_json(design));
  for (const GemmKnee& knee : report.knees) knees.push_back(knee_json(knee));
  for (const ChunkStart& start : report.starts) {
    const std::int64_t chunk = start.accumulators.chunk;
    starts.push_back(Json::Object{{"chunk", chunk > 0 ? Json(chunk) : Json()},
                                  {"accumulators", accumulators_json(start.accumulators)},
                                  {"price", to_json(start.price)},
                                  {"price_of_one_bit", to_json(start.least)},
                                  {"trained", start.trained}});
  }
  return Json::Object{{"schema", 1},
                      {"name", report.name},
                      {"budget", report.budget},
                      {"seeds", seeds_json(report.seeds)},
                      {"search_seed", report.search_seed},
                      {"recommended", design_at(report.recommended)},
                      {"one_bit_less", design_at(report.one_bit_less)},
                      {"verdict", report.verdict},
                      {"designs", std::move(designs)},
                      {"searched", std::move(searched)},
                      {"starts", std::move(starts)},
                      {"knees", std::move(knees)}};
}

void write_recommendation(const RecommendReport& report, const RunConfig& config) {
  write_file(report.out / "knees.csv", knees_csv(report));
  write_file(report.out / "recommend.csv", designs_csv(report));
  if (report.recommended) {
    RunConfig recommended =
        with_accumulators(config, report.designs[*report.recommended].accumulators);
    recommended.name = config.name + "-recommended";
    write_file(report.out / kRecommendedNetwork, read_file(config.network_file));
    write_file(report.out / kRecommended, to_toml(recommended, kRecommendedNetwork));
  } else {
    std::error_code missing;
    std::filesystem::remove(report.out / kRecommended, missing);
  }
  write_file(report.out / "recommend.json", recommend_json(report).to_text());
}

}  // namespace narrowmac
