#include "sim/experiment/gradient_record.h"

#include <cmath>

namespace narrowmac {
namespace {

constexpr std::array kVarianceKeys = {"variance_ptq", "variance_psq", "variance_bhq"};

void write_means(CsvWriter& csv, const ObservedGradient& observed) {
  if (observed.count == 0) {
    for (std::size_t i = 0; i < gradient_columns().size(); ++i) csv << "";
    return;
  }
  const auto count = static_cast<double>(observed.count);
  const GradientNoise& sum = observed.sum;
  csv << sum.variance / count << sum.bound / count << sum.bias / std::sqrt(count)
      << observed.nmse();
  for (std::size_t i = 0; i < kVarianceKeys.size(); ++i) {
    csv << (sum.comparison ? std::optional(sum.comparison->variance[i] / count) : std::nullopt);
  }
  csv << (sum.comparison ? std::optional(sum.comparison->row_range_ratio / count) : std::nullopt);
}

}  // namespace

void ObservedGradient::add(const GradientNoise& noise) {
  ++count;
  sum.variance += noise.variance;
  sum.bound += noise.bound;
  sum.bias += noise.bias;
  if (noise.squares > 0) nmse_sum += noise.variance / noise.squares;
  if (!noise.comparison) return;
  if (!sum.comparison) sum.comparison = GradientComparison{{}, 0};
  for (std::size_t i = 0; i < sum.comparison->variance.size(); ++i) {
    sum.comparison->variance[i] += noise.comparison->variance[i];
  }
  sum.comparison->row_range_ratio += noise.comparison->row_range_ratio;
}

std::optional<double> ObservedGradient::nmse() const {
  return count > 0 ? std::optional(nmse_sum / static_cast<double>(count)) : std::nullopt;
}

Json ObservedGradient::to_json() const {
  Json::Object object = {{"count", count},
                         {"variance", sum.variance},
                         {"bound", sum.bound},
                         {"bias", sum.bias},
                         {"nmse", nmse_sum}};
  if (!sum.comparison) return object;
  Json::Array variances;
  for (const double variance : sum.comparison->variance) variances.push_back(variance);
  object.emplace_back("variances", std::move(variances));
  object.emplace_back("row_range_ratio", sum.comparison->row_range_ratio);
  return object;
}

ObservedGradient ObservedGradient::from_json(const Json& json) {
  ObservedGradient observed;
  observed.count = json.at("count").integer();
  observed.sum.variance = json.at("variance").number();
  observed.sum.bound = json.at("bound").number();
  observed.sum.bias = json.at("bias").number();
  observed.nmse_sum = json.at("nmse").number();
  const Json* const variances = json.find("variances");
  if (variances == nullptr) return observed;
  observed.sum.comparison = GradientComparison{};
  std::size_t scheme = 0;
  for (const Json& variance : variances->array()) {
    observed.sum.comparison->variance.at(scheme++) = variance.number();
  }
  observed.sum.comparison->row_range_ratio = json.at("row_range_ratio").number();
  return observed;
}

const std::vector<std::string>& gradient_columns() {
  static const std::vector<std::string> columns = [] {
    std::vector<std::string> names = {"gradient_variance", "gradient_bound", "gradient_bias",
                                      "gradient_nmse"};
    names.insert(names.end(), kVarianceKeys.begin(), kVarianceKeys.end());
    names.emplace_back("row_range_ratio");
    return names;
  }();
  return columns;
}

void write_gradient(CsvWriter& csv, const std::optional<GradientNoise>& noise) {
  ObservedGradient one;
  if (noise) one.add(*noise);
  write_means(csv, one);
}

void write_gradient(CsvWriter& csv, const ObservedGradient& observed, std::int64_t transform_macs) {
  write_means(csv, observed);
  if (transform_macs > 0) {
    csv << transform_macs;
  } else {
    csv << "";
  }
}

}  // namespace narrowmac
