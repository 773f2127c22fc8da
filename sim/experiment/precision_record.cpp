#include "sim/experiment/precision_record.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "sim/experiment/csv.h"

namespace narrowmac {
namespace {

/// What is not finite is null in a checkpoint, so it is NaN here, whatever it was.
double number_or_nan(const Json& json) {
  return json.optional_number().value_or(std::numeric_limits<double>::quiet_NaN());
}

/// The least or the largest; NaN if one of them is not finite.
double extreme(const std::vector<double>& values, bool largest) {
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::all_of(values.begin(), values.end(), finite)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return largest ? *std::max_element(values.begin(), values.end())
                 : *std::min_element(values.begin(), values.end());
}

}  // namespace

std::string PrecisionRecord::tensors_csv() const {
  CsvWriter csv({"epoch", "layer", "weight_gradient_std", "activation_gradient_std"});
  for (std::size_t epoch = 0; epoch < epochs_.size(); ++epoch) {
    for (const GradientDeviations& layer : epochs_[epoch]) {
      csv << static_cast<std::int64_t>(epoch) << layer.layer << layer.weight << layer.activation;
      csv.end_row();
    }
  }
  return csv.text();
}

std::string PrecisionRecord::statistics_json(const std::vector<PrecisionGains>& gains,
                                             double learning_rate_min) const {
  Json::Array layers;
  for (std::size_t i = 0; i < gains.size(); ++i) {
    const PrecisionGains& found = gains[i];
    std::vector<double> weight, activation;
    for (const auto& epoch : epochs_) {
      weight.push_back(epoch[i].weight);
      activation.push_back(epoch[i].activation);
    }
    layers.push_back(Json::Object{{"name", found.layer},
                                  {"activation_noise_gain", found.activation},
                                  {"weight_noise_gain", found.weight},
                                  {"weight_gradient_std_min", extreme(weight, false)},
                                  {"weight_gradient_std_max", extreme(weight, true)},
                                  {"activation_gradient_std_max", extreme(activation, true)},
                                  {"lambda_max", found.lambda_max}});
  }
  return Json(Json::Object{{"schema", 1},
                           {"layers", std::move(layers)},
                           {"learning_rate_min", learning_rate_min}})
      .to_text();
}

Json PrecisionRecord::to_json() const {
  Json::Array epochs;
  for (const auto& epoch : epochs_) {
    Json::Array layers;
    for (const GradientDeviations& layer : epoch) {
      layers.push_back(Json::Object{{"layer", layer.layer},
                                    {"weight_gradient_std", layer.weight},
                                    {"activation_gradient_std", layer.activation}});
    }
    epochs.push_back(std::move(layers));
  }
  return epochs;
}

PrecisionRecord PrecisionRecord::from_json(const Json& json) {
  PrecisionRecord record;
  for (const Json& epoch : json.array()) {
    std::vector<GradientDeviations> layers;
    for (const Json& layer : epoch.array()) {
      layers.push_back({layer.at("layer").string(), number_or_nan(layer.at("weight_gradient_std")),
                        number_or_nan(layer.at("activation_gradient_std"))});
    }
    record.add(layers);
  }
  return record;
}

}  // namespace narrowmac
