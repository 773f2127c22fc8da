#include "sim/experiment/precision_assignment.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "models/design/error.h"
#include "sim/accelerators/make.h"
#include "sim/experiment/mac_config.h"
#include "sim/experiment/replayed_step.h"
#include "sim/experiment/run_directory.h"
#include "sim/experiment/statistics_file.h"
#include "sim/training/trainer.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

constexpr const char* kStatistics = "statistics.json";
/// Pixels have 8 bits; normalised ones may be negative and have one more.
constexpr int kImageBits = 8;
/// Beyond this inference gains nothing: float32 has fewer bits of significand.
constexpr int kWidestMinimum = 20;
/// Sampled outputs of a GEMM, for accumulators.
constexpr std::int64_t kSampledOutputs = 4096;

struct Inputs {
  RunConfig config;
  Checkpoint checkpoint;
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
  inputs.checkpoint = std::move(*checkpoint);
  inputs.config.array.fidelity = Fidelity::Functional;  // the same bits
  inputs.config.training.sample = 0;
  return inputs;
}

TensorFormat fixed_format(const NumberFormat& format) {
  TensorFormat tensor;
  tensor.conversion.format = format;
  tensor.conversion.rounding.mode = RoundingMode::NearestAway;
  tensor.conversion.overflow = Overflow::Saturate;
  tensor.scaling = Scaling::None;
  return tensor;
}

NumberFormat fixed_point(NumberFormat::Family family, int width, int fraction) {
  NumberFormat format;
  format.family = family;
  format.exponent_bits = 0;
  format.width = width;
  format.fraction_bits = fraction;
  return format;
}

/// Signed: two bits at least.
TensorFormat signed_tensor(const FixedPoint& tensor) {
  return fixed_format(fixed_point(NumberFormat::Family::Signed, std::max(2, tensor.bits),
                                  -std::ilogb(tensor.step)));
}

