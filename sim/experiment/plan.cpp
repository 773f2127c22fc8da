#include "sim/experiment/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "models/array/timing.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

PlannedGemm plan_gemm(const RunConfig& config, const LayerShape& layer, Pass pass,
                      std::int64_t batch) {
  PlannedGemm gemm;
  gemm.layer = layer.layer.name;
  gemm.pass = pass;
  gemm.shape = gemm_shape(layer, pass, batch);
  const MacDesign* mac = config.training.macs.find(gemm.layer, pass);
  if (mac == nullptr) {
    gemm.mac = "fp32";
    return gemm;
  }
  gemm.mac = describe(*mac);
  try {
    check_length(accumulation_order(*mac, config.array), gemm.shape.k);
    gemm.cycles = timing(gemm.shape, config.array, *mac).cycles.total();
  } catch (const Error& failure) {
    throw Error(
        fmt::format("layer \"{}\", pass {}: {}", gemm.layer, to_string(pass), failure.what()),
        failure.kind());
  }
  return gemm;
}

/// Each warning once, with the passes it concerns, and the layers where these may differ.
std::vector<std::string> collect_warnings(const RunConfig& config, const RunPlan& plan) {
  const TrainingSettings& training = config.training;
  const bool layers_differ = !training.macs.layers().empty() || !training.formats.layers.empty();
  std::vector<std::pair<std::string, std::vector<std::string>>> found;
  for (const PlannedGemm& gemm : plan.gemms) {
    const MacDesign* mac = config.training.macs.find(gemm.layer, gemm.pass);
    if (mac == nullptr) continue;
    std::vector<std::string> texts = warnings(*mac);
    for (std::string& text : warnings(*mac, config.array)) texts.push_back(std::move(text));
    const std::string_view pass = to_string(gemm.pass);
    const std::string place =
        layers_differ ? fmt::format("{} {}", gemm.layer, pass) : std::string(pass);
    for (const std::string& text : texts) {
      auto entry = std::find_if(found.begin(), found.end(),
                                [&](const auto& other) { return other.first == text; });
      if (entry == found.end()) entry = found.insert(found.end(), {text, {}});
      if (std::find(entry->second.begin(), entry->second.end(), place) == entry->second.end()) {
        entry->second.push_back(place);
      }
    }
  }
  std::vector<std::string> sentences;
  sentences.reserve(found.size());
  for (const auto& entry : found) {
    sentences.push_back(fmt::format("{}: {}", fmt::join(entry.second, ", "), entry.first));
  }
  return sentences;
}

}  // namespace

std::vector<PlannedGemm> plan_step(const RunConfig& config, const FeatureShape& image,
                                   std::int64_t classes, std::int64_t batch) {
  std::vector<PlannedGemm> gemms;
  const std::vector<LayerShape> shapes = infer_shapes(config.network, image, classes);
  const std::set<std::string> backward = layers_with_backward(shapes);
  for (const LayerShape& shape : shapes) {
    if (!shape.has_gemm()) continue;
    for (const Pass pass : kPasses) {
      if (pass == Pass::Backward && backward.count(shape.layer.name) == 0) continue;
      gemms.push_back(plan_gemm(config, shape, pass, batch));
    }
  }
  return gemms;
}

RunPlan make_plan(const RunConfig& config, const Dataset& train) {
  RunPlan plan;
  plan.array = describe(config.array);
  const std::int64_t batch = std::min(config.training.batch, train.size());
  plan.steps_per_epoch = (train.size() + config.training.batch - 1) / config.training.batch;
  plan.steps = plan.steps_per_epoch * config.training.epochs;
  plan.gemms = plan_step(config, train.shape, train.classes, batch);
  plan.warnings = collect_warnings(config, plan);
  return plan;
}

}  // namespace narrowmac
