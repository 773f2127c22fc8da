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
};

struct Workload {
  std::int64_t batch = 1;
  std::vector<WorkloadGemm> gemms;  ///< layer by layer in file order, each with its passes
};

/// The workload `text` names: a SCALE-Sim topology (*.csv), a network file (*.toml), or the name of
/// a shipped network or topology. Without a `batch`, 128 for a network, as in the shipped training
/// runs, and 1 for a topology. `input` is the image that a network sees. Throws Error.
Workload load_workload(const std::string& text, const std::vector<Pass>& passes,
                       std::optional<std::int64_t> batch, const std::optional<FeatureShape>& input);

}  // namespace narrowmac
