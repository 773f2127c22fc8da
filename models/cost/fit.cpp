#include "models/cost/fit.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr std::string_view kSecondPart = "part:second accumulator";

double bits_for(double count) { return std::ceil(std::log2(std::max(count, 2.0))); }

Error uncovered(std::string_view key, std::string_view what) {
  return Error(
      fmt::format("{}: the fit covers no {}; synthesis does: --liberty FILE, or "
                  "--backend synthesis",
                  key, what));
}

/// An adder of floats, in the symbols of docs/cost.md: F fraction places of the window, W its
/// width, X exponent bits.
struct FloatAdder {
  double window = 0;    ///< W
  double exponent = 0;  ///< X
  double rounding = 0;  ///< places that are rounded up
};

FloatAdder float_adder(const Conversion& sum, double addend_fraction, double addend_exponent) {
  const double own = sum.format.fraction_bits;
  const double fraction = std::max(own, addend_fraction);
  double guard = 2;
  if (sum.rounding.mode == RoundingMode::Stochastic) {
    guard = std::max(guard, sum.rounding.random_bits + 1 - (fraction - own));
  }
  if (sum.rounding.mode == RoundingMode::TruncateAligned) guard = sum.rounding.guard_bits;
  const bool adds_half = sum.rounding.mode != RoundingMode::TowardZero &&
                         sum.rounding.mode != RoundingMode::TruncateAligned;
  return {fraction + guard + 2, std::max<double>(addend_exponent, sum.format.exponent_bits) + 2,
          adds_half ? own : 0};
}

/// Features of the second accumulator; all 0 without one.
void append_second(const MacDesign& mac, FitFeatures& features) {
  FloatAdder adder;
  double own = 0, subnormals = 0, special_values = 0;
  if (mac.chunk) {
    const NumberFormat& first = mac.accumulator.format;
    const Conversion& sum = mac.chunk->accumulator;
    adder = float_adder(sum, first.fraction_bits, first.exponent_bits);
    own = sum.format.fraction_bits;
    subnormals = sum.subnormals ? adder.window + first.fraction_bits : 0;
    special_values = mac.special_values ? sum.format.width : 0;
  }
  features.emplace_back("second_shifters", adder.window * bits_for(adder.window + 1));
  features.emplace_back("second_adders", adder.window + own);
  features.emplace_back("second_exponents", adder.exponent);
  features.emplace_back("second_subnormals", subnormals);
  features.emplace_back("second_special_values", special_values);
}

FitFeatures float_features(const MacDesign& mac) {
  const Conversion& sum = mac.accumulator;
  const double product = mac.a.fraction_bits + mac.b.fraction_bits + 2;
  const FloatAdder adder =
      float_adder(sum, product - 1, std::max(mac.a.exponent_bits, mac.b.exponent_bits) + 1);
  const double subnormals = sum.subnormals ? 1 : 0;
  // Sums are subnormal only where a product's last place is below the smallest normal number:
  // elsewhere synthesis finds that the logic for them does nothing.
  const bool underflows =
      sum.subnormals &&
      mac.a.min_quantum_exponent() + mac.b.min_quantum_exponent() < sum.format.min_exponent();
  FitFeatures features{
      {"partial_products", (mac.a.fraction_bits + 1.0) * (mac.b.fraction_bits + 1.0)},
      {"shifters", adder.window * bits_for(adder.window + 1)},
      {"adders", adder.window + sum.format.fraction_bits},
      {"exponents", adder.exponent},
      {"rounding", adder.rounding},
      {"random_bits", static_cast<double>(sum.rounding.random_bits)},
      {"subnormal_products", subnormals * product * bits_for(product)},
      {"subnormal_sums", subnormals * adder.window},
      {"underflow_exponents", underflows ? adder.exponent : 0},
      {"underflow_places", underflows ? static_cast<double>(sum.format.fraction_bits) : 0.0},
      {"special_values", mac.special_values ? sum.format.width : 0.0},
      {"constant", 1}};
  append_second(mac, features);
  return features;
}

