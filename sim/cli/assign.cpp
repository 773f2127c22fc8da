#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "models/design/error.h"
#include "models/theory/assignment.h"
#include "sim/cli/commands.h"
#include "sim/experiment/assignment_text.h"
#include "sim/experiment/files.h"
#include "sim/experiment/progress.h"
#include "sim/experiment/statistics_file.h"

namespace narrowmac {
namespace {

namespace fs = std::filesystem;

constexpr std::array kTensors = {"activation", "weight", "weight_gradient", "activation_gradient",
                                 "weight_residual"};

std::array<std::optional<FixedPoint>, kTensors.size()> tensors_of(const LayerAssignment& layer) {
  return {layer.activation, layer.weight, layer.weight_gradient, layer.activation_gradient,
          layer.weight_residual};
}

/// Widths first, then range and step of each tensor.
ResultTable tensor_table(const std::vector<LayerAssignment>& assignment) {
  ResultTable table;
  table.columns = {"layer"};
  for (const char* tensor : kTensors) table.columns.push_back(fmt::format("{}_bits", tensor));
  for (const char* tensor : kTensors) {
    table.columns.push_back(fmt::format("{}_range", tensor));
    table.columns.push_back(fmt::format("{}_step", tensor));
  }
  for (const LayerAssignment& layer : assignment) {
    std::vector<Json> row = {layer.name};
    for (const auto& tensor : tensors_of(layer)) {
      row.emplace_back();
      if (tensor) row.back() = tensor->bits;
    }
    for (const auto& tensor : tensors_of(layer)) {
      row.emplace_back(tensor ? std::optional(tensor->range) : std::nullopt);
      row.emplace_back(tensor ? std::optional(tensor->step) : std::nullopt);
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// Accumulators of every pass as formats, "" where the pass is not computed on the array.
struct LayerAccumulators {
  std::array<std::string, 3> theory, measured;
};
std::map<std::string, LayerAccumulators> accumulators_of(const PrecisionAssignment& assignment) {
  std::map<std::string, LayerAccumulators> layers;
  for (const GemmAccumulators& gemm : assignment.accumulators) {
    LayerAccumulators& layer = layers[gemm.layer];
    layer.theory[static_cast<std::size_t>(gemm.pass)] = gemm.widths.theory.to_string();
    layer.measured[static_cast<std::size_t>(gemm.pass)] = gemm.widths.measured.to_string();
  }
  return layers;
}

void append_accumulators(const PrecisionAssignment& assignment, ResultTable& table) {
  for (const char* source : {"theory", "measured"}) {
    for (const Pass pass : kPasses) {
      table.columns.push_back(fmt::format("accumulator_{}_{}", to_string(pass), source));
    }
  }
  const auto layers = accumulators_of(assignment);
  for (std::vector<Json>& row : table.rows) {
    const auto found = layers.find(row.front().string());
    const LayerAccumulators own = found == layers.end() ? LayerAccumulators{} : found->second;
    for (const auto& source : {own.theory, own.measured}) {
      for (const std::string& format : source) row.push_back(format.empty() ? Json() : format);
    }
  }
}

void append_costs(const PrecisionAssignment& assignment, ResultTable& table) {
  for (const char* column : {"representational_bits", "full_adders", "communication_bits",
                             "full_precision_representational_bits", "full_precision_full_adders",
                             "full_precision_communication_bits", "minimum_bits"}) {
    table.columns.emplace_back(column);
  }
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    for (const auto& costs : {assignment.costs[i], assignment.full_precision_costs[i]}) {
      table.rows[i].emplace_back(costs.representational_bits);
      table.rows[i].emplace_back(costs.full_adders);
      table.rows[i].emplace_back(costs.communication_bits);
    }
    table.rows[i].emplace_back(assignment.minimum_bits);
  }
}

/// Everything about a run directory, layer by layer.
ResultTable run_table(const PrecisionAssignment& assignment) {
  ResultTable table;
  if (assignment.layers.empty()) {
    table.columns = {"layer"};
    const auto layers = accumulators_of(assignment);
    for (const LayerDescription& layer : assignment.config.network.layers) {
      if (layers.count(layer.name) > 0) table.rows.push_back({layer.name});
    }
  } else {
    table = tensor_table(assignment.layers);
    append_costs(assignment, table);
  }
  append_accumulators(assignment, table);
  return table;
}

/// Width, range and step of a tensor in one cell: all are powers of two.
std::string tensors_for_people(const std::vector<LayerAssignment>& assignment) {
  ResultTable table;
  table.columns = {"layer"};
  for (const char* tensor : kTensors) table.columns.emplace_back(tensor);
  for (const LayerAssignment& layer : assignment) {
    std::vector<Json> row = {layer.name};
    for (const auto& tensor : tensors_of(layer)) {
      row.emplace_back(tensor ? fmt::format("{:>2} [2^{}, 2^{}]", tensor->bits,
                                            std::ilogb(tensor->range), std::ilogb(tensor->step))
                              : std::string("-"));
    }
    table.rows.push_back(std::move(row));
  }
  return render(table, OutputFormat::Table) +
         "bits [range, step]: activations unsigned, the rest signed; no activation width: fixed\n";
}

std::string inference_for_people(const PrecisionAssignment& assignment) {
  if (assignment.inference.empty()) return "";
  ResultTable table;
  table.columns = {"B_min", "inference %", "loss, points", "mismatch %", "at most %"};
  const double full = *assignment.full_precision_accuracy;
  for (const InferencePoint& point : assignment.inference) {
    table.rows.push_back({point.minimum_bits, rounded(point.accuracy, 4, 100),
                          rounded(full - point.accuracy, 3, 100), rounded(point.mismatch, 3, 100),
                          rounded(std::min(1.0, point.mismatch_bound), 3, 100)});
  }
  return render(table, OutputFormat::Table) +
         fmt::format(
             "full precision: {:.2f} %; mismatch: images that it decides otherwise, "
             "measured and as the noise gains bound it\n\n",
             full * 100);
}

std::string costs_for_people(const PrecisionAssignment& assignment) {
  const PrecisionCost own = total(assignment.costs);
  const PrecisionCost full = total(assignment.full_precision_costs);
  ResultTable table;
  table.columns = {"cost of a training step", "fp32", "assigned", "fp32 / assigned"};
  const auto add = [&](const char* name, double PrecisionCost::*member) {
    table.rows.push_back({name, rounded(full.*member, 4), rounded(own.*member, 4),
                          rounded(full.*member / own.*member, 3)});
  };
  add("representation, bits", &PrecisionCost::representational_bits);
  add("computation, 1-bit full adders", &PrecisionCost::full_adders);
  add("communication, bits", &PrecisionCost::communication_bits);
  return render(table, OutputFormat::Table) + "\n";
}

std::string accumulators_for_people(const PrecisionAssignment& assignment) {
  ResultTable table;
  table.columns = {"accumulators", "FWD theory",  "measured", "BWD theory",
                   "measured",     "GRAD theory", "measured"};
  const auto layers = accumulators_of(assignment);
  for (const LayerDescription& layer : assignment.config.network.layers) {
    const auto found = layers.find(layer.name);
    if (found == layers.end()) continue;
    std::vector<Json> row = {layer.name};
    for (const Pass pass : kPasses) {
      const auto index = static_cast<std::size_t>(pass);
      for (const std::string& format :
           {found->second.theory[index], found->second.measured[index]}) {
        row.push_back(format.empty() ? Json() : Json(format));
      }
    }
    table.rows.push_back(std::move(row));
  }
  return render(table, OutputFormat::Table);
}

/// Options that would do nothing are refused, before anything is computed; so is a file that could
/// not be written.
void check_options(const AssignCommand& command, bool is_run) {
  const auto refuse = [](bool given, const char* option, const char* accepted) {
    if (given) throw Error(fmt::format("{} does nothing here; accepted: {}", option, accepted));
  };
  refuse(command.mismatch && !is_run, "--mismatch", "with a run directory, whose network is tried");
  refuse(command.mismatch && command.minimum_bits, "--mismatch", "without --bmin");
  refuse(command.accumulators && !is_run, "--accumulators", "with a run directory");
  refuse(command.accumulators && command.out.empty(), "--accumulators", "with --out");
  if (command.out.empty()) return;
  std::error_code error;
  const fs::path folder = fs::absolute(command.out).parent_path();
  if (!fs::is_directory(folder, error)) {
    throw Error(fmt::format("--out {}: no folder {}; accepted: a file in a folder that exists",
                            command.out.string(), folder.string()));
  }
}

int assign_statistics(const AssignCommand& command, OutputFormat format) {
  if (!command.minimum_bits) {
    throw Error(
        fmt::format("--bmin is required with a statistics file ({}); accepted: 1..{}, or a "
                    "run directory, whose network is tried",
                    command.source.string(), kMaxMinimumBits));
  }
  const TrainingStatistics statistics = read_statistics(command.source);
  std::vector<LayerAssignment> assignment;
  try {
    assignment = assign_precision(statistics, *command.minimum_bits);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", command.source.string(), error.what()), error.kind());
  }
  print(format == OutputFormat::Table ? tensors_for_people(assignment)
                                      : render(tensor_table(assignment), format));
  if (!command.out.empty()) write_file(command.out, formats_text(assignment));
  return 0;
}

void print_run(const PrecisionAssignment& assignment, OutputFormat format) {
  if (format != OutputFormat::Table) {
    print(render(run_table(assignment), format));
    return;
  }
  std::string text;
  if (!assignment.layers.empty()) {
    text = inference_for_people(assignment) + tensors_for_people(assignment.layers) + "\n" +
           costs_for_people(assignment);
  }
  print(text + accumulators_for_people(assignment));
}

int assign_run_directory(const AssignCommand& command, OutputFormat format) {
  Progress progress(command.quiet);
  AssignmentOptions options;
  options.run = command.source;
  options.minimum_bits = command.minimum_bits;
  options.mismatch = command.mismatch.value_or(options.mismatch);
  options.progress = [&progress](const std::string& line) { progress.show(line); };
  const PrecisionAssignment assignment = assign_run(options);
  progress.clear();
  for (const std::string& warning : assignment.warnings) {
    if (!command.quiet) spdlog::warn("{}: {}", command.source.string(), warning);
  }
  print_run(assignment, format);
  if (command.out.empty()) return 0;
  const AccumulatorSource source = command.accumulators.value_or(AccumulatorSource::Measured);
  write_file(command.out, assigned_run_text(assignment, source, command.source, command.out));
  if (!command.quiet) spdlog::info("wrote {}", command.out.string());
  return 0;
}

}  // namespace

int assign_command(const AssignCommand& command, OutputFormat format) {
  std::error_code error;
  const bool is_run = fs::is_directory(command.source, error);
  check_options(command, is_run);
  return is_run ? assign_run_directory(command, format) : assign_statistics(command, format);
}

}  // namespace narrowmac
