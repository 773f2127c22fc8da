#include "sim/experiment/jackknife.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <vector>

namespace narrowmac {
namespace {

using Ratio = std::optional<double> (GemmStatistics::*)() const;

/// Half the width of the interval whose centre has these leave-one-out values.
double half_width(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0;
  for (const double value : values) mean += value / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const boost::math::students_t student(count - 1);
  return boost::math::quantile(student, 0.975) * std::sqrt((count - 1) / count * squares);
}

std::optional<Estimate> estimate(std::span<const GemmStatistics> groups, Ratio ratio) {
  GemmStatistics all;
  for (const GemmStatistics& group : groups) all += group;
  const std::optional<double> value = (all.*ratio)();
  if (!value) return std::nullopt;
  Estimate estimate;
  estimate.value = *value;
  std::vector<double> without;
  for (std::size_t left_out = 0; left_out < groups.size(); ++left_out) {
    GemmStatistics rest;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (i != left_out) rest += groups[i];
    }
    if (const std::optional<double> other = (rest.*ratio)()) without.push_back(*other);
  }
  if (without.size() < 2) return estimate;
  const bool positive = *value > 0 && *std::min_element(without.begin(), without.end()) > 0;
  if (!positive) {
    const double half = half_width(without);
    estimate.low = std::max(0.0, *value - half);
    estimate.high = *value + half;
    return estimate;
  }
  for (double& other : without) other = std::log(other);
  const double factor = std::exp(half_width(without));
  estimate.low = *value / factor;
  estimate.high = *value * factor;
  return estimate;
}

}  // namespace

std::optional<Estimate> estimate_vrr(std::span<const GemmStatistics> groups) {
  return estimate(groups, &GemmStatistics::vrr);
}

std::optional<Estimate> estimate_nmse(std::span<const GemmStatistics> groups) {
  return estimate(groups, &GemmStatistics::nmse);
}

}  // namespace narrowmac