/// The product is a whole number, whose leading one goes to the top.
FitFeatures fixed_into_float_features(const MacDesign& mac) {
  const Conversion& sum = mac.accumulator;
  const double product = mac.a.width + mac.b.width;
  const FloatAdder adder = float_adder(sum, product - 1, bits_for(product + 1));
  return {{"partial_products", static_cast<double>(mac.a.width) * mac.b.width},
          {"normaliser", product * bits_for(product)},
          {"shifters", adder.window * bits_for(adder.window + 1)},
          {"adders", adder.window + sum.format.fraction_bits},
          {"exponents", adder.exponent},
          {"rounding", adder.rounding},
          {"random_bits", static_cast<double>(sum.rounding.random_bits)},
          {"subnormal_sums", sum.subnormals ? adder.window : 0},
          {"special_values", mac.special_values ? sum.format.width : 0.0},
          {"constant", 1}};
}

/// The product is shifted to its place among the accumulator's, whose places and those below them
/// that rounding looks at the shifter has, as far as products reach.
FitFeatures float_into_fixed_features(const MacDesign& mac) {
  const Conversion& sum = mac.accumulator;
  const double width = sum.format.width;
  const double product = mac.a.fraction_bits + mac.b.fraction_bits + 2;
  const double lowest = sum.format.fraction_bits + mac.a.min_quantum_exponent() +
                        mac.b.min_quantum_exponent();  // of a product, in the sum's places
  const double range = (1 << mac.a.exponent_bits) + (1 << mac.b.exponent_bits) - 2;
  const double dropped =
      lowest < 0 ? std::min(-lowest, std::max(2.0, sum.rounding.random_bits + 1.0)) : 0;
  const double shifter = product + std::clamp(range + lowest, 0.0, width + 1) + dropped;
  const double stages = std::max(mac.a.exponent_bits, mac.b.exponent_bits) + 1;
  return {{"partial_products", (mac.a.fraction_bits + 1.0) * (mac.b.fraction_bits + 1.0)},
          {"shifters", shifter * stages},
          {"adders", width + dropped},
          {"width", width},
          {"rounding", dropped > 0 ? width : 0},
          {"saturation", sum.overflow == Overflow::Saturate ? width : 0},
          {"random_bits", static_cast<double>(sum.rounding.random_bits)},
          {"constant", 1}};
}

FitFeatures integer_features(const MacDesign& mac) {
  const Conversion& sum = mac.accumulator;
  const double dropped =
      std::max(0, mac.a.fraction_bits + mac.b.fraction_bits - sum.format.fraction_bits);
  const double width = sum.format.width;
  return {{"partial_products", static_cast<double>(mac.a.width) * mac.b.width},
          {"operands", static_cast<double>(mac.a.width) + mac.b.width},
          {"adders", std::max(width, mac.a.width + mac.b.width - dropped)},
          {"rounding", dropped > 0 ? width + dropped : 0},
          {"saturation", sum.overflow == Overflow::Saturate ? width : 0},
          {"random_bits", static_cast<double>(sum.rounding.random_bits)},
          {"constant", 1}};
}

using Row = std::vector<double>;

/// Solves the square system by elimination with pivots. Directions without any data get 0.
Row solve(std::vector<Row> matrix, Row right) {
  const std::size_t size = right.size();
  for (std::size_t column = 0; column < size; ++column) {
    std::size_t pivot = column;
    for (std::size_t row = column + 1; row < size; ++row) {
      if (std::fabs(matrix[row][column]) > std::fabs(matrix[pivot][column])) pivot = row;
    }
    std::swap(matrix[column], matrix[pivot]);
    std::swap(right[column], right[pivot]);
    for (std::size_t row = column + 1; row < size; ++row) {
      const double factor = matrix[row][column] / matrix[column][column];
      for (std::size_t i = column; i < size; ++i) matrix[row][i] -= factor * matrix[column][i];
      right[row] -= factor * right[column];
    }
  }
  for (std::size_t row = size; row-- > 0;) {
    for (std::size_t i = row + 1; i < size; ++i) right[row] -= matrix[row][i] * right[i];
    right[row] /= matrix[row][row];
  }
  return right;
}

