#include "sim/experiment/precision_assignment.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "models/design/error.h"
#include "sim/accelerators/make.h"
#include "sim/experiment/assigned_formats.h"
#include "sim/experiment/mac_config.h"
#include "sim/experiment/quantization_config.h"
#include "sim/experiment/replayed_step.h"
#include "sim/experiment/run_directory.h"
#include "sim/experiment/statistics_file.h"
#include "sim/training/trainer.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

constexpr const char* kStatistics = "statistics.json";
/// Beyond this inference gains nothing: float32 has 24 bits of significand.
constexpr int kWidestMinimum = 24;
/// Sampled outputs of a GEMM, for accumulators.
constexpr std::int64_t kSampledOutputs = 4096;

struct Inputs {
  RunConfig config;
  Checkpoint first, last;  ///< before and after the training
};

Inputs read_inputs(const fs::path& run) {
  Inputs inputs;
  std::error_code missing;
  if (!fs::exists(run / "config.toml", missing)) {
    throw Error(
        fmt::format("{}: found no config.toml; accepted: a run directory of narrowmac run, "
                    "or a statistics file",
                    run.string()));
  }
  inputs.config = read_run_config(run / "config.toml");
  std::optional<Checkpoint> checkpoint = read_checkpoint(run);
  if (!checkpoint) throw Error(fmt::format("{}: found no checkpoint", run.string()));
  if (checkpoint->state.diverged) {
    throw Error(fmt::format("{}: the run diverged; accepted: one that did not", run.string()));
  }
  inputs.last = std::move(*checkpoint);
  inputs.first = *read_checkpoint(run, true);
  inputs.config.array.fidelity = Fidelity::Functional;  // the same bits
  inputs.config.training.sample = 0;
  return inputs;
}

/// The run with these formats for its layers, in the network's order.
RunConfig with_formats(RunConfig config, const std::vector<LayerAssignment>& layers,
                       bool with_residual) {
  const NumberFormat image = image_format(config.training.normalisation);
  Formats& formats = config.training.formats;
  for (const LayerAssignment& layer : layers) {
    LayerFormats own = layer_formats(layer, image);
    if (!with_residual) own.weight_residual.reset();
    formats.layers[layer.name] = own;
  }
  static_cast<LayerFormats&>(formats) = formats.layers.at(layers.back().name);
  config.precision = false;
  config.training.loss_scale = {};  // the statistics are those of gradients without one
  return config;
}

double mismatch_bound(const TrainingStatistics& statistics,
                      const std::vector<LayerAssignment>& layers) {
  double bound = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerStatistics& gains = statistics.layers[i];
    bound += std::pow(layers[i].weight.step, 2) * gains.weight_noise_gain;
    if (!gains.activation_noise_gain || !layers[i].activation) continue;
    bound += std::pow(layers[i].activation->step, 2) * *gains.activation_noise_gain;
  }
  return bound;
}

Evaluation evaluate(const RunConfig& config, const Checkpoint& checkpoint, const Dataset& train,
                    const Dataset& test) {
  const std::unique_ptr<Accelerator> accelerator = make_accelerator(config.array);
  Trainer trainer(config.network, config.training, train, *accelerator);
  trainer.restore(checkpoint.tensors, checkpoint.state);
  return trainer.evaluate(test);
}

/// The share of images that are not taken for the same class.
double mismatch_of(const Evaluation& one, const Evaluation& other) {
  std::int64_t differing = 0;
  for (std::size_t i = 0; i < one.decisions.size(); ++i) {
    if (one.decisions[i] != other.decisions[i]) ++differing;
  }
  return static_cast<double>(differing) / static_cast<double>(one.images);
}

