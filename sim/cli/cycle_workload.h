#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/design/gemm_shape.h"
#include "models/workload/network.h"

namespace narrowmac {

/// One GEMM whose cycles are counted.
struct WorkloadGemm {
  std::string layer;
  Pass pass = Pass::Forward;
  GemmShape shape;
  bool in_training = true;  ///< false: BWD of a layer before which nothing is trained
};

struct Workload {
  std::int64_t batch = 1;
  std::vector<WorkloadGemm> gemms;  ///< layer by layer in file order, each with its passes
};

/// The workload `text` names: a SCALE-Sim topology (*.csv), a network file (*.toml), or the name of
/// a shipped network or topology. `batch` and `input`, the image, default to what the network file
/// says, else to 128 and 1 x 28 x 28, as in the shipped training runs; a topology's batch to 1.
/// Throws Error.
Workload load_workload(const std::string& text, const std::vector<Pass>& passes,
                       std::optional<std::int64_t> batch, const std::optional<FeatureShape>& input);

}  // namespace narrowmac
