#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/experiment/recommend_files.h"

namespace narrowmac {
namespace {

using Role = TrainedDesign::Role;

std::string points(double fraction) { return fmt::format("{:.2f}", 100 * fraction); }

std::string budget_text(const RecommendReport& report) {
  return fmt::format("the budget of {:.3g} points", 100 * report.budget);
}

/// "loses 0.21 points (95 % interval -0.35 to 0.77, 3 seeds)".
std::string loss_text(const TrainedDesign& design) {
  const std::size_t seeds = design.seeds.size();
  if (!design.loss) return fmt::format("diverges in {} of {} runs", design.diverged, seeds);
  const SeedMean& loss = *design.loss;
  const std::string spread = loss.low ? fmt::format("95 % interval {} to {}, {} seeds",
                                                    points(*loss.low), points(*loss.high), seeds)
                                      : "one seed";
  return fmt::format("{} {} points ({})", loss.mean < 0 ? "gains" : "loses",
                     points(std::fabs(loss.mean)), spread);
}

/// What the seeds tell of it.
std::string evidence_text(const TrainedDesign& design, const RecommendReport& report) {
  const std::string budget = budget_text(report);
  if (!design.verdict) return "which no budget allows";
  if (!design.loss->low) {
    return fmt::format("{} {}; one seed tells nothing of the spread",
                       design.keeps_budget() ? "within" : "beyond", budget);
  }
  const auto more = [&] {
    const int seeds = static_cast<int>(design.seeds.size());
    const std::optional<int> enough = seeds_to_tell(*design.loss, seeds, report.budget);
    return enough ? fmt::format(
                        "these seeds do not settle it; about {} would, if mean and spread "
                        "stayed what they are",
                        *enough)
                  : std::string("no practical number of seeds would settle it");
  };
  switch (*design.verdict) {
    case BudgetVerdict::Within:
      return "the whole interval is within " + budget;
    case BudgetVerdict::MeanWithin:
      return fmt::format("the mean is within {}, the interval is not: {}", budget, more());
    case BudgetVerdict::MeanBeyond:
      return fmt::format("the mean is beyond {}, the interval reaches into it: {}", budget, more());
    case BudgetVerdict::Beyond:
      break;
  }
  return "the whole interval is beyond " + budget;
}

std::string price_text(const RunCost& price) {
  if (!price.step) return "No price: " + price.reason + ".";
  return fmt::format(
      "By the fit its MAC takes {:.2f} of the area and {:.2f} of the energy of one that "
      "accumulates "
      "in fp32.",
      price.area_relative, price.energy_relative);
}

/// The narrowest verified design of every other order of adding.
std::string others_text(const RecommendReport& report) {
  std::string text;
  for (const TrainedDesign& design : report.designs) {
    if (design.role != Role::Edge) continue;
    text += fmt::format(" The alternative {} {}: {}.", describe(design.accumulators),
                        loss_text(design), evidence_text(design, report));
    text += design.price.step
                ? fmt::format(" It takes {:.2f} of the area and {:.2f} of the energy.",
                              design.price.area_relative, design.price.energy_relative)
                : fmt::format(" It has no price, so it is not compared: {}.", design.price.reason);
  }
  return text;
}

/// Why no chunk length was trained, if none was.
std::string unsearched_text(const RecommendReport& report) {
  const ChunkStart* cheapest = nullptr;
  for (const ChunkStart& start : report.starts) {
    if (start.accumulators.chunk == 0) continue;
    if (start.trained) return "";
    const bool cheaper =
        cheapest == nullptr || start.least.energy_relative < cheapest->least.energy_relative;
    if (cheaper) cheapest = &start;
  }
  if (cheapest == nullptr) return "";
  return fmt::format(
      " No chunk length was trained: {}, the cheapest, takes {:.2f} of the energy even with one "
      "mantissa bit everywhere, {:.2f} at its knees.",
      chunk_name(cheapest->accumulators.chunk), cheapest->least.energy_relative,
      cheapest->price.energy_relative);
}

std::string nothing_text(const RecommendReport& report) {
  std::string text =
      "No recommendation: of what was trained, nothing keeps " + budget_text(report) + ".";
  for (const ChunkStart& start : report.starts) {
    if (!start.trained) continue;
    const TrainedDesign* widest = nullptr;
    for (const TrainedDesign& design : report.designs) {
      if (design.role == Role::Baseline) continue;
      if (design.accumulators.chunk != start.accumulators.chunk) continue;
      if (widest == nullptr || design.accumulators.mantissas > widest->accumulators.mantissas) {
        widest = &design;
      }
    }
    if (widest == nullptr) continue;
    text += fmt::format(" The widest, {}, {}: {}.", describe(widest->accumulators),
                        loss_text(*widest), evidence_text(*widest, report));
  }
  text +=
      " Where sums leave their range (overflow_FWD, ... in runs/sweep.csv) more exponent bits "
      "help, "
      "not more mantissa.";
  return text;
}

}  // namespace

std::string verdict_text(const RecommendReport& report) {
  if (!report.recommended) return nothing_text(report);
  const TrainedDesign& design = report.designs[*report.recommended];
  std::string text =
      fmt::format("Recommended: {}. Against fp32 accumulators it {}: {}.",
                  describe(design.accumulators), loss_text(design), evidence_text(design, report));
  if (report.one_bit_less) {
    const TrainedDesign& less = report.designs[*report.one_bit_less];
    text += fmt::format(" One bit less in every pass {}: {}.", loss_text(less),
                        evidence_text(less, report));
  } else {
    const PassMantissas& mantissas = design.accumulators.mantissas;
    const bool least =
        std::all_of(mantissas.begin(), mantissas.end(), [](int m) { return m <= 1; });
    text += least ? " Nothing narrower exists."
                  : " Nothing narrower was verified: the search ends here.";
  }
  return text + " " + price_text(design.price) + others_text(report) + unsearched_text(report);
}

}  // namespace narrowmac