/// Raises B_min until fixed-point inference decides as full precision does.
void find_minimum_bits(const AssignmentOptions& options, const Inputs& inputs,
                       const TrainingStatistics& statistics, PrecisionAssignment& result) {
  const DataSource& data = inputs.config.data;
  const Dataset train = read_dataset(data.kind, data.folder, Split::Train, data.train_images);
  const Dataset test = read_dataset(data.kind, data.folder, Split::Test, data.test_images);
  const Evaluation full = evaluate(inputs.config, inputs.last, train, test);
  result.full_precision_accuracy = full.accuracy;
  for (int bits = 1; bits <= kWidestMinimum; ++bits) {
    options.progress(fmt::format("inference with B_min {}", bits));
    const std::vector<LayerAssignment> layers = assign_precision(statistics, bits);
    const Evaluation fixed =
        evaluate(with_formats(inputs.config, layers, false), inputs.last, train, test);
    InferencePoint point;
    point.minimum_bits = bits;
    point.accuracy = fixed.accuracy;
    point.mismatch = mismatch_of(full, fixed);
    point.mismatch_bound = mismatch_bound(statistics, layers);
    result.inference.push_back(point);
    if (point.mismatch > options.mismatch) continue;
    result.minimum_bits = bits;
    return;
  }
  throw Error(
      fmt::format("{}: fixed-point inference decides differently for more than {:.2f} % "
                  "of the test images at every B_min up to {}; accepted: a larger "
                  "--mismatch, or --bmin",
                  options.run.string(), options.mismatch * 100, kWidestMinimum));
}

std::optional<double> result_step(Pass pass, const LayerFormats& formats) {
  if (pass != Pass::Gradient) return std::nullopt;
  return formats.weight_gradient.conversion.format.smallest_value();
}

/// The accumulators of every GEMM of the step after a checkpoint.
std::vector<GemmAccumulators> step_accumulators(const AssignmentOptions& options,
                                                const RunConfig& config, Checkpoint checkpoint) {
  std::vector<GemmAccumulators> all;
  const bool codes = config.training.quantization.has_value();
  if (!codes) checkpoint.state.loss_scale = config.training.loss_scale.initial;
  const ReplayedStep step(config, std::move(checkpoint));
  step.run([&](const GemmRequest& gemm) {
    if (codes && gemm.mac == nullptr) return;  // fp32, outside the array
    options.progress(fmt::format("accumulators of {} {}, step {}", gemm.layer, to_string(gemm.pass),
                                 step.number()));
    const LayerFormats& formats = config.training.formats.of(gemm.layer);
    const Operands operands = operands_of(gemm.pass, formats, config.training);
    MacDesign mac;
    mac.a = operands.a;
    mac.b = operands.b;
    const SampledOperands sampled = sample_operands(gemm, mac, kSampledOutputs);
    FixedOperands fixed{sampled.a, sampled.b, mac.a, mac.b, config.array, {}, codes};
    if (!codes) fixed.result_step = result_step(gemm.pass, formats);
    try {
      all.push_back({gemm.layer, gemm.pass, accumulator_widths(fixed)});
    } catch (const Error& error) {
      throw Error(fmt::format("{}: layer {}, pass {}: {}", options.run.string(), gemm.layer,
                              to_string(gemm.pass), error.what()));
    }
  });
  return all;
}

/// Early steps may have larger sums than late ones: what holds those of the first and of the step
/// after the last checkpoint.
std::vector<GemmAccumulators> size_accumulators(const AssignmentOptions& options,
                                                const RunConfig& config, const Inputs& inputs) {
  std::vector<GemmAccumulators> all = step_accumulators(options, config, inputs.last);
  const std::vector<GemmAccumulators> early = step_accumulators(options, config, inputs.first);
  if (all.size() != early.size() || all.empty()) {
    throw Error(
        fmt::format("{}: a training step breaks off with these formats, infinity or NaN "
                    "met one; accepted: a run whose steps are finite",
                    options.run.string()));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].widths = wider(all[i].widths, early[i].widths);
  }
  return all;
}

/// What the run file will have, whatever the rules asked for.
TensorWidths widths_of(const LayerFormats& formats) {
  const auto width = [](const TensorFormat& format) { return format.conversion.format.width; };
  return {width(formats.activation), width(formats.weight), width(formats.weight_gradient),
          width(formats.gradient), width(*formats.weight_residual)};
}

