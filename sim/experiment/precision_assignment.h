#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/theory/assignment.h"
#include "models/theory/assignment_cost.h"
#include "sim/experiment/accumulator_widths.h"
#include "sim/experiment/run_config.h"

namespace narrowmac {

/// Fixed-point inference at one B_min.
struct InferencePoint {
  int minimum_bits = 0;
  double accuracy = 0;        ///< over the run's test images, a fraction
  double mismatch = 0;        ///< the share of decisions that differ from full precision's
  double mismatch_bound = 0;  ///< what the noise gains say it is at most: sum of D_T^2 E_T
};

/// The accumulators of a layer's pass.
struct GemmAccumulators {
  std::string layer;
  Pass pass = Pass::Forward;
  AccumulatorWidths widths;
};
enum class AccumulatorSource : std::uint8_t { Theory, Measured };

struct AssignmentOptions {
  std::filesystem::path run;        ///< a run directory
  std::optional<int> minimum_bits;  ///< B_min; absent: found by fixed-point inference
  double mismatch = 0.01;           ///< share of decisions that inference at B_min may change
  /// Called with a line for people while something long is done.
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

/// What `narrowmac assign RUN_DIR` finds.
struct PrecisionAssignment {
  RunConfig config;  ///< the run's
  /// Empty for a run with [quantization], whose operands stay what they are.
  std::vector<LayerAssignment> layers;
  int minimum_bits = 0;
  std::optional<double> full_precision_accuracy;  ///< if inference was tried
  std::vector<InferencePoint> inference;
  std::vector<PrecisionCost> costs, full_precision_costs;  ///< by layer
  std::vector<GemmAccumulators> accumulators;              ///< in the order of training
  std::vector<std::string> warnings;  ///< where the run is not what the rules are about

  /// The same training with the assigned formats and accumulators.
  [[nodiscard]] RunConfig assigned(AccumulatorSource source) const;
};

/// Of a full-precision run that recorded statistics: operands by the five rules, and accumulators
/// for them. Of a run with [quantization] and [mac]: accumulators for its codes. Throws Error for
/// anything else.
PrecisionAssignment assign_run(const AssignmentOptions& options);

}  // namespace narrowmac
