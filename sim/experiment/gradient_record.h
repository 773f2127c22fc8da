#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/experiment/csv.h"
#include "sim/experiment/json.h"
#include "sim/training/trainer.h"

namespace narrowmac {

/// What the observed quantised gradients of a layer lost in one pass, summed over the
/// observations.
struct ObservedGradient {
  std::int64_t count = 0;
  GradientNoise sum;  ///< of every number
  double nmse_sum = 0;

  void add(const GradientNoise& noise);
  [[nodiscard]] std::optional<double> nmse() const;
  [[nodiscard]] Json to_json() const;
  static ObservedGradient from_json(const Json& json);
};

/// The columns of quantised gradients in layers.csv and observations.csv.
const std::vector<std::string>& gradient_columns();
/// One observation; empty fields without one.
void write_gradient(CsvWriter& csv, const std::optional<GradientNoise>& noise);
/// Means over the observations, the bias in standard errors of all of them together; then the MACs
/// of BHQ's transform, if there were any.
void write_gradient(CsvWriter& csv, const ObservedGradient& observed, std::int64_t transform_macs);

}  // namespace narrowmac
