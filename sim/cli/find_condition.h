#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/experiment/measure.h"

namespace narrowmac {

/// What `measure --find` asks of a width, e.g. "vrr>=0.95".
struct FindCondition {
  enum class Metric { Vrr, Nmse, FullSwamping, PartialSwamping };
  enum class Relation { AtLeast, AtMost, Above, Below };
  Metric metric = Metric::Vrr;
  Relation relation = Relation::AtLeast;
  double bound = 0;

  /// Throws Error naming what was found and what is accepted.
  static FindCondition parse(std::string_view text);
  [[nodiscard]] bool is_met_by(double value) const;
  /// An absent value meets no condition.
  [[nodiscard]] bool is_met_by(const std::optional<double>& value) const {
    return value && is_met_by(*value);
  }
  [[nodiscard]] bool needs_swamping() const {
    return metric == Metric::FullSwamping || metric == Metric::PartialSwamping;
  }
  [[nodiscard]] std::optional<double> value_of(const Measurement& measurement) const;
  /// The metric with its interval; absent for rates, which have none.
  [[nodiscard]] std::optional<Estimate> estimate_of(const Measurement& measurement) const;
};

}  // namespace narrowmac
