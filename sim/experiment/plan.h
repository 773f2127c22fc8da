#pragma once

#include "sim/experiment/run.h"
#include "sim/experiment/run_config.h"
#include "sim/training/dataset.h"

namespace narrowmac {

/// Every GEMM of a training step of `batch` images with its MAC and its time. Throws Error naming
/// layer and pass for what the array cannot do.
std::vector<PlannedGemm> plan_step(const RunConfig& config, const FeatureShape& image,
                                   std::int64_t classes, std::int64_t batch);

/// Every GEMM of a training step with its MAC and its time, checked against the array before
/// anything is computed: shapes, order of accumulation, lengths, scratchpads. Throws Error naming
/// layer and pass.
RunPlan make_plan(const RunConfig& config, const Dataset& train);

}  // namespace narrowmac
