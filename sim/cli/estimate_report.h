#pragma once

#include <string>
#include <vector>

#include "models/cost/estimate.h"
#include "sim/cli/results.h"
#include "sim/experiment/array_cost.h"

namespace narrowmac {

/// What an estimate says; one record whichever back end said it.
struct EstimateReport {
  MacDesign mac;
  CostRecord record;                  ///< of the MAC
  std::optional<ArrayDesign> design;  ///< with `array`
  std::optional<ArrayCost> array;
  MemoryCost memory;
};
std::string render(const EstimateReport& report, OutputFormat format);

/// What an estimate says of a run.
struct TrainingReport {
  std::string run;       ///< as it was named
  std::string operands;  ///< where the energies' operands come from
  RunConfig config;
  TrainingPrice price;
  MemoryCost memory;
  CostRecord source;  ///< back end, library, tools, errors
  bool given_clock = false;
};
std::string render(const TrainingReport& report, OutputFormat format);

}  // namespace narrowmac
