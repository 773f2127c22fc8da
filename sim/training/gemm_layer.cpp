#include <algorithm>
#include <atomic>
#include <optional>

#include "models/quantizers/block_quantizer.h"
#include "sim/training/elementwise.h"
#include "sim/training/layer.h"
#include "sim/training/parallel.h"
#include "sim/training/quantised_operands.h"
#include "sim/training/vector_loops.h"

namespace narrowmac {
namespace {

using Kind = LayerDescription::Kind;

RandomUse use_of(Pass pass) {
  switch (pass) {
    case Pass::Forward:
      return RandomUse::Forward;
    case Pass::Backward:
      return RandomUse::Backward;
    case Pass::Gradient:
      break;
  }
  return RandomUse::Gradient;
}

bool has_fixed_stage(const MacDesign& mac) {
  return mac.accumulator.format.is_fixed() || (mac.product && mac.product->format.is_fixed()) ||
         (mac.chunk && mac.chunk->accumulator.format.is_fixed());
}

/// A convolution or linear layer: everything that reaches the accelerator.
class GemmLayer : public Layer {
 public:
  GemmLayer(const LayerShape& shape, std::int64_t number, Host& host);
  void forward(std::span<Activation* const> inputs, Activation& output, const Run& run) override;
  void backward(std::span<Activation* const> inputs, const Activation& output,
                std::span<float* const> input_gradients, const Run& run) override;
  std::vector<Parameter*> parameters() override;

 private:
  struct Rounded {
    Operand operand;
    std::int64_t overflowed = 0;
  };
  /// The tensor in its format: in `codes`, or as it is if the format changes nothing.
  Rounded round(const float* values, std::int64_t size, const TensorFormat& format,
                AlignedBuffer& codes, std::uint64_t number, const Run& run);
  Operand input_operand(Activation& input, const Run& run);
  /// The rounded gradient of the output; finishes the pipeline.
  Operand gradient_operand(const Activation& output, const Run& run);
  /// Adds value * scale + bias to the pipeline, if that changes anything.
  void scale_images(float* values, const FeatureShape& shape, double scale, const float* bias);
  void add_bias_sums(const Activation& output, const Run& run);
  void finish_bias_gradient(const Run& run);
  void round_weight_gradient(const Run& run);
  /// The rounded weights as BWD's K x N: linear as a view; convolution with each tap transposed.
  OperandView backward_weights(const Run& run);
  OperandView rows_of(const float* x, const Run& run) const {
    return forward_rows(shape_, x, run.images);
  }
  OperandView backward_rows_of(const float* dy, const Run& run) const;
  /// Throws NotFinite if an operand of a fixed-point stage could be and is not finite.
  void check_finite(const MacDesign& mac, const OperandView& view, const TensorFormat& format,
                    const Run& run) const;
  void execute(Pass pass, const OperandView& a, const OperandView& b, const OutputView& out,
               const Run& run);
  void execute(Pass pass, const OperandView& a, const OperandView& b, float* out, const Run& run) {
    execute(pass, a, b, OutputView::of(out, b.columns()), run);
  }
  void backward_quantised(Activation& input, const Activation& output, float* input_gradient,
                          const Run& run);

