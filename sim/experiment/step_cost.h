#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/cost/fit.h"
#include "sim/experiment/json.h"
#include "sim/experiment/run.h"
#include "sim/experiment/run_config.h"

namespace narrowmac {

/// The price of a MAC by any back end, with the operands of a layer's pass. Throws Error for a
/// design that the back end does not cover.
using MacPricer = std::function<CostRecord(const RtlDesign&, const std::string& layer, Pass)>;
/// By a fit, whose energy knows no layers and passes. `fit` must outlive the pricer.
MacPricer fit_pricer(const CostFit& fit);

/// What a PE of an array takes of the costs of its MAC.
struct PeCost {
  CostRecord mac;         ///< in the PE
  double area_um2 = 0;    ///< with its share of the column's adder, if psums go to a buffer
  double energy_pj = 0;   ///< per product, likewise
  double clock_pj = 0;    ///< of a cycle without a product: clock pins
  double column_um2 = 0;  ///< the adder at the foot of a column; 0 without one
  double column_clock_pj = 0;
  double column_leakage_uw = 0;
};
/// The PE of a MAC in this array: under os the whole MAC; under ws and is with psums in a buffer
/// the second accumulator is the column's.
PeCost price_pe(const MacDesign& mac, const ArrayDesign& array, const std::string& layer, Pass pass,
                const MacPricer& pricer);

/// The MACs of an array in one training step of a full batch. GEMMs in fp32 are outside the array
/// and not in it.
struct StepCost {
  double mac_area_um2 = 0;  ///< per PE; of several MACs the largest, which every pass could share
  double energy_uj = 0;     ///< products, and clock pins of PEs without one; no stalls, no leakage
  std::int64_t macs = 0;    ///< of the array
  std::int64_t fp32_macs = 0;  ///< beside it
};
/// Throws Error naming layer and pass for a MAC that the pricer does not cover, and without any
/// GEMM in the array.
StepCost price_step(const MacAssignment& macs, const ArrayDesign& array,
                    const std::vector<PlannedGemm>& gemms, const MacPricer& pricer);

/// The same step in fp32-accumulating MACs. They need no chunks, so that psums of ws and is pass
/// through.
StepCost price_reference(const MacAssignment& macs, const ArrayDesign& array,
                         const std::vector<PlannedGemm>& gemms, const MacPricer& pricer);

/// The MAC with the same operands, subnormals and special values that adds one product after the
/// other in fp32: what costs are relative to.
MacDesign fp32_accumulating(const MacDesign& mac);

/// A step by the shipped fit, and relative to the same step in fp32-accumulating MACs: the member
/// `cost` of a run's hardware. Where there is no price it says why.
struct RunCost {
  std::optional<StepCost> step;
  double area_relative = 0, energy_relative = 0;  ///< with `step`
  std::string library, tools;
  /// Of the fit, on designs that it had not seen: the worst of what the run's MACs are.
  std::vector<CostError> errors;
  std::string reason;  ///< without `step`: why
};
/// "by the fit on LIBRARY (TOOLS), off by 3 % in area and 5 % in energy on designs it had not
/// seen".
std::string fit_text(const RunCost& cost);
RunCost price_run(const RunConfig& config, const RunPlan& plan);
Json to_json(const RunCost& cost);

}  // namespace narrowmac
