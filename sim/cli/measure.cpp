#include "sim/experiment/measure.h"

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "models/design/config.h"
#include "models/design/error.h"
#include "sim/cli/commands.h"
#include "sim/cli/find_condition.h"
#include "sim/cli/mac_argument.h"
#include "sim/cli/theory_column.h"
#include "sim/experiment/progress.h"
#include "sim/experiment/replayed_step.h"

namespace narrowmac {
namespace {

constexpr int kMaxMantissa = 23;

/// What the command line asks for, checked.
struct Request {
  const MeasureCommand& command;
  std::vector<int> mantissas;  ///< ascending, each once; empty: the design as it is
  std::optional<FindCondition> find;
  std::optional<MacFile> mac;  ///< absent: the run's own
};

/// Where the measured operands come from.
struct Source {
  std::string layer, pass;  ///< of a run; empty: Gaussian
  double nonzero_ratio = 1;
};

/// All widths with the operands of one source and length.
struct Study {
  Source source;
  std::vector<MeasuredDesign> designs;
  std::vector<Measurement> measurements;  ///< one per design
  [[nodiscard]] std::optional<double> theory(std::size_t i) const {
    return theory_vrr(designs[i], measurements[i].length, source.nonzero_ratio);
  }
};

std::vector<int> mantissas_of(const MeasureCommand& command, bool find) {
  std::vector<int> mantissas;
  for (const std::int64_t mantissa : command.mantissas) {
    if (mantissa < 1 || mantissa > kMaxMantissa) {
      throw Error(fmt::format("--mantissas: found {}; accepted: 1..{}", mantissa, kMaxMantissa));
    }
    mantissas.push_back(static_cast<int>(mantissa));
  }
  for (int m = 1; find && command.mantissas.empty() && m <= kMaxMantissa; ++m) {
    mantissas.push_back(m);
  }
  std::sort(mantissas.begin(), mantissas.end());
  mantissas.erase(std::unique(mantissas.begin(), mantissas.end()), mantissas.end());
  return mantissas;
}

Request understand(const MeasureCommand& command) {
  for (const std::int64_t length : command.lengths) {
    if (length < 1 || length > kMaxMeasureLength) {
      throw Error(fmt::format("--lengths: found {}; accepted: 1..{}", length, kMaxMeasureLength));
    }
  }
  if (command.lengths.empty() && !command.run) {
    throw Error(
        "--lengths: missing; accepted: products per sum, e.g. 64,256,1024 (with --run it may be "
        "left out: then each GEMM has its own)");
  }
  if (!command.mac && !command.run) {
    throw Error(
        "--mac: missing; accepted: a MAC file (with --run it may be left out: then the "
        "run's own)");
  }
  if (command.trials && (*command.trials < kMinTrials || *command.trials > kMaxTrials)) {
    throw Error(fmt::format("--trials: found {}; accepted: {}..{}", *command.trials, kMinTrials,
                            kMaxTrials));
  }
  if (command.nonzero_ratio && command.run) {
    throw Error("--nzr: not with --run, whose operands have the zeros that they have");
  }
  if (command.nonzero_ratio && !(*command.nonzero_ratio > 0 && *command.nonzero_ratio <= 1)) {
    throw Error(
        fmt::format("--nzr: found {}; accepted: above 0 and up to 1", *command.nonzero_ratio));
  }
  Request request{command, {}, {}, {}};
  if (command.find) request.find = FindCondition::parse(*command.find);
  request.mantissas = mantissas_of(command, command.find.has_value());
  if (command.mac) request.mac = read_mac_argument(*command.mac);
  return request;
}

/// The design in each width; an error names where the design is from and what asked for widths.
std::vector<MeasuredDesign> designs_of(const Request& request, const std::string& origin,
                                       const MacDesign& mac,
                                       const std::optional<ArrayDesign>& array) {
  try {
    return measured_designs(mac, array, request.mantissas);
  } catch (const Error& error) {
    const char* option = request.mantissas.empty()           ? ""
                         : request.command.mantissas.empty() ? "--find: "
                                                             : "--mantissas: ";
    throw Error(fmt::format("{}{}: {}", option, origin, error.what()), error.kind());
  }
}

MeasureOptions options_of(const Request& request) {
  MeasureOptions options;
  options.trials = request.command.trials;
  options.nonzero_ratio = request.command.nonzero_ratio.value_or(1);
  options.seed = request.command.seed;
  options.count_swamping = !request.find || request.find->needs_swamping();
  return options;
}

/// Sums that are not finite leave no variance: that must not pass unseen.
void warn_of_lost_sums(const Study& study) {
  for (const Measurement& measurement : study.measurements) {
    if (measurement.not_finite == 0) continue;
    spdlog::warn("{}{}length {}: {} of {} sums left the accumulator's range{}: no VRR, no NMSE",
                 study.source.layer.empty() ? "" : study.source.layer + " " + study.source.pass,
                 study.source.layer.empty() ? "" : ", ", measurement.length, measurement.not_finite,
                 measurement.trials,
                 measurement.mantissa ? fmt::format(" (mantissa {})", *measurement.mantissa) : "");
  }
}

std::vector<Study> gaussian_studies(const Request& request) {
  const MeasureCommand& command = request.command;
  const std::string origin = command.mac->string();
  checked_order(*command.mac, request.mac->mac, request.mac->array);  // for its warnings
  const std::vector<MeasuredDesign> designs =
      designs_of(request, origin, request.mac->mac, request.mac->array);
  double total = 0;
  for (const std::int64_t length : command.lengths) {
    for (const MeasuredDesign& design : designs) check_length(design.order, length);
    total += static_cast<double>(trial_layout(length, command.trials).trials() * length *
                                 std::ssize(designs));
  }
  Progress progress(command.quiet);
  double done = 0;
  MeasureOptions options = options_of(request);
  std::vector<Study> studies;
  for (const std::int64_t length : command.lengths) {
    options.progress = [&](std::int64_t products) {
      done += static_cast<double>(products);
      if (progress.due()) {
        progress.show(fmt::format("length {}: {:.0f} % of all", length, 100 * done / total));
      }
    };
    studies.push_back(
        {{"", "", options.nonzero_ratio}, designs, measure_gaussian(designs, length, options)});
  }
  return studies;
}

/// One GEMM of a run's step, in all lengths.
void study_gemm(const Request& request, const ReplayedStep& step, const GemmRequest& gemm,
                std::vector<Study>& studies) {
  const MacDesign* mac = request.mac ? &request.mac->mac : gemm.mac;
  if (mac == nullptr) return;  // fp32, and no --mac
  const std::string origin =
      request.mac ? request.command.mac->string()
                  : fmt::format("layer \"{}\", pass {}", gemm.layer, to_string(gemm.pass));
  const std::optional<ArrayDesign> array =
      request.mac ? request.mac->array : std::optional<ArrayDesign>(step.config().array);
  const std::vector<MeasuredDesign> designs = designs_of(request, origin, *mac, array);
  const std::int64_t own_length = gemm.a.columns();
  std::vector<std::int64_t> lengths = request.command.lengths;
  if (lengths.empty()) lengths.push_back(own_length);
  const SampledOperands operands = sample_operands(gemm, *mac, request.command.trials);
  for (const std::int64_t length : lengths) {
    if (length > own_length) continue;
    Study study;
    study.source = {gemm.layer, std::string(to_string(gemm.pass)),
                    nonzero_ratio(operands.a, operands.b, length)};
    study.designs = designs;
    study.measurements =
        measure_operands(designs, operands.a, operands.b, length, options_of(request));
    studies.push_back(std::move(study));
  }
}

/// Layers in the network's order, their passes in the usual one.
void sort_as_layers_csv(std::vector<Study>& studies, const NetworkDescription& network) {
  const auto place = [&](const Study& study) {
    const auto layer = std::find_if(
        network.layers.begin(), network.layers.end(),
        [&](const LayerDescription& candidate) { return candidate.name == study.source.layer; });
    const auto pass = std::find_if(std::begin(kPasses), std::end(kPasses), [&](Pass candidate) {
      return to_string(candidate) == study.source.pass;
    });
    return std::pair(layer - network.layers.begin(), pass - std::begin(kPasses));
  };
  std::stable_sort(studies.begin(), studies.end(), [&](const Study& left, const Study& right) {
    return place(left) < place(right);
  });
}

std::vector<Study> run_studies(const Request& request) {
  const ReplayedStep step(*request.command.run);
  if (request.mac) {
    checked_order(*request.command.mac, request.mac->mac, request.mac->array);
    designs_of(request, request.command.mac->string(), request.mac->mac, request.mac->array);
  }
  Progress progress(request.command.quiet);
  std::vector<Study> studies;
  std::int64_t longest = 0;
  step.run([&](const GemmRequest& gemm) {
    progress.show(
        fmt::format("step {}, layer {}, pass {}", step.number(), gemm.layer, to_string(gemm.pass)));
    longest = std::max(longest, gemm.a.columns());
    study_gemm(request, step, gemm, studies);
  });
  progress.clear();
  if (studies.empty() && !request.mac && !step.config().mac) {
    throw Error(fmt::format("--run {}: the run trains in fp32, without a MAC; accepted: with --mac",
                            request.command.run->string()));
  }
  if (studies.empty()) {
    throw Error(
        fmt::format("--lengths: all are longer than every sum of the run, the longest of "
                    "which has {} products; accepted: 1..{}",
                    longest, longest));
  }
  sort_as_layers_csv(studies, step.config().network);
  return studies;
}

Json optional_json(const std::optional<double>& value) { return Json(value); }

/// value, low, high.
void add_estimate(std::vector<Json>& cells, const std::optional<Estimate>& estimate) {
  cells.push_back(estimate ? Json(estimate->value) : Json());
  cells.push_back(estimate ? optional_json(estimate->low) : Json());
  cells.push_back(estimate ? optional_json(estimate->high) : Json());
}

std::vector<std::string> columns_behind_source(const MeasureCommand& command,
                                               std::initializer_list<const char*> columns) {
  std::vector<std::string> all;
  if (command.run) all = {"layer", "pass"};
  all.insert(all.end(), columns.begin(), columns.end());
  if (command.run) all.emplace_back("nonzero_ratio");
  return all;
}

std::vector<Json> source_cells(const MeasureCommand& command, const Study& study) {
  if (!command.run) return {};
  return {Json(study.source.layer), Json(study.source.pass)};
}

ResultTable measurement_table(const MeasureCommand& command, const std::vector<Study>& studies) {
  ResultTable table;
  table.columns = columns_behind_source(
      command, {"length", "mantissa", "vrr", "vrr_low", "vrr_high", "nmse", "nmse_low", "nmse_high",
                "full_swamping", "partial_swamping", "vrr_theory", "trials"});
  for (const Study& study : studies) {
    for (std::size_t i = 0; i < study.measurements.size(); ++i) {
      const Measurement& measurement = study.measurements[i];
      std::vector<Json> cells = source_cells(command, study);
      cells.emplace_back(measurement.length);
      cells.emplace_back();
      if (measurement.mantissa) cells.back() = Json(*measurement.mantissa);
      add_estimate(cells, measurement.vrr);
      add_estimate(cells, measurement.nmse);
      cells.push_back(optional_json(measurement.full_swamping));
      cells.push_back(optional_json(measurement.partial_swamping));
      cells.push_back(optional_json(study.theory(i)));
      cells.emplace_back(measurement.trials);
      if (command.run) cells.emplace_back(study.source.nonzero_ratio);
      table.rows.push_back(std::move(cells));
    }
  }
  return table;
}

/// The place of the smallest width from which all wider ones satisfy; past the end: none does.
template <typename Satisfies>
std::size_t first_of_the_satisfied(std::size_t count, const Satisfies& satisfies) {
  std::size_t first = count;
  while (first > 0 && satisfies(first - 1)) --first;
  return first;
}

/// Says where the interval of a width that decides includes the bound.
void warn_of_close_calls(const FindCondition& find, const Study& study, std::size_t first) {
  for (std::size_t i = first == 0 ? 0 : first - 1; i <= first && i < study.designs.size(); ++i) {
    const Measurement& measurement = study.measurements[i];
    const std::optional<Estimate> estimate = find.estimate_of(measurement);
    if (!estimate || !estimate->low) continue;
    if (find.bound < *estimate->low || find.bound > *estimate->high) continue;
    spdlog::warn(
        "{}{}length {}, mantissa {}: {:.4g} is within its error of the bound ({:.4g} to "
        "{:.4g}); more --trials may move the answer by a bit",
        study.source.layer.empty() ? "" : study.source.layer + " " + study.source.pass,
        study.source.layer.empty() ? "" : ", ", measurement.length, *measurement.mantissa,
        estimate->value, *estimate->low, *estimate->high);
  }
}

ResultTable find_table(const Request& request, const std::vector<Study>& studies) {
  const FindCondition& find = *request.find;
  ResultTable table;
  table.columns = columns_behind_source(
      request.command,
      {"length", "minimum_mantissa", "value", "value_one_narrower", "minimum_mantissa_theory"});
  for (const Study& study : studies) {
    const std::size_t count = study.designs.size();
    const auto value = [&](std::size_t i) { return find.value_of(study.measurements[i]); };
    const std::size_t first =
        first_of_the_satisfied(count, [&](std::size_t i) { return find.is_met_by(value(i)); });
    std::size_t theory = count;
    if (find.metric == FindCondition::Metric::Vrr) {
      theory = first_of_the_satisfied(count, [&](std::size_t i) {
        return theory_applies(study.designs[i]) && find.is_met_by(study.theory(i));
      });
    }
    const auto mantissa = [&](std::size_t i) {
      return i < count ? Json(*study.designs[i].mantissa) : Json();
    };
    std::vector<Json> cells = source_cells(request.command, study);
    cells.emplace_back(study.measurements.front().length);
    cells.push_back(mantissa(first));
    cells.push_back(first < count ? optional_json(value(first)) : Json());
    cells.push_back(first > 0 && first < count ? optional_json(value(first - 1)) : Json());
    cells.push_back(mantissa(theory));
    if (request.command.run) cells.emplace_back(study.source.nonzero_ratio);
    table.rows.push_back(std::move(cells));
    warn_of_close_calls(find, study, first);
  }
  return table;
}

std::string heading(const Request& request, const std::vector<Study>& studies) {
  const MeasureCommand& command = request.command;
  std::string text;
  if (request.mac) text = describe(request.mac->mac);
  if (request.mac && request.mac->array) text += "\n" + describe(*request.mac->array);
  if (!request.mac) text = "each layer and pass on the run's own MAC";
  std::int64_t fewest = kMaxTrials * 2, most = 0;
  for (const Study& study : studies) {
    fewest = std::min(fewest, study.measurements.front().trials);
    most = std::max(most, study.measurements.front().trials);
  }
  const std::string trials =
      fewest == most ? fmt::format("{}", most) : fmt::format("{} to {}", fewest, most);
  text += fmt::format(
      "\n{} dot products per row of {}", trials,
      command.run ? "operands recorded from " + command.run->string() : "Gaussian operands");
  if (command.nonzero_ratio) {
    text += fmt::format(", {:.4g} of the products not zero", *command.nonzero_ratio);
  }
  if (request.find) {
    return text + fmt::format("; the smallest mantissa from which all wider ones have {}\n\n",
                              *command.find);
  }
  return text + "; intervals of 95 %\n\n";
}

/// For people: five digits are more than the intervals allow.
void round_cells(ResultTable& table) {
  for (auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string& name = table.columns[i];
      const bool counts = name == "length" || name == "mantissa" || name == "trials" ||
                          name == "layer" || name == "pass" || name.starts_with("minimum_mantissa");
      if (!counts) row[i] = rounded(row[i], 5);
    }
  }
}

}  // namespace

int measure_command(const MeasureCommand& command, OutputFormat format) {
  const Request request = understand(command);
  const std::vector<Study> studies = command.run ? run_studies(request) : gaussian_studies(request);
  for (const Study& study : studies) warn_of_lost_sums(study);
  ResultTable table =
      request.find ? find_table(request, studies) : measurement_table(command, studies);
  if (format != OutputFormat::Table) {
    print(render(table, format));
    return 0;
  }
  round_cells(table);
  print(heading(request, studies) + render(table, format));
  return 0;
}

}  // namespace narrowmac
