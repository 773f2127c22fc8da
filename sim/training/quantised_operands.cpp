#include "sim/training/quantised_operands.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "models/quantizers/gradient_error.h"
#include "sim/training/code_loops.h"

namespace narrowmac {
namespace {

constexpr auto kSchemes = std::array{GradientScheme::PerTensor, GradientScheme::PerSample,
                                     GradientScheme::BlockHouseholder};

/// Of a whole tensor. Throws NotFinite.
Extrema merge(const std::vector<Extrema>& images) {
  Extrema all = images.front();
  for (const Extrema& image : images) {
    if (!image.finite) throw NotFinite();
    all.least = std::min(all.least, image.least);
    all.greatest = std::max(all.greatest, image.greatest);
  }
  return all;
}

double ratio_of_ranges(const std::vector<Extrema>& rows) {
  double least = std::numeric_limits<double>::infinity(), greatest = 0;
  for (const Extrema& row : rows) {
    const double range = row.greatest - row.least;
    if (range > 0) least = std::min(least, range);
    greatest = std::max(greatest, range);
  }
  return greatest > 0 ? greatest / least : 1;
}

void grow(AlignedBuffer& buffer, std::int64_t size) {
  if (buffer.size() < size) buffer = AlignedBuffer(size);
}

std::span<float> codes_of(AlignedBuffer& buffer, std::int64_t size) {
  return {buffer.data(), static_cast<std::size_t>(size)};
}

}  // namespace

void find_image_extrema(ImagePipeline& pipeline, const float* values, std::int64_t size,
                        std::vector<Extrema>& extrema) {
  pipeline.add("quantize", size, [values, size, &extrema](const ImageRange& images) {
    for (std::int64_t image = images.begin; image < images.end; ++image) {
      extrema[static_cast<std::size_t>(image)] =
          find_extrema(values + image * size, static_cast<std::size_t>(size));
    }
  });
}

QuantisedOperands::QuantisedOperands(const LayerShape& shape, Host& host)
    : window_(layer_window(shape)),
      host_(host),
      settings_(*host.settings.quantization),
      on_array_(!host.settings.macs.empty()),
      sums_in_double_(host.settings.macs.find(shape.layer.name, Pass::Gradient) != nullptr) {}

const float* QuantisedOperands::input(Activation& input, const Run& run) {
  if (input.operand.data == nullptr) {
    const PhaseTimer timer(host_, run, "quantize");
    const std::int64_t size = run.images * input.shape.size();
    const SampleMatrix<float> tensor{{input.value, static_cast<std::size_t>(size)}, 1, size};
    GradientPlan plan = plan_gradient(tensor, {merge(input.extrema)}, GradientScheme::PerSample,
                                      settings_.activation_bits);
    if (!on_array_) centre_codes(plan);
    grow(input.codes, size);
    encode(plan, tensor, {CodeRounding::NearestEven, 0, 0, 0}, codes_of(input.codes, size));
    input.operand.data = input.codes.data();
    input.coding = plan.coding.front();
    input.code_sums.clear();
  }
  input_ = input.coding;
  return input_codes_ = input.operand.data;
}

const float* QuantisedOperands::weights(const AlignedBuffer& values, const Run& run) {
  const PhaseTimer timer(host_, run, "quantize");
  const SampleMatrix<float> tensor{values.span(), 1, values.size()};
  const Extrema all = find_extrema(values.data(), static_cast<std::size_t>(values.size()));
  if (!all.finite) throw NotFinite();
  GradientPlan plan =
      plan_gradient(tensor, {all}, GradientScheme::PerTensor, settings_.weight_bits);
  if (!on_array_) centre_codes(plan);
  grow(weight_codes_, values.size());
  encode(plan, tensor, {CodeRounding::NearestEven, 0, 0, 0},
         codes_of(weight_codes_, values.size()));
  weight_ = plan.coding.front();
  weight_zero_ = weight_.slope > 0 ? weight_.shift / weight_.slope : 0;
  return weight_codes_.data();
}

void QuantisedOperands::finish_forward(float* y, const float* bias) {
  loops::CodeCorrection by;
  by.scale = static_cast<float>(input_.slope * weight_.slope);
  const std::int64_t channels = window_.out_channels;
  forward_table_.clear();
  if (input_.shift != 0) {
    forward_table_ = forward_weight_sums(window_, weight_codes_.data(), weight_zero_);
    const auto factor = static_cast<float>(input_.shift * weight_.slope);
    for (std::size_t i = 0; i < forward_table_.size(); ++i) {
      forward_table_[i] *= factor;
      if (bias != nullptr) forward_table_[i] += bias[i % static_cast<std::size_t>(channels)];
    }
    by.table = forward_table_.data();
  } else {
    by.table = bias;
    by.same_row = true;
  }
  const auto zero = static_cast<float>(weight_zero_);
  if (by.scale == 1.0F && zero == 0 && by.table == nullptr) return;
  const std::int64_t size = window_.out_pixels() * channels;
  const std::int64_t in_size = window_.pixels() * window_.channels;
  const float* codes = zero == 0 ? nullptr : input_codes_;
  host_.images.add("zero_points", size + in_size,
                   [this, by, codes, zero, y, size, in_size](const ImageRange& images) {
                     std::vector<float> pixels(static_cast<std::size_t>(window_.pixels()));
                     std::vector<float> rows(static_cast<std::size_t>(window_.out_pixels()));
                     loops::CodeCorrection own = by;
                     for (std::int64_t image = images.begin; image < images.end; ++image) {
                       if (codes != nullptr) {
                         loops::channel_sums(codes + image * in_size, window_.pixels(),
                                             window_.channels, pixels.data());
                         window_sums(window_, pixels.data(), zero, rows.data());
                         own.row_addends = rows.data();
                       }
                       loops::correct_codes(own, window_.out_pixels(), window_.out_channels,
                                            y + image * size);
                     }
                   });
}

std::vector<Extrema> QuantisedOperands::row_extrema(const Activation& output, const Run& run) {
  std::vector<Extrema> rows(static_cast<std::size_t>(run.images));
  find_image_extrema(host_.images, output.gradient, output.shape.size(), rows);
  host_.finish_images(run);
  for (const Extrema& row : rows) {
    if (!row.finite) throw NotFinite();
  }
  return rows;
}

void QuantisedOperands::quantise(const SampleMatrix<float>& gradient,
                                 const std::vector<Extrema>& rows, GradientScheme scheme, int bits,
                                 std::uint64_t number, AlignedBuffer& buffer,
                                 CodedGradient& coded) {
  coded.plan = plan_training_gradient(gradient, rows, scheme, bits);
  if (!on_array_) centre_codes(*coded.plan);
  const auto size = static_cast<std::int64_t>(gradient.values.size());
  grow(buffer, size);
  encode(*coded.plan, gradient, {settings_.rounding, host_.settings.seed, number, 0},
         codes_of(buffer, size));
  coded.codes = buffer.data();
}

QuantisedOperands::Gradients QuantisedOperands::gradients(const Activation& output,
                                                          std::int64_t number, bool input_wanted,
                                                          const Run& run) {
  noise_ = {};
  if (!settings_.gradient) {
    host_.finish_images(run);
    for_weights_.codes = for_input_.codes = output.gradient;
    return {output.gradient, output.gradient};
  }
  const std::vector<Extrema> rows = row_extrema(output, run);
  const std::int64_t columns = output.shape.size();
  const SampleMatrix<float> gradient{
      {output.gradient, static_cast<std::size_t>(run.images * columns)}, run.images, columns};
  const std::uint64_t input_number = run_number(run.position, number, RandomUse::GradientTensor);
  {
    const PhaseTimer timer(host_, run, "quantize");
    quantise(gradient, rows, GradientScheme::PerTensor, settings_.weight_gradient_bits,
             run_number(run.position, number, RandomUse::WeightGradientTensor),
             host_.gradient_codes[0], for_weights_);
    for_input_ = {};
    if (input_wanted) {
      quantise(gradient, rows, *settings_.gradient, settings_.gradient_bits, input_number,
               host_.gradient_codes[1], for_input_);
    }
  }
  if (run.observe) {
    const PhaseTimer timer(host_, run, "statistics");
    observe(gradient, rows, input_number);
  }
  return {for_weights_.codes, for_input_.codes};
}

void QuantisedOperands::observe(const SampleMatrix<float>& gradient,
                                const std::vector<Extrema>& rows, std::uint64_t number) {
  const auto lost = [&](const CodedGradient& coded) {
    const CodeError error =
        code_error(*coded.plan, gradient, {coded.codes, gradient.values.size()});
    return GradientNoise{error.squares, coded.plan->variance_bound(), error.bias_standard_errors,
                         error.matrix_squares, std::nullopt};
  };
  noise_[static_cast<std::size_t>(Pass::Gradient)] = lost(for_weights_);
  if (for_input_.codes == nullptr) return;
  GradientNoise noise = lost(for_input_);
  noise.comparison = GradientComparison{};
  noise.comparison->row_range_ratio = ratio_of_ranges(rows);
  for (const GradientScheme scheme : kSchemes) {
    double& variance = noise.comparison->variance[static_cast<std::size_t>(scheme)];
    if (scheme == settings_.gradient) {
      variance = noise.variance;
      continue;
    }
    AlignedBuffer codes;
    CodedGradient other;
    quantise(gradient, rows, scheme, settings_.gradient_bits, number, codes, other);
    variance = lost(other).variance;
  }
  noise_[static_cast<std::size_t>(Pass::Backward)] = noise;
}

std::int64_t QuantisedOperands::transform_macs() const {
  if (!for_input_.plan || for_input_.plan->groups.empty()) return 0;
  // Half of what the plan counts is the transform, of the gradient; the other half its inverse, of
  // the input's gradient.
  const GradientPlan& plan = *for_input_.plan;
  return plan.transform_macs() / 2 + 3 * plan.rows * window_.pixels() * window_.channels;
}

OutputView QuantisedOperands::weight_gradient_sums(Parameter& weight) {
  if (!sums_in_double_) {
    weight_sums_.clear();
    return OutputView::of(weight.gradient.data(), window_.out_channels);
  }
  weight_sums_.resize(static_cast<std::size_t>(weight.gradient.size()));
  return OutputView::of(weight_sums_.data(), window_.out_channels);
}

void QuantisedOperands::finish_weight_gradient(Activation& input, const Run& run,
                                               Parameter& weight) {
  const PhaseTimer timer(host_, run, "zero_points");
  const AffineRow gradient = for_weights_.row(0);
  std::vector<double> inputs, outputs, counts;
  if (gradient.shift != 0) {
    if (input.code_sums.empty()) {
      input.code_sums =
          image_sums(input.operand.data, run.images, window_.pixels() * window_.channels);
    }
    inputs = input_tap_sums(window_, input.code_sums);
  }
  if (input.coding.shift != 0) {
    outputs = output_tap_sums(window_, image_sums(for_weights_.codes, run.images,
                                                  window_.out_pixels() * window_.out_channels));
    counts = tap_counts(window_);
  }
  const double scale = input.coding.slope * gradient.slope;
  const double input_factor = input.coding.slope * gradient.shift;
  const double output_factor = input.coding.shift * gradient.slope;
  const double count_factor = input.coding.shift * gradient.shift * static_cast<double>(run.images);
  const std::int64_t channels = window_.out_channels;
  for (std::int64_t row = 0; row < window_.taps() * window_.channels; ++row) {
    const std::int64_t tap = row / window_.channels;
    double same = 0;
    if (!inputs.empty()) same += input_factor * inputs[static_cast<std::size_t>(row)];
    if (!counts.empty()) same += count_factor * counts[static_cast<std::size_t>(tap)];
    for (std::int64_t o = 0; o < channels; ++o) {
      const std::int64_t i = row * channels + o;
      const double sum = weight_sums_.empty() ? static_cast<double>(weight.gradient[i])
                                              : weight_sums_[static_cast<std::size_t>(i)];
      double value = scale * sum + same;
      if (!outputs.empty()) {
        value += output_factor * outputs[static_cast<std::size_t>(tap * channels + o)];
      }
      weight.gradient[i] = static_cast<float>(value);
    }
  }
}

void QuantisedOperands::finish_input_gradient(float* dx, const Run& run) {
  const bool shifted =
      for_input_.plan && std::any_of(for_input_.plan->coding.begin(), for_input_.plan->coding.end(),
                                     [](const AffineRow& row) { return row.shift != 0; });
  const bool transformed = for_input_.plan && !for_input_.plan->groups.empty();
  backward_table_.clear();
  if (shifted || transformed) {
    backward_table_ = backward_weight_sums(window_, weight_codes_.data(), weight_zero_);
  }
  const std::int64_t size = window_.pixels() * window_.channels;
  const std::int64_t out_size = window_.out_pixels() * window_.out_channels;
  host_.images.add(
      "zero_points", size + out_size,
      [this, dx, size, out_size, shifted](const ImageRange& images) {
        std::vector<float> pixels(static_cast<std::size_t>(window_.out_pixels()));
        std::vector<float> rows(static_cast<std::size_t>(window_.pixels()));
        for (std::int64_t image = images.begin; image < images.end; ++image) {
          loops::CodeCorrection by;
          const AffineRow row = for_input_.row(image);
          by.scale = static_cast<float>(row.slope * weight_.slope);
          if (weight_zero_ != 0) {
            loops::channel_sums(for_input_.codes + image * out_size, window_.out_pixels(),
                                window_.out_channels, pixels.data());
            reverse_window_sums(window_, pixels.data(), static_cast<float>(weight_zero_),
                                rows.data());
            by.row_addends = rows.data();
          }
          if (shifted) {
            by.table = backward_table_.data();
            by.factor = static_cast<float>(row.shift * weight_.slope);
          }
          loops::correct_codes(by, window_.pixels(), window_.channels, dx + image * size);
        }
      });
  if (!transformed) return;
  host_.finish_images(run);
  {
    const PhaseTimer timer(host_, run, "transform");
    transform_back(*for_input_.plan, size,
                   {dx, static_cast<std::size_t>(for_input_.plan->rows * size)});
  }
  add_offsets(dx);
}

void QuantisedOperands::add_offsets(float* dx) {
  const std::int64_t size = window_.pixels() * window_.channels;
  host_.images.add("zero_points", size, [this, dx, size](const ImageRange& images) {
    for (std::int64_t image = images.begin; image < images.end; ++image) {
      const double offset = for_input_.plan->offsets[static_cast<std::size_t>(image)];
      loops::add_scaled(backward_table_.data(), static_cast<float>(offset * weight_.slope), size,
                        dx + image * size);
    }
  });
}

}  // namespace narrowmac