/// A family's features with one cost, and the size that errors are relative to.
struct Problem {
  std::vector<Row> features;
  Row costs;
  Row scales;
};

/// Coefficients without the samples of one fold (-1: with all). A hair of ridge keeps features that
/// the remaining samples lack out of the result.
Row least_squares(const Problem& problem, int fold) {
  const std::size_t size = problem.features.front().size();
  std::vector<Row> matrix(size, Row(size, 0.0));
  Row right(size, 0.0);
  for (std::size_t sample = 0; sample < problem.costs.size(); ++sample) {
    if (static_cast<int>(sample % 4) == fold) continue;
    const double weight = 1 / (problem.scales[sample] * problem.scales[sample]);
    const Row& x = problem.features[sample];
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) matrix[i][j] += weight * x[i] * x[j];
      right[i] += weight * x[i] * problem.costs[sample];
    }
  }
  double largest = 0;
  for (std::size_t i = 0; i < size; ++i) largest = std::max(largest, matrix[i][i]);
  for (std::size_t i = 0; i < size; ++i) matrix[i][i] += 1e-10 * matrix[i][i] + 1e-14 * largest;
  return solve(std::move(matrix), std::move(right));
}

double dot(const Row& left, const Row& right) {
  double sum = 0;
  for (std::size_t i = 0; i < left.size(); ++i) sum += left[i] * right[i];
  return sum;
}

FitLine fit_line(const Problem& problem, const FitFeatures& names) {
  FitLine line;
  for (int fold = 0; fold < 4; ++fold) {
    const Row coefficients = least_squares(problem, fold);
    for (std::size_t i = static_cast<std::size_t>(fold); i < problem.costs.size(); i += 4) {
      const double error =
          std::fabs(dot(coefficients, problem.features[i]) - problem.costs[i]) / problem.scales[i];
      line.mean_error += error / static_cast<double>(problem.costs.size());
      line.largest_error = std::max(line.largest_error, error);
    }
  }
  const Row coefficients = least_squares(problem, -1);
  for (std::size_t i = 0; i < names.size(); ++i) {
    line.coefficients[names[i].first] = coefficients[i];
  }
  return line;
}

/// Every cost of a record by the name of its line.
std::map<std::string, double> costs_of(const CostRecord& record) {
  std::map<std::string, double> costs{{"area_um2", record.area_um2},
                                      {"delay_ns", record.delay_ns},
                                      {"energy_pj", record.energy_pj},
                                      {"clock_pj", record.clock_pj},
                                      {"leakage_uw", record.leakage_uw}};
  for (const AreaPart& part : record.parts) costs["part:" + part.name] = part.area_um2;
  return costs;
}

CostFit::Family fit_one_family(const std::vector<const FitSample*>& samples) {
  CostFit::Family family;
  family.designs = static_cast<int>(samples.size());
  const FitFeatures names = fit_features(samples.front()->design);
  if (samples.size() < 2 * names.size()) {
    throw Error(fmt::format("{} designs of one family for {} coefficients; accepted: twice as many",
                            samples.size(), names.size()));
  }
  std::map<std::string, Problem> problems;
  for (const FitSample* const sample : samples) {
    for (const auto& entry : costs_of(sample->record)) problems[entry.first];
  }
  for (auto& [name, problem] : problems) {
    const bool is_part = name.starts_with("part:");
    for (const FitSample* const sample : samples) {
      Row row;
      for (const auto& feature : fit_features(sample->design)) row.push_back(feature.second);
      const std::map<std::string, double> costs = costs_of(sample->record);
      const auto cost = costs.find(name);
      problem.features.push_back(std::move(row));
      problem.costs.push_back(cost == costs.end() ? 0.0 : cost->second);
      // An error of a part is relative to the whole: a part may be nothing.
      problem.scales.push_back(is_part ? sample->record.area_um2 : problem.costs.back());
    }
    family.lines[name] = fit_line(problem, names);
  }
  return family;
}

}  // namespace

std::string_view to_string(FitFamily family) {
  switch (family) {
    case FitFamily::Float:
      return "float";
    case FitFamily::Integer:
      return "integer";
    case FitFamily::FixedIntoFloat:
      return "fixed-into-float";
    case FitFamily::FloatIntoFixed:
      break;
  }
  return "float-into-fixed";
}