  LayerShape shape_;
  std::int64_t number_;
  Host& host_;
  const LayerFormats& formats_;
  std::size_t work_index_;
  Parameter weight_, bias_;
  AlignedBuffer weight_codes_, transposed_weights_, gradient_codes_;
  Operand weights_;
  std::optional<QuantisedOperands> quantised_;
  std::vector<double> bias_sums_;  ///< images x channels
};

GemmLayer::GemmLayer(const LayerShape& shape, std::int64_t number, Host& host)
    : shape_(shape),
      number_(number),
      host_(host),
      formats_(host.settings.formats.of(shape.layer.name)),
      work_index_(host.work.size()) {
  const LayerDescription& layer = shape.layer;
  const std::int64_t in = shape.inputs.front().channels;
  if (layer.kind == Kind::Convolution) {
    weight_ = Parameter(layer.name + ".weight", {layer.channels, in, layer.kernel, layer.kernel},
                        Parameter::Layout::Convolution, 0.0F);
  } else {
    weight_ =
        Parameter(layer.name + ".weight", {layer.channels, in}, Parameter::Layout::Linear, 0.0F);
  }
  weight_.number = number;
  weight_.formats = &formats_;
  if (formats_.weight_residual) weight_.residual = AlignedBuffer::filled(weight_.value.size(), 0);
  if (layer.bias) {
    bias_ = Parameter(layer.name + ".bias", {layer.channels}, Parameter::Layout::Plain, 0.0F);
  }
  if (host.settings.quantization) quantised_.emplace(shape, host);
  host.work.emplace_back(layer.name, std::array<LayerWork, 3>{});
}

std::vector<Parameter*> GemmLayer::parameters() {
  if (shape_.layer.bias) return {&weight_, &bias_};
  return {&weight_};
}

GemmLayer::Rounded GemmLayer::round(const float* values, std::int64_t size,
                                    const TensorFormat& format, AlignedBuffer& codes,
                                    std::uint64_t number, const Run& run) {
  if (format.is_identity()) return {{values, 1.0}, 0};
  const PhaseTimer timer(host_, run, "quantize");
  if (format.conversion.format.is_fixed() && !all_finite(values, size)) throw NotFinite();
  if (codes.size() < size) codes = AlignedBuffer(size);
  const auto count = static_cast<std::size_t>(size);
  const QuantizedTensor result =
      quantize({values, count}, format, {codes.data(), count}, host_.settings.seed, number);
  return {{codes.data(), result.scale}, result.overflowed};
}

Operand GemmLayer::input_operand(Activation& input, const Run& run) {
  if (input.operand.data == nullptr) {
    const std::uint64_t number =
        run_number(run.position, input.number, RandomUse::ActivationTensor);
    input.operand = round(input.value, run.images * input.shape.size(), formats_.activation,
                          input.codes, number, run)
                        .operand;
  }
  return input.operand;
}

Operand GemmLayer::gradient_operand(const Activation& output, const Run& run) {
  const TensorFormat& format = formats_.gradient;
  const std::uint64_t number = run_number(run.position, number_, RandomUse::GradientTensor);
  const std::int64_t size = output.shape.size();
  if (!BlockQuantizer::supports(format)) {
    host_.finish_images(run);
    const Rounded rounded =
        round(output.gradient, run.images * size, format, gradient_codes_, number, run);
    // With a scale found from the tensor, clamping is the format's choice and no sign of a wrong
    // loss scale.
    if (rounded.overflowed > 0 && format.scaling == Scaling::None) host_.gradient_overflowed = true;
    return rounded.operand;
  }
  // Nobody reads the gradient after this layer, unless the inputs of an addition share it.
  float* codes = output.gradient;
  if (output.gradient_storage.use_count() != 1) {
    if (gradient_codes_.size() < run.images * size) {
      gradient_codes_ = AlignedBuffer(run.images * size);
    }
    codes = gradient_codes_.data();
  }
  std::atomic<bool> overflowed{false};
  host_.round_images(output.gradient, size, format, number, codes, &overflowed);
  host_.finish_images(run);
  if (overflowed.load()) host_.gradient_overflowed = true;
  return {codes, 1.0};
}

void GemmLayer::scale_images(float* values, const FeatureShape& shape, double scale,
                             const float* bias) {
  if (static_cast<float>(scale) == 1.0F && bias == nullptr) return;
  host_.images.add(
      "bias", shape.size(),
      [values, shape, scale = static_cast<float>(scale), bias](const ImageRange& images) {
        const std::int64_t rows = shape.height * shape.width;
        loops::scale_and_bias(values + images.begin * shape.size(), images.count() * rows,
                              shape.channels, scale, bias);
      });
}

void GemmLayer::add_bias_sums(const Activation& output, const Run& run) {
  const FeatureShape& shape = output.shape;
  bias_sums_.assign(static_cast<std::size_t>(run.images * shape.channels), 0.0);
  host_.images.add(
      "bias", shape.size(), [this, shape, dy = output.gradient](const ImageRange& images) {
        for (std::int64_t image = images.begin; image < images.end; ++image) {
          loops::add_columns(dy + image * shape.size(), shape.height * shape.width, shape.channels,
                             bias_sums_.data() + image * shape.channels);
        }
      });
}

void GemmLayer::finish_bias_gradient(const Run& run) {
  const PhaseTimer timer(host_, run, "bias");
  const std::int64_t channels = shape_.layer.channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (std::int64_t i = 0; i < run.images; ++i) {
      sum += bias_sums_[static_cast<std::size_t>(i * channels + c)];
    }
    bias_.gradient[c] = static_cast<float>(sum);
  }
}

void GemmLayer::round_weight_gradient(const Run& run) {
  const TensorFormat& format = formats_.weight_gradient;
  if (format.is_identity()) return;
  const std::uint64_t number = run_number(run.position, number_, RandomUse::WeightGradient);
  const Rounded rounded = round(weight_.gradient.data(), weight_.gradient.size(), format,
                                weight_.gradient, number, run);
  if (rounded.overflowed > 0 && format.scaling == Scaling::None) host_.gradient_overflowed = true;
  scale_and_bias(weight_.gradient.data(), weight_.gradient.size(), 1,
                 static_cast<float>(rounded.operand.scale), nullptr);
}

OperandView GemmLayer::backward_rows_of(const float* dy, const Run& run) const {
  const FeatureShape& in = shape_.inputs.front();
  const FeatureShape& out = shape_.output;
  if (shape_.layer.kind == Kind::Linear) {
    return OperandView::dense(dy, run.images, out.channels, out.channels);
  }
  ConvolutionPatches patches;
  patches.images = run.images;
  patches.height = out.height;
  patches.width = out.width;
  patches.channels = out.channels;
  patches.out_height = in.height;
  patches.out_width = in.width;
  patches.kernel_height = patches.kernel_width = shape_.layer.kernel;
  patches.offset_y = patches.offset_x = shape_.layer.padding;
  patches.direction = -1;
  patches.divisor = shape_.layer.stride;
  return OperandView::patches(dy, patches);
}

OperandView GemmLayer::backward_weights(const Run& run) {
  const std::int64_t in = shape_.inputs.front().channels;
  const std::int64_t out = shape_.layer.channels;
  if (shape_.layer.kind == Kind::Linear) {
    return OperandView::dense(weights_.data, in, out, out).transposed();
  }
  const PhaseTimer timer(host_, run, "transpose");
  const std::int64_t taps = shape_.layer.kernel * shape_.layer.kernel;
  if (transposed_weights_.size() == 0) transposed_weights_ = AlignedBuffer(taps * in * out);
  for_blocks(taps, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t tap = begin; tap < end; ++tap) {
      const float* from = weights_.data + tap * in * out;
      float* to = transposed_weights_.data() + tap * in * out;
      for (std::int64_t o = 0; o < out; ++o) {
        for (std::int64_t i = 0; i < in; ++i) to[o * in + i] = from[i * out + o];
      }
    }
  });
  return OperandView::dense(transposed_weights_.data(), taps * out, in, in);
}