void price(const RunConfig& config, PrecisionAssignment& result) {
  const ImageFacts images = read_image_facts(config.data.kind, config.data.folder);
  const std::int64_t used = config.data.train_images > 0 ? config.data.train_images : images.count;
  const std::int64_t batch = std::min(config.training.batch, used);
  const std::vector<LayerShape> shapes = infer_shapes(config.network, images.shape, images.classes);
  const NumberFormat image = image_format(config.training.normalisation);
  std::vector<TensorWidths> widths;
  for (const LayerAssignment& layer : result.layers) {
    widths.push_back(widths_of(layer_formats(layer, image)));
  }
  result.costs = precision_costs(shapes, batch, widths);
  result.full_precision_costs = precision_costs(
      shapes, batch, std::vector<TensorWidths>(widths.size(), full_precision_widths()));
}

/// Where an activation in [0, 2] does not hold what the layer reads.
std::optional<std::string> activation_warning(const NetworkDescription& network,
                                              const LayerDescription& layer) {
  const LayerDescription* source = source_of_input(network, layer);
  if (source == nullptr) return std::nullopt;  // the image
  if (source->kind != LayerDescription::Kind::ReLU) {
    return fmt::format(
        "layer {} reads {}, whose values below 0 become 0 in fixed point without sign", layer.name,
        source->name);
  }
  if (source->clip && *source->clip <= 2) return std::nullopt;
  return fmt::format(
      "activations beyond 2 saturate in fixed point; with clip = 2.0 in {} and other "
      "ReLUs the full-precision run has none",
      source->name);
}

/// Where a width was out of a format's reach.
void add_width_warnings(const LayerAssignment& layer, std::vector<std::string>& warnings) {
  if (layer.weight.bits < kLeastSigned) {
    warnings.push_back(fmt::format("the weights of {} have {} bits instead of {}: a sign and a bit",
                                   layer.name, kLeastSigned, layer.weight.bits));
  }
  const int excess = layer.weight_residual.bits - kWidestResidual;
  if (excess <= 0) return;
  warnings.push_back(fmt::format(
      "the weight residual of {} has {} bits instead of {}, so the smallest updates are lost; they "
      "are that small because the schedule ends near a rate of 0",
      layer.name, kWidestResidual, layer.weight_residual.bits));
}

/// The rules are about weights in [-1, 1] and activations in [0, 2].
std::vector<std::string> range_warnings(const RunConfig& config) {
  std::vector<std::string> warnings;
  const std::optional<double>& clip = config.training.weight_clip;
  if (!clip || *clip > 1) {
    warnings.emplace_back(
        "weights beyond 1 saturate in fixed point; with training.weight_clip = 1 "
        "the full-precision run has none");
  }
  for (const LayerDescription& layer : config.network.layers) {
    if (!has_gemm(layer)) continue;
    if (auto warning = activation_warning(config.network, layer)) {
      warnings.push_back(std::move(*warning));
      break;
    }
  }
  return warnings;
}

/// The statistics must be those of the run's network, complete.
void check_statistics(const std::string& file, const RunConfig& config,
                      const TrainingStatistics& statistics) {
  const std::vector<std::string> names = gemm_layers(config.network);
  for (std::size_t i = 0; i < std::max(names.size(), statistics.layers.size()); ++i) {
    if (i >= names.size() || i >= statistics.layers.size() ||
        statistics.layers[i].name != names[i]) {
      throw Error(fmt::format("{}: layers[{}]: accepted: {}, as the run's network has", file, i,
                              i < names.size() ? names[i] : "no such layer"));
    }
    const LayerStatistics& layer = statistics.layers[i];
    const auto check = [&](const char* key, bool known) {
      if (known) return;
      throw Error(fmt::format("{}: layer \"{}\": {}: found null; accepted: a finite number above 0",
                              file, names[i], key));
    };
    check("activation_gradient_std_max", layer.activation_gradient_std_max.has_value());
    check("lambda_max", layer.lambda_max.has_value());
    const LayerDescription& description = *find_layer(config.network, names[i]);
    check("activation_noise_gain", layer.activation_noise_gain.has_value() ||
                                       source_of_input(config.network, description) == nullptr);
  }
}

