#include "sim/experiment/step_cost.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/design/error.h"
#include "sim/experiment/presets.h"

namespace narrowmac {
namespace {

constexpr const char* kShippedFit = "osu018";

/// What a chunk adds to a MAC that stays behind when its second accumulator moves to the foot of
/// the column: an adder per column, working once per chunk.
PeCost with_column_adder(const CostRecord& alone, const CostRecord& chunked,
                         const ArrayDesign& array) {
  PeCost pe;
  pe.mac = alone;
  pe.column_um2 = std::max(0.0, chunked.area_um2 - alone.area_um2);
  pe.column_clock_pj = std::max(0.0, chunked.clock_pj - alone.clock_pj);
  pe.column_leakage_uw = std::max(0.0, chunked.leakage_uw - alone.leakage_uw);
  pe.area_um2 = alone.area_um2 + pe.column_um2 / array.rows;
  pe.energy_pj = alone.energy_pj +
                 std::max(0.0, chunked.energy_pj - alone.energy_pj - pe.column_clock_pj) +
                 pe.column_clock_pj / array.rows;
  pe.clock_pj = alone.clock_pj + pe.column_clock_pj / array.rows;
  return pe;
}

/// Of area and energy, which is what a step's cost is made of.
void keep_worst(const std::vector<CostError>& errors, std::vector<CostError>& worst) {
  for (const CostError& error : errors) {
    if (error.cost != "area_um2" && error.cost != "energy_pj") continue;
    const auto same = [&error](const CostError& other) { return other.cost == error.cost; };
    const auto known = std::find_if(worst.begin(), worst.end(), same);
    if (known == worst.end()) {
      worst.push_back(error);
    } else {
      known->mean = std::max(known->mean, error.mean);
      known->largest = std::max(known->largest, error.largest);
    }
  }
}

}  // namespace

MacPricer fit_pricer(const CostFit& fit) {
  return [&fit](const RtlDesign& design, const std::string&, Pass) {
    return estimate_by_fit(design, fit);
  };
}

PeCost price_pe(const MacDesign& mac, const ArrayDesign& array, const std::string& layer, Pass pass,
                const MacPricer& pricer) {
  const bool column_adds =
      array.dataflow != Dataflow::OutputStationary && array.psum == Psum::Buffer && mac.chunk;
  if (!column_adds) {
    PeCost pe;
    pe.mac = pricer(RtlDesign::of(mac, array), layer, pass);
    pe.area_um2 = pe.mac.area_um2;
    pe.energy_pj = pe.mac.energy_pj;
    pe.clock_pj = pe.mac.clock_pj;
    return pe;
  }
  MacDesign chunked = mac;
  if (chunked.chunk->length == 0) chunked.chunk->length = array.rows;
  MacDesign alone = mac;
  alone.chunk.reset();
  return with_column_adder(pricer(RtlDesign::of(alone, array), layer, pass),
                           pricer(RtlDesign::of(chunked, array), layer, pass), array);
}

StepCost price_step(const MacAssignment& macs, const ArrayDesign& array,
                    const std::vector<PlannedGemm>& gemms, const MacPricer& pricer) {
  StepCost step;
  const double pe_count = static_cast<double>(array.rows) * array.columns;
  for (const PlannedGemm& gemm : gemms) {
    const std::int64_t products = gemm.shape.m * gemm.shape.n * gemm.shape.k;
    const MacDesign* const mac = macs.find(gemm.layer, gemm.pass);
    if (mac == nullptr) {
      step.fp32_macs += products;
      continue;
    }
    try {
      const PeCost pe = price_pe(*mac, array, gemm.layer, gemm.pass, pricer);
      const auto busy = static_cast<double>(products);
      const double idle = std::max(0.0, pe_count * static_cast<double>(gemm.cycles) - busy);
      step.macs += products;
      step.mac_area_um2 = std::max(step.mac_area_um2, pe.area_um2);
      step.energy_uj += 1e-6 * (busy * pe.energy_pj + idle * pe.clock_pj);
    } catch (const Error& failure) {
      throw Error(fmt::format("layer \"{}\", pass {}: {}", gemm.layer, to_string(gemm.pass),
                              failure.what()),
                  failure.kind());
    }
  }
  if (step.macs == 0) throw Error("every layer is computed in fp32, outside the array");
  return step;
}

StepCost price_reference(const MacAssignment& macs, const ArrayDesign& array,
                         const std::vector<PlannedGemm>& gemms, const MacPricer& pricer) {
  MacAssignment wide;
  for (const PlannedGemm& gemm : gemms) {
    const MacDesign* const mac = macs.find(gemm.layer, gemm.pass);
    if (mac != nullptr) wide.set(gemm.layer, gemm.pass, fp32_accumulating(*mac));
  }
  return price_step(wide, array, gemms, pricer);
}

MacDesign fp32_accumulating(const MacDesign& mac) {
  MacDesign wide;
  wide.a = mac.a;
  wide.b = mac.b;
  wide.special_values = mac.special_values;
  wide.accumulator.format = NumberFormat::parse("fp32");
  wide.accumulator.subnormals = mac.accumulator.subnormals;
  wide.accumulator.overflow = mac.special_values ? Overflow::Infinity : Overflow::Saturate;
  return wide;
}

RunCost price_run(const RunConfig& config, const RunPlan& plan) {
  RunCost cost;
  try {
    const CostFit fit = read_cost_fit(find_preset("costs", kShippedFit));
    const MacPricer by_fit = fit_pricer(fit);
    const MacPricer pricer = [&](const RtlDesign& design, const std::string& layer, Pass pass) {
      CostRecord record = by_fit(design, layer, pass);
      keep_worst(record.errors, cost.errors);
      return record;
    };
    cost.library = fit.library;
    cost.tools = fit.tools;
    const StepCost step = price_step(config.training.macs, config.array, plan.gemms, pricer);
    const StepCost wide = price_reference(config.training.macs, config.array, plan.gemms, pricer);
    cost.area_relative = step.mac_area_um2 / wide.mac_area_um2;
    cost.energy_relative = step.energy_uj / wide.energy_uj;
    cost.step = step;
  } catch (const Error& failure) {
    cost.reason = failure.what();
  }
  return cost;
}

std::string fit_text(const RunCost& cost) {
  std::string text = fmt::format("by the fit on {} ({})", cost.library, cost.tools);
  for (const CostError& error : cost.errors) {
    text += fmt::format("{} {:.0f} % in {}", &error == cost.errors.data() ? ", off by" : " and",
                        100 * error.mean, error.cost == "area_um2" ? "area" : "energy");
  }
  return text + (cost.errors.empty() ? "" : " on designs it had not seen");
}

Json to_json(const RunCost& cost) {
  Json::Object errors;
  for (const CostError& error : cost.errors) {
    errors.emplace_back(error.cost,
                        Json(Json::Object{{"mean", error.mean}, {"largest", error.largest}}));
  }
  const auto number = [&cost](double value) {
    return cost.step ? std::optional<double>(value) : std::nullopt;
  };
  const StepCost step = cost.step.value_or(StepCost{});
  return Json::Object{{"backend", "fit"},
                      {"library", cost.library},
                      {"tools", cost.tools},
                      {"error", std::move(errors)},
                      {"mac_area_um2", number(step.mac_area_um2)},
                      {"area_relative", number(cost.area_relative)},
                      {"energy_step_uj", number(step.energy_uj)},
                      {"energy_relative", number(cost.energy_relative)},
                      {"macs_step", cost.step ? Json(step.macs) : Json()},
                      {"fp32_macs_step", cost.step ? Json(step.fp32_macs) : Json()},
                      {"reason", cost.reason.empty() ? Json() : Json(cost.reason)}};
}

}  // namespace narrowmac