void GemmLayer::check_finite(const MacDesign& mac, const OperandView& view,
                             const TensorFormat& format, const Run& run) const {
  if (!has_fixed_stage(mac) || format.conversion.format.is_fixed()) return;
  const PhaseTimer timer(host_, run, "check_finite");
  std::int64_t size = view.rows() * view.columns();
  if (view.is_patches()) {
    const ConvolutionPatches& patches = view.convolution();
    size = patches.images * patches.height * patches.width * patches.channels;
  }
  if (!all_finite(view.float_data(), size)) throw NotFinite();
}

void GemmLayer::execute(Pass pass, const OperandView& a, const OperandView& b,
                        const OutputView& out, const Run& run) {
  const TrainingSettings& settings = host_.settings;
  GemmRequest request;
  request.layer = shape_.layer.name;
  request.pass = pass;
  request.a = a;
  request.b = b;
  request.out = out;
  request.mac = settings.macs.find(request.layer, pass);
  request.seed = settings.seed;
  request.gemm_number = run_number(run.position, number_, use_of(pass));
  double statistics_seconds = 0;
  if (request.mac != nullptr) {
    if (!quantised_) {  // codes are finite
      const bool backward = pass == Pass::Backward, gradient = pass == Pass::Gradient;
      check_finite(*request.mac, a, backward ? formats_.gradient : formats_.activation, run);
      check_finite(*request.mac, b, gradient ? formats_.gradient : formats_.weight, run);
    }
    if (run.observe) {
      request.observe =
          Observation{pass == Pass::Gradient ? 0 : settings.sample_rows, &statistics_seconds};
    }
  }
  const auto start = std::chrono::steady_clock::now();
  const GemmResult result = host_.accelerator.execute(request);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (!run.training()) return;

  LayerWork& work = host_.work[work_index_].second[static_cast<std::size_t>(pass)];
  work.shape = gemm_shape(shape_, pass, settings.batch);
  work.on_array = request.mac != nullptr;
  ++work.gemms;
  work.macs += gemm_shape(shape_, pass, run.images).macs();
  work.cycles += result.cycles;
  work.stalls += result.stalls;
  work.utilization_sum += result.utilization;
  work.traffic += result.traffic;
  work.seconds += elapsed.count() - statistics_seconds;
  if (request.observe) host_.seconds["statistics"] += statistics_seconds;
  GemmObservation observation{run.position.step + 1, request.layer, pass, {}, {}};
  if (request.observe && result.statistics) observation.statistics = *result.statistics;
  if (quantised_ && pass != Pass::Forward) {
    observation.gradient = quantised_->noise(pass);
    if (pass == Pass::Backward) work.transform_macs += quantised_->transform_macs();
  }
  if ((request.observe && result.statistics) || observation.gradient) {
    host_.observations.push_back(std::move(observation));
  }
}

