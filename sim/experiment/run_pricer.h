#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "sim/experiment/array_cost.h"
#include "sim/experiment/replayed_step.h"

namespace narrowmac {

/// Operands by layer and pass.
using OperandTraces = std::map<std::pair<std::string, Pass>, OperandTrace>;

/// Of every GEMM on the array in a run's replayed step: pieces of up to 256 products of 128 of its
/// sums, from all over their length, as these MACs round them.
OperandTraces record_operands(const ReplayedStep& step, const MacAssignment& macs);

/// What synthesis needs beside the designs.
struct SynthesisSetup {
  std::filesystem::path liberty;
  std::filesystem::path cache;  ///< not empty
  OperandTraces operands;       ///< where none are recorded: of N(0, 1)
  /// Is told what is being priced, before it takes its time.
  std::function<void(const std::string&)> note;
};
/// Prices by synthesis, everything once. Names the layer in errors of its simulation.
MacPricer synthesis_pricer(const SynthesisSetup& setup);

/// The prices of an array's parts by a fit, with operands of N(0, 1). `fit` must outlive them.
/// Throws Error if the fit says nothing of registers.
ArrayPrices prices_by_fit(const CostFit& fit, const MemoryCost& memory);
/// By synthesis. `setup` must outlive them.
ArrayPrices prices_by_synthesis(const SynthesisSetup& setup, const MemoryCost& memory);

}  // namespace narrowmac