/// What holds every normalised pixel: unsigned where none is negative.
NumberFormat image_format(const Normalisation& normalisation) {
  double lowest = 0, highest = 0;
  const std::size_t channels =
      std::max({std::size_t{1}, normalisation.mean.size(), normalisation.deviation.size()});
  const auto channel = [](const std::vector<double>& values, std::size_t c, double fallback) {
    return values.empty() ? fallback : values[std::min(c, values.size() - 1)];
  };
  for (std::size_t c = 0; c < channels; ++c) {
    for (const double pixel : {0.0, 255.0}) {
      const double value = (pixel * normalisation.scale - channel(normalisation.mean, c, 0)) /
                           channel(normalisation.deviation, c, 1);
      lowest = std::min(lowest, value);
      highest = std::max(highest, value);
    }
  }
  const int range = std::ilogb(std::max(highest, -lowest)) + 1;
  return lowest < 0 ? fixed_point(NumberFormat::Family::Signed, kImageBits + 1, kImageBits - range)
                    : fixed_point(NumberFormat::Family::Unsigned, kImageBits, kImageBits - range);
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
  const Evaluation full = evaluate(inputs.config, inputs.checkpoint, train, test);
  result.full_precision_accuracy = full.accuracy;
  for (int bits = 1; bits <= kWidestMinimum; ++bits) {
    options.progress(fmt::format("inference with B_min {}", bits));
    const std::vector<LayerAssignment> layers = assign_precision(statistics, bits);
    const Evaluation fixed =
        evaluate(with_formats(inputs.config, layers, false), inputs.checkpoint, train, test);
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

std::optional<double> result_step(Pass pass, const LayerFormats* formats) {
  if (pass != Pass::Gradient || formats == nullptr) return std::nullopt;
  return formats->weight_gradient.conversion.format.smallest_value();
}

/// The accumulators of every GEMM of the step after the checkpoint.
std::vector<GemmAccumulators> size_accumulators(const AssignmentOptions& options,
                                                const RunConfig& config,
                                                const Checkpoint& checkpoint) {
  std::vector<GemmAccumulators> all;
  const ReplayedStep step(config, checkpoint);
  const bool codes = config.training.quantization.has_value();
  step.run([&](const GemmRequest& gemm) {
    if (codes && gemm.mac == nullptr) return;  // fp32, outside the array
    options.progress(fmt::format("accumulators of {} {}", gemm.layer, to_string(gemm.pass)));
    const LayerFormats* formats = codes ? nullptr : &config.training.formats.of(gemm.layer);
    const Operands operands =
        operands_of(gemm.pass, config.training.formats.of(gemm.layer), config.training);
    MacDesign mac;
    mac.a = operands.a;
    mac.b = operands.b;
    const SampledOperands sampled = sample_operands(gemm, mac, kSampledOutputs);
    FixedOperands fixed{sampled.a, sampled.b, mac.a, mac.b, result_step(gemm.pass, formats), codes};
    try {
      all.push_back({gemm.layer, gemm.pass, accumulator_widths(fixed)});
    } catch (const Error& error) {
      throw Error(fmt::format("{}: layer {}, pass {}: {}", options.run.string(), gemm.layer,
                              to_string(gemm.pass), error.what()));
    }
  });
  return all;
}

void price(const RunConfig& config, PrecisionAssignment& result) {
  const ImageFacts images = read_image_facts(config.data.kind, config.data.folder);
  const std::int64_t used = config.data.train_images > 0 ? config.data.train_images : images.count;
  const std::int64_t batch = std::min(config.training.batch, used);
  const std::vector<LayerShape> shapes = infer_shapes(config.network, images.shape, images.classes);
  std::vector<TensorWidths> widths;
  for (const LayerAssignment& layer : result.layers) {
    widths.push_back(widths_of(layer, result.image_bits));
  }
  result.costs = precision_costs(shapes, batch, widths);
  result.full_precision_costs = precision_costs(
      shapes, batch, std::vector<TensorWidths>(widths.size(), full_precision_widths()));
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
    if (layer.kind != LayerDescription::Kind::ReLU || (layer.clip && *layer.clip <= 2)) continue;
    warnings.push_back(
        fmt::format("activations beyond 2 saturate in fixed point; with clip = 2.0 "
                    "in {} and other ReLUs the full-precision run has none",
                    layer.name));
    break;
  }
  return warnings;
}

void check_names(const AssignmentOptions& options, const RunConfig& config,
                 const TrainingStatistics& statistics) {
  std::size_t index = 0;
  for (const LayerDescription& layer : config.network.layers) {
    if (layer.kind != LayerDescription::Kind::Convolution &&
        layer.kind != LayerDescription::Kind::Linear) {
      continue;
    }
    if (index < statistics.layers.size() && statistics.layers[index].name == layer.name) {
      ++index;
      continue;
    }
    throw Error(fmt::format("{}: layers[{}]: accepted: {}, as the run's network has",
                            (options.run / kStatistics).string(), index, layer.name));
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
  check_names(options, inputs.config, statistics);
  result.warnings = range_warnings(inputs.config);
  if (options.minimum_bits) {
    result.minimum_bits = *options.minimum_bits;
  } else {
    find_minimum_bits(options, inputs, statistics, result);
  }
  result.layers = assign_precision(statistics, result.minimum_bits);
  result.image_bits = image_format(inputs.config.training.normalisation).width;
  price(inputs.config, result);
}

}  // namespace

LayerFormats layer_formats(const LayerAssignment& layer, const NumberFormat& image) {
  LayerFormats formats;
  formats.activation = fixed_format(
      layer.activation ? fixed_point(NumberFormat::Family::Unsigned, layer.activation->bits,
                                     -std::ilogb(layer.activation->step))
                       : image);
  formats.weight = signed_tensor(layer.weight);
  if (layer.activation_gradient) formats.gradient = signed_tensor(*layer.activation_gradient);
  formats.weight_gradient = signed_tensor(layer.weight_gradient);
  // Also where no update is below the weight's last bit: a residual says that this is how weights
  // are stored.
  formats.weight_residual = signed_tensor(layer.weight_residual);
  return formats;
}

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
    const std::optional<MacDesign>& mac = widest[static_cast<std::size_t>(pass)];
    if (mac) run.training.macs.set(pass, *mac);
  }
  run.mac = widest[static_cast<std::size_t>(Pass::Forward)];
  return run;
}

PrecisionAssignment assign_run(const AssignmentOptions& options) {
  Inputs inputs = read_inputs(options.run);
  PrecisionAssignment result;
  if (inputs.config.training.quantization) {
    if (!inputs.config.mac) {
      throw Error(
          fmt::format("{}: found [quantization] without [mac]; accepted: a run on the array",
                      options.run.string()));
    }
    result.accumulators = size_accumulators(options, inputs.config, inputs.checkpoint);
  } else {
    assign_operands(options, inputs, result);
    result.accumulators = size_accumulators(
        options, with_formats(inputs.config, result.layers, false), inputs.checkpoint);
  }
  result.config = read_run_config(options.run / "config.toml");
  return result;
}

}  // namespace narrowmac