void GemmLayer::forward(std::span<Activation* const> inputs, Activation& output, const Run& run) {
  host_.finish_images(run);
  const Operand x = quantised_ ? Operand{quantised_->input(*inputs[0], run), 1.0}
                               : input_operand(*inputs[0], run);
  if (run.position.batch == 0 && quantised_) {  // an evaluation rounds the weights once
    weights_ = {quantised_->weights(weight_.value, run), 1.0};
  } else if (formats_.weight_residual) {  // stored in its format
    weights_ = {weight_.value.data(), 1.0};
  } else if (run.position.batch == 0) {
    const std::uint64_t number = run_number(run.position, number_, RandomUse::WeightTensor);
    weights_ = round(weight_.value.data(), weight_.value.size(), formats_.weight, weight_codes_,
                     number, run)
                   .operand;
  }
  const std::int64_t out = shape_.layer.channels;
  const std::int64_t length = weight_.value.size() / out;
  execute(Pass::Forward, rows_of(x.data, run), OperandView::dense(weights_.data, length, out, out),
          output.value, run);
  const float* bias = shape_.layer.bias ? bias_.value.data() : nullptr;
  if (quantised_) {
    quantised_->finish_forward(output.value, bias);
  } else {
    scale_images(output.value, output.shape, x.scale * weights_.scale, bias);
  }
}

void GemmLayer::backward(std::span<Activation* const> inputs, const Activation& output,
                         std::span<float* const> input_gradients, const Run& run) {
  const std::int64_t out = shape_.layer.channels;
  const std::int64_t rows = run.images * output.shape.height * output.shape.width;
  if (shape_.layer.bias) add_bias_sums(output, run);
  if (quantised_) {
    backward_quantised(*inputs[0], output, input_gradients[0], run);
    return;
  }
  const Operand dy = gradient_operand(output, run);
  if (shape_.layer.bias) finish_bias_gradient(run);
  const Operand x = input_operand(*inputs[0], run);
  if (host_.observer == nullptr || host_.observer->layer_output(number_, x.data, dy.data, run)) {
    execute(Pass::Gradient, rows_of(x.data, run).transposed(),
            OperandView::dense(dy.data, rows, out, out), weight_.gradient.data(), run);
    scale_and_bias(weight_.gradient.data(), weight_.gradient.size() / out, out,
                   static_cast<float>(x.scale * dy.scale), nullptr);
    round_weight_gradient(run);
  }

  if (input_gradients[0] == nullptr) return;
  execute(Pass::Backward, backward_rows_of(dy.data, run), backward_weights(run), input_gradients[0],
          run);
  scale_images(input_gradients[0], shape_.inputs.front(), dy.scale * weights_.scale, nullptr);
}

void GemmLayer::backward_quantised(Activation& input, const Activation& output,
                                   float* input_gradient, const Run& run) {
  const std::int64_t out = shape_.layer.channels;
  const std::int64_t rows = run.images * output.shape.height * output.shape.width;
  const QuantisedOperands::Gradients dy =
      quantised_->gradients(output, number_, input_gradient != nullptr, run);
  if (shape_.layer.bias) finish_bias_gradient(run);
  execute(Pass::Gradient, rows_of(quantised_->input(input, run), run).transposed(),
          OperandView::dense(dy.for_weights, rows, out, out),
          quantised_->weight_gradient_sums(weight_), run);
  quantised_->finish_weight_gradient(input, run, weight_);
  if (input_gradient == nullptr) return;
  execute(Pass::Backward, backward_rows_of(dy.for_input, run), backward_weights(run),
          input_gradient, run);
  quantised_->finish_input_gradient(input_gradient, run);
}

}  // namespace

OperandView forward_rows(const LayerShape& shape, const float* input, std::int64_t images) {
  const FeatureShape& in = shape.inputs.front();
  if (shape.layer.kind == Kind::Linear) {
    return OperandView::dense(input, images, in.channels, in.channels);
  }
  ConvolutionPatches patches;
  patches.images = images;
  patches.height = in.height;
  patches.width = in.width;
  patches.channels = in.channels;
  patches.out_height = shape.output.height;
  patches.out_width = shape.output.width;
  patches.kernel_height = patches.kernel_width = shape.layer.kernel;
  patches.step = shape.layer.stride;
  patches.offset_y = patches.offset_x = -shape.layer.padding;
  return OperandView::patches(input, patches);
}

std::unique_ptr<Layer> make_gemm_layer(const LayerShape& shape, std::int64_t number, Host& host) {
  return std::make_unique<GemmLayer>(shape, number, host);
}

}  // namespace narrowmac
