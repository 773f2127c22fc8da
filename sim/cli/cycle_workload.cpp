#include "sim/cli/cycle_workload.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <set>

#include "models/design/error.h"
#include "models/workload/topology.h"
#include "sim/experiment/presets.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kNetworkBatch = 128;
constexpr FeatureShape kFashionImage{1, 28, 28};

bool is_topology(const fs::path& path) { return path.extension() == ".csv"; }

/// A file that is named as it is, or a shipped network or topology.
fs::path find_workload(const std::string& text) {
  fs::path path(text);
  std::error_code error;
  if (path.has_extension() || fs::exists(path, error)) return path;
  std::vector<std::string> names;
  std::vector<fs::path> presets = list_presets("networks");
  for (const fs::path& preset : list_presets("topologies", {}, ".csv")) {
    presets.push_back(preset);
  }
  for (const fs::path& preset : presets) {
    if (preset.stem() == path) return preset;
    names.push_back(preset.stem().string());
  }
  throw Error(
      fmt::format("found \"{}\"; accepted: a topology file (*.csv), a network file "
                  "(*.toml), or one of {}",
                  text, fmt::join(names, ", ")));
}

template <typename Layer>
void add_passes(Workload& workload, const std::string& name, const Layer& layer,
                const std::vector<Pass>& passes) {
  for (const Pass pass : passes) {
    workload.gemms.push_back({name, pass, gemm_shape(layer, pass, workload.batch), true});
  }
}

/// What the network gives: the outputs of its last layer with weights.
std::int64_t outputs_of(const NetworkDescription& network) {
  std::int64_t outputs = 0;
  for (const LayerDescription& layer : network.layers) {
    if (layer.channels > 0) outputs = layer.channels;
  }
  return outputs;
}

}  // namespace

Workload load_workload(const std::string& text, const std::vector<Pass>& passes,
                       std::optional<std::int64_t> batch,
                       const std::optional<FeatureShape>& input) {
  const fs::path path = find_workload(text);
  Workload workload;
  if (is_topology(path)) {
    if (input) {
      throw Error(fmt::format("--input: {} is a topology, whose rows say what each layer reads",
                              path.string()));
    }
    workload.batch = batch.value_or(1);
    if (header_reads_as_layer(path)) {
      spdlog::warn("{}: the first row reads as a layer, but is skipped as the header row",
                   path.string());
    }
    for (const TopologyLayer& layer : read_topology(path)) {
      add_passes(workload, layer.name, layer, passes);
    }
    return workload;
  }
  const NetworkDescription network = read_network(path);
  workload.batch = batch.value_or(network.batch.value_or(kNetworkBatch));
  try {
    const std::vector<LayerShape> shapes = infer_shapes(
        network, input.value_or(network.input.value_or(kFashionImage)), outputs_of(network));
    for (const LayerShape& layer : shapes) {
      if (layer.has_gemm()) add_passes(workload, layer.layer.name, layer, passes);
    }
    const std::set<std::string> backward = layers_with_backward(shapes);
    for (WorkloadGemm& gemm : workload.gemms) {
      gemm.in_training = gemm.pass != Pass::Backward || backward.count(gemm.layer) > 0;
    }
  } catch (const Error& failure) {
    throw Error(fmt::format("{}: {}", path.string(), failure.what()), failure.kind());
  }
  return workload;
}

}  // namespace narrowmac
