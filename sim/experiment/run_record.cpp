#include "sim/experiment/run_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "models/design/error.h"
#include "models/theory/mac_theory.h"
#include "sim/experiment/csv.h"
#include "sim/experiment/hardware_json.h"

namespace narrowmac {
namespace {

const std::vector<std::string> kStepColumns = {"step", "epoch", "loss", "learning_rate"};
const std::vector<std::string> kObservationColumns = {
    "step",     "layer",     "pass", "nonzero_ratio", "full_swamping", "partial_swamping",
    "overflow", "underflow", "vrr",  "nmse"};
const std::vector<std::string> kLayerColumns = {"layer",
                                                "pass",
                                                "m",
                                                "n",
                                                "k",
                                                "macs",
                                                "cycles",
                                                "stall_cycles",
                                                "utilization",
                                                "nonzero_ratio",
                                                "full_swamping",
                                                "partial_swamping",
                                                "overflow",
                                                "underflow",
                                                "vrr",
                                                "nmse",
                                                "vrr_predicted",
                                                "mantissa_predicted"};

/// Quantised gradients come last, and only in runs that have them.
std::vector<std::string> with_gradient(std::vector<std::string> columns, bool quantised) {
  if (quantised) {
    columns.insert(columns.end(), gradient_columns().begin(), gradient_columns().end());
  }
  return columns;
}

std::vector<std::string> layer_columns(bool quantised) {
  std::vector<std::string> columns = with_gradient(kLayerColumns, quantised);
  if (quantised) columns.emplace_back("transform_macs");
  return columns;
}

/// The text without its header line.
std::string rows_of(const CsvWriter& csv) { return csv.text().substr(csv.text().find('\n') + 1); }

CsvWriter& write_rates(CsvWriter& csv, const GemmStatistics& statistics) {
  return csv << statistics.nonzero_ratio() << statistics.full_swamping()
             << statistics.partial_swamping() << statistics.overflow() << statistics.underflow();
}

/// Empty fields where the theory says nothing: in fp32 and with fixed-point accumulators.
void write_theory(CsvWriter& csv, const MacDesign* mac, const ArrayDesign& array,
                  std::int64_t length, double nonzero_ratio) {
  std::optional<double> vrr;
  std::optional<int> mantissa;
  if (mac != nullptr) {
    const AccumulationOrder order = accumulation_order(*mac, array);
    if (const auto loss = predicted_loss(*mac, order, length, nonzero_ratio)) vrr = 1 - *loss;
    mantissa = predicted_mantissa(*mac, order, length, nonzero_ratio);
  }
  csv << vrr;
  if (mantissa) {
    csv << std::int64_t{*mantissa};
  } else {
    csv << "";
  }
}

/// The number at the start of a row.
std::int64_t leading_number(std::string_view row) {
  std::int64_t value = 0;
  const auto parsed = std::from_chars(row.data(), row.data() + row.size(), value);
  if (parsed.ec != std::errc())
    throw Error(fmt::format("a row begins with \"{}\"", row.substr(0, 20)));
  return value;
}

/// Header and rows up to a step of a file whose rows begin with the step, in ascending order.
std::string cut_after(const std::string& text, std::int64_t step) {
  std::size_t end = text.find('\n') + 1;
  while (end < text.size()) {
    const std::size_t next = text.find('\n', end);
    if (next == std::string::npos || leading_number(std::string_view(text).substr(end)) > step)
      break;
    end = next + 1;
  }
  return text.substr(0, end);
}

std::vector<std::string_view> fields_of(std::string_view row) {
  std::vector<std::string_view> fields;
  for (std::size_t start = 0; start <= row.size();) {
    const std::size_t end = std::min(row.find(',', start), row.size());
    fields.push_back(row.substr(start, end - start));
    start = end + 1;
  }
  return fields;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<double> mean(double sum, std::int64_t count) {
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

/// The rates of several layers together. Each layer counts by its non-zero products of the whole
/// training (nonzero_ratio by all its products), not by how many of them were observed: a layer
/// with many rows is sampled more thinly.
class WorkWeightedRates {
 public:
  void add(const GemmStatistics& counts, std::int64_t macs) {
    const auto nonzero_ratio = counts.nonzero_ratio();
    if (!nonzero_ratio) return;
    products_ += static_cast<double>(macs);
    nonzero_products_ += *nonzero_ratio * static_cast<double>(macs);
    if (counts.steps == 0) return;
    const double weight = *nonzero_ratio * static_cast<double>(macs);
    accumulations_ += weight;
    full_swamped_ += weight * *counts.full_swamping();
    partial_swamped_ += weight * *counts.partial_swamping();
    overflowed_ += weight * *counts.overflow();
    underflowed_ += weight * *counts.underflow();
  }

  [[nodiscard]] Json::Object json() const {
    return {{"nonzero_ratio", ratio(nonzero_products_, products_)},
            {"full_swamping", ratio(full_swamped_, accumulations_)},
            {"partial_swamping", ratio(partial_swamped_, accumulations_)},
            {"overflow", ratio(overflowed_, accumulations_)},
            {"underflow", ratio(underflowed_, accumulations_)}};
  }

 private:
  static std::optional<double> ratio(double part, double whole) {
    return whole > 0 ? std::optional<double>(part / whole) : std::nullopt;
  }

  double products_ = 0, nonzero_products_ = 0, accumulations_ = 0;
  double full_swamped_ = 0, partial_swamped_ = 0, overflowed_ = 0, underflowed_ = 0;
};

void pool_counts(GemmStatistics& total, const GemmStatistics& statistics) {
  total.steps += statistics.steps;
  total.full_swamped += statistics.full_swamped;
  total.partial_swamped += statistics.partial_swamped;
  total.overflowed += statistics.overflowed;
  total.underflowed += statistics.underflowed;
  total.products += statistics.products;
  total.nonzero_products += statistics.nonzero_products;
}

}  // namespace

void ObservedPass::add(const GemmObservation& observation) {
  if (observation.gradient) gradient.add(*observation.gradient);
  const GemmStatistics& statistics = observation.statistics;
  if (statistics.products == 0) return;  // in fp32
  ++gemms;
  pool_counts(counts, statistics);
  if (const auto vrr = statistics.vrr(); vrr && std::isfinite(*vrr)) {
    vrr_sum += *vrr;
    ++vrr_count;
  }
  if (const auto nmse = statistics.nmse(); nmse && std::isfinite(*nmse)) {
    nmse_sum += *nmse;
    ++nmse_count;
  }
}

std::optional<double> ObservedPass::vrr() const { return mean(vrr_sum, vrr_count); }
std::optional<double> ObservedPass::nmse() const { return mean(nmse_sum, nmse_count); }

RunRecord::RunRecord(bool quantised_gradients)
    : quantised_(quantised_gradients),
      steps_(CsvWriter(kStepColumns).text()),
      observations_(CsvWriter(with_gradient(kObservationColumns, quantised_)).text()) {}

void RunRecord::add(const StepReport& step) {
  CsvWriter csv(kStepColumns);
  csv << step.step << step.epoch << step.loss << step.learning_rate;
  csv.end_row();
  steps_ += rows_of(csv);
  add_loss(step.epoch, std::isfinite(step.loss) ? std::optional<double>(step.loss) : std::nullopt);
}

void RunRecord::add_loss(std::int64_t epoch, std::optional<double> loss) {
  if (epoch != epoch_) {
    epoch_ = epoch;
    loss_sum_ = 0;
    losses_ = 0;
    finite_ = true;
  }
  loss_sum_ += loss.value_or(0);
  ++losses_;
  finite_ = finite_ && loss.has_value();
}

std::optional<double> RunRecord::last_epoch_loss() const {
  return finite_ ? mean(loss_sum_, losses_) : std::nullopt;
}

void RunRecord::add(const std::vector<GemmObservation>& observations) {
  CsvWriter csv(with_gradient(kObservationColumns, quantised_));
  for (const GemmObservation& observation : observations) {
    const GemmStatistics& statistics = observation.statistics;
    observed_[{observation.layer, observation.pass}].add(observation);
    csv << observation.step << observation.layer << to_string(observation.pass);
    write_rates(csv, statistics) << statistics.vrr() << statistics.nmse();
    if (quantised_) write_gradient(csv, observation.gradient);
    csv.end_row();
  }
  observations_ += rows_of(csv);
}

std::string RunRecord::layers_csv(const Work& work, const MacAssignment& macs,
                                  const ArrayDesign& array) const {
  CsvWriter csv(layer_columns(quantised_));
  for (const auto& entry : work) {
    for (const Pass pass : kPasses) {
      const LayerWork& done = entry.second[static_cast<std::size_t>(pass)];
      if (done.gemms == 0) continue;
      csv << entry.first << to_string(pass) << done.shape.m << done.shape.n << done.shape.k
          << done.macs;
      if (done.on_array) {
        csv << done.cycles.total() << done.stalls.total()
            << done.utilization_sum / static_cast<double>(done.gemms);
      } else {
        csv << ""
            << ""
            << "";
      }
      const auto found = observed_.find({entry.first, pass});
      const ObservedPass observed = found == observed_.end() ? ObservedPass() : found->second;
      write_rates(csv, observed.counts) << observed.vrr() << observed.nmse();
      write_theory(csv, macs.find(entry.first, pass), array, done.shape.k,
                   observed.counts.nonzero_ratio().value_or(1));
      if (quantised_) write_gradient(csv, observed.gradient, done.transform_macs);
      csv.end_row();
    }
  }
  return csv.text();
}

Json::Object RunRecord::results(const Work& work) const {
  Json::Object passes;
  WorkWeightedRates total;
  std::int64_t macs = 0, transform_macs = 0;
  for (const Pass pass : kPasses) {
    WorkWeightedRates rates;
    std::int64_t pass_macs = 0, gemms = 0, vrrs = 0, nmses = 0, gradients = 0;
    double vrr = 0, nmse = 0, gradient = 0;
    for (const auto& entry : work) {
      const std::int64_t layer_macs = entry.second[static_cast<std::size_t>(pass)].macs;
      pass_macs += layer_macs;
      transform_macs += entry.second[static_cast<std::size_t>(pass)].transform_macs;
      const auto found = observed_.find({entry.first, pass});
      if (found == observed_.end()) continue;
      rates.add(found->second.counts, layer_macs);
      total.add(found->second.counts, layer_macs);
      gemms += found->second.gemms;
      if (const auto value = found->second.vrr()) vrr += *value, ++vrrs;
      if (const auto value = found->second.nmse()) nmse += *value, ++nmses;
      if (const auto value = found->second.gradient.nmse()) gradient += *value, ++gradients;
    }
    Json::Object object = {{"macs", pass_macs}, {"observed_gemms", gemms}};
    for (auto& member : rates.json()) object.push_back(std::move(member));
    object.emplace_back("vrr", mean(vrr, vrrs));
    object.emplace_back("nmse", mean(nmse, nmses));
    object.emplace_back("gradient_nmse", mean(gradient, gradients));
    passes.emplace_back(std::string(to_string(pass)), std::move(object));
    macs += pass_macs;
  }
  Json::Object results = {{"macs", macs}, {"transform_macs", transform_macs}};
  for (auto& member : total.json()) results.push_back(std::move(member));
  results.emplace_back("passes", std::move(passes));
  return results;
}

Json RunRecord::to_json() const {
  Json::Array observed;
  for (const auto& entry : observed_) {
    const ObservedPass& pass = entry.second;
    const GemmStatistics& counts = pass.counts;
    observed.push_back(Json::Object{{"layer", entry.first.first},
                                    {"pass", to_string(entry.first.second)},
                                    {"gemms", pass.gemms},
                                    {"steps", counts.steps},
                                    {"full_swamped", counts.full_swamped},
                                    {"partial_swamped", counts.partial_swamped},
                                    {"overflowed", counts.overflowed},
                                    {"underflowed", counts.underflowed},
                                    {"products", counts.products},
                                    {"nonzero_products", counts.nonzero_products},
                                    {"vrr_sum", pass.vrr_sum},
                                    {"vrr_count", pass.vrr_count},
                                    {"nmse_sum", pass.nmse_sum},
                                    {"nmse_count", pass.nmse_count},
                                    {"gradient", pass.gradient.to_json()}});
  }
  return observed;
}

namespace {

ObservedPass parse_observed(const Json& json) {
  ObservedPass pass;
  GemmStatistics& counts = pass.counts;
  pass.gemms = json.at("gemms").integer();
  counts.steps = json.at("steps").integer();
  counts.full_swamped = json.at("full_swamped").integer();
  counts.partial_swamped = json.at("partial_swamped").integer();
  counts.overflowed = json.at("overflowed").integer();
  counts.underflowed = json.at("underflowed").integer();
  counts.products = json.at("products").integer();
  counts.nonzero_products = json.at("nonzero_products").integer();
  pass.vrr_sum = json.at("vrr_sum").number();
  pass.vrr_count = json.at("vrr_count").integer();
  pass.nmse_sum = json.at("nmse_sum").number();
  pass.nmse_count = json.at("nmse_count").integer();
  if (const Json* const gradient = json.find("gradient")) {
    pass.gradient = ObservedGradient::from_json(*gradient);
  }
  return pass;
}

}  // namespace

RunRecord RunRecord::restore(const Json& state, const std::string& steps_csv,
                             const std::string& observations_csv, std::int64_t step) {
  RunRecord record(observations_csv.find(gradient_columns().front()) != std::string::npos);
  record.steps_ = cut_after(steps_csv, step);
  record.observations_ = cut_after(observations_csv, step);
  for (const Json& json : state.array()) {
    record.observed_[{json.at("layer").string(), parse_pass(json.at("pass").string())}] =
        parse_observed(json);
  }
  std::int64_t rows = 0;
  for (std::size_t start = record.steps_.find('\n') + 1; start < record.steps_.size();) {
    const std::size_t end = record.steps_.find('\n', start);
    const auto fields = fields_of(std::string_view(record.steps_).substr(start, end - start));
    if (fields.size() != kStepColumns.size()) throw Error("steps.csv: a row is incomplete");
    record.add_loss(leading_number(fields[1]), parse_number(fields[2]));
    start = end + 1;
    ++rows;
  }
  if (rows != step) {
    throw Error(
        fmt::format("steps.csv: found {} steps; the checkpoint was made after {}", rows, step));
  }
  return record;
}

}  // namespace narrowmac