void assign_operands(const AssignmentOptions& options, const Inputs& inputs,
                     PrecisionAssignment& result) {
  const fs::path file = options.run / kStatistics;
  std::error_code missing;
  if (!fs::exists(file, missing)) {
    throw Error(
        fmt::format("{}: found no {}; accepted: a finished full-precision run with "
                    "[observe] precision = true (narrowmac run CONFIG --set "
                    "observe.precision=true), or a run with [quantization] and [mac]",
                    options.run.string(), kStatistics));
  }
  const TrainingStatistics statistics = read_statistics(file);
  check_statistics(file.string(), inputs.config, statistics);
  try {
    assign_precision(statistics, options.minimum_bits.value_or(1));
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", file.string(), error.what()), error.kind());
  }
  result.warnings = range_warnings(inputs.config);
  if (options.minimum_bits) {
    result.minimum_bits = *options.minimum_bits;
  } else {
    find_minimum_bits(options, inputs, statistics, result);
  }
  result.layers = assign_precision(statistics, result.minimum_bits);
  for (const LayerAssignment& layer : result.layers) {
    add_width_warnings(layer, result.warnings);
  }
  price(inputs.config, result);
}

}  // namespace

RunConfig PrecisionAssignment::assigned(AccumulatorSource source) const {
  RunConfig run = layers.empty() ? config : with_formats(config, layers, true);
  run.name += layers.empty() ? "-accumulators" : "-fixed";
  const auto mac_of = [&run](Pass pass, const LayerFormats& formats,
                             const NumberFormat& accumulator) {
    const Operands operands = operands_of(pass, formats, run.training);
    MacDesign mac;
    mac.a = operands.a;
    mac.b = operands.b;
    mac.accumulator.format = accumulator;
    mac.accumulator.overflow = Overflow::Saturate;
    return mac;
  };
  // The pass's own is the widest of its layers.
  std::array<std::optional<MacDesign>, 3> widest;
  for (const GemmAccumulators& gemm : accumulators) {
    const NumberFormat& format =
        source == AccumulatorSource::Theory ? gemm.widths.theory : gemm.widths.measured;
    const MacDesign mac = mac_of(gemm.pass, run.training.formats.of(gemm.layer), format);
    run.training.macs.set(gemm.layer, gemm.pass, mac);
    std::optional<MacDesign>& pass = widest[static_cast<std::size_t>(gemm.pass)];
    if (pass && pass->accumulator.format.width >= format.width) continue;
    pass = mac_of(gemm.pass, run.training.formats, format);
  }
  for (const Pass pass : kPasses) {
    if (!goes_to_array(pass, run.training)) continue;
    // A pass that no layer computes has a MAC in the run file all the same.
    std::optional<MacDesign>& mac = widest[static_cast<std::size_t>(pass)];
    if (!mac) {
      mac = mac_of(pass, run.training.formats,
                   widest[static_cast<std::size_t>(Pass::Forward)]->accumulator.format);
    }
    run.training.macs.set(pass, *mac);
  }
  run.mac = widest[static_cast<std::size_t>(Pass::Forward)];
  return run;
}

PrecisionAssignment assign_run(const AssignmentOptions& options) {
  Inputs inputs = read_inputs(options.run);
  PrecisionAssignment result;
  if (inputs.config.training.quantization) {
    if (options.minimum_bits) {
      throw Error(
          fmt::format("{}: found --bmin for a run with [quantization], which decides its "
                      "operands; accepted: --bmin with a full-precision run",
                      options.run.string()));
    }
    if (!inputs.config.mac) {
      throw Error(
          fmt::format("{}: found [quantization] without [mac]; accepted: a run on the array",
                      options.run.string()));
    }
    result.accumulators = size_accumulators(options, inputs.config, inputs);
  } else {
    assign_operands(options, inputs, result);
    result.accumulators =
        size_accumulators(options, with_formats(inputs.config, result.layers, false), inputs);
  }
  result.config = read_run_config(options.run / "config.toml");
  return result;
}

}  // namespace narrowmac