FitFamily fit_family(const RtlDesign& design) {
  const MacDesign& mac = design.mac;
  check_rtl(design);
  if (mac.product) throw uncovered("mac.product", "rounded products");
  if (design.multiplier_stages != 0) throw uncovered("array.multiplier_latency", "pipelines");
  if (design.adder_stages != 1) throw uncovered("array.adder_latency", "pipelines");
  if (design.interleave != 1) throw uncovered("array.interleave", "interleaved sums");
  if (mac.a.is_float() != mac.b.is_float()) {
    throw uncovered("mac.b", "products of a float and a fixed-point number");
  }
  const bool sums_floats = mac.accumulator.format.is_float();
  if (mac.chunk) {
    if (!mac.a.is_float() || !sums_floats || !mac.chunk->accumulator.format.is_float()) {
      throw uncovered("mac.chunk", "second accumulators but of floats into floats");
    }
  }
  if (mac.a.is_float()) return sums_floats ? FitFamily::Float : FitFamily::FloatIntoFixed;
  return sums_floats ? FitFamily::FixedIntoFloat : FitFamily::Integer;
}

FitFeatures fit_features(const RtlDesign& design) {
  switch (fit_family(design)) {
    case FitFamily::Float:
      return float_features(design.mac);
    case FitFamily::Integer:
      return integer_features(design.mac);
    case FitFamily::FixedIntoFloat:
      return fixed_into_float_features(design.mac);
    case FitFamily::FloatIntoFixed:
      break;
  }
  return float_into_fixed_features(design.mac);
}

CostFit fit_costs(const std::vector<FitSample>& samples) {
  CostFit fit;
  std::map<std::string, std::vector<const FitSample*>> families;
  for (const FitSample& sample : samples) {
    families[std::string(to_string(fit_family(sample.design)))].push_back(&sample);
    fit.library = sample.record.library;
    fit.tools = sample.record.tools;
  }
  for (const auto& [name, members] : families) fit.families[name] = fit_one_family(members);
  return fit;
}

CostRecord estimate_by_fit(const RtlDesign& design, const CostFit& fit) {
  const std::string name(to_string(fit_family(design)));
  const auto family = fit.families.find(name);
  if (family == fit.families.end()) {
    throw Error(fmt::format("the fit of {} has no family '{}'", fit.library, name));
  }
  const FitFeatures features = fit_features(design);
  for (const auto& [feature, size] : features) {
    if (size == 0 || family->second.lines.at("area_um2").coefficients.count(feature) != 0) continue;
    throw Error(
        fmt::format("the fit of {} knows no '{}', which this design has; accepted: a fit that "
                    "scripts/calibrate "
                    "has made anew",
                    fit.library, feature));
  }
  const auto value = [&features](const FitLine& line) {
    double sum = 0;
    for (const auto& [feature, size] : features) {
      const auto coefficient = line.coefficients.find(feature);
      if (coefficient != line.coefficients.end()) sum += coefficient->second * size;
    }
    return std::max(sum, 0.0);
  };
  CostRecord record;
  record.backend = "fit";
  record.library = fit.library;
  record.tools = fit.tools;
  double parts = 0;
  for (const auto& [line, coefficients] : family->second.lines) {
    const double cost = value(coefficients);
    if (line == "area_um2") record.area_um2 = cost;
    if (line == "delay_ns") record.delay_ns = cost;
    if (line == "energy_pj") record.energy_pj = cost;
    if (line == "clock_pj") record.clock_pj = cost;
    if (line == "leakage_uw") record.leakage_uw = cost;
    if (line.starts_with("part:")) {
      if (line == kSecondPart && !design.mac.chunk) continue;  // a hair of what others have
      record.parts.push_back({line.substr(5), cost});
      parts += cost;
    } else {
      record.errors.push_back({line, coefficients.mean_error, coefficients.largest_error});
    }
  }
  for (AreaPart& part : record.parts) part.area_um2 *= record.area_um2 / std::max(parts, 1e-30);
  return record;
}

}  // namespace narrowmac
