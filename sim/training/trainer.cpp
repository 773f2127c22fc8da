#include "sim/training/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "models/numerics/convert.h"
#include "sim/training/batches.h"
#include "sim/training/checkpoint_tensors.h"
#include "sim/training/elementwise.h"
#include "sim/training/layer_graph.h"
#include "sim/training/loss.h"
#include "sim/training/optimizer.h"
#include "sim/training/random_stream.h"
#include "sim/training/weight_residual.h"

namespace narrowmac {
namespace {

/// Images of one evaluation batch: enough to keep the array busy when the training batch is small.
constexpr std::int64_t kSmallestEvaluationBatch = 128;
/// A dynamic loss scale below this says that no scale helps; it stops falling before it becomes 0.
constexpr double kSmallestLossScale = 0x1p-64;

std::vector<LayerShape> checked_shapes(const NetworkDescription& network,
                                       const TrainingSettings& settings, const Dataset& train) {
  if (settings.batch < 1)
    throw Error(fmt::format("training.batch: found {}; accepted: at least 1", settings.batch));
  if (settings.epochs < 1)
    throw Error(fmt::format("training.epochs: found {}; accepted: at least 1", settings.epochs));
  if (train.size() < 1)
    throw Error(fmt::format("data set \"{}\" has no training images", train.name));
  const double scale = settings.loss_scale.initial;
  if (!(scale > 0) || !std::isfinite(scale)) {
    throw Error(fmt::format("training.loss_scale: found {}; accepted: a positive number", scale));
  }
  if (settings.weight_clip && !(*settings.weight_clip > 0)) {
    throw Error(
        fmt::format("training.weight_clip: found {}; accepted: above 0", *settings.weight_clip));
  }
  const Formats& formats = settings.formats;
  if (settings.quantization && (!formats.layers.empty() || formats.weight_residual ||
                                !formats.weight_gradient.is_identity())) {
    throw Error(
        "formats: found weight_gradient, weight_residual or formats of a layer beside "
        "quantization; accepted: one of them");
  }
  if (const auto fault = find_fault(formats, network)) {
    throw Error(fmt::format("formats: {}: {}", fault->key, fault->message));
  }
  std::vector<LayerShape> shapes = infer_shapes(network, train.shape, train.classes);
  if (static_cast<std::int64_t>(shapes.size()) > kMaxLayers) {
    throw Error(fmt::format("network \"{}\": found {} layers; accepted: at most {}", network.name,
                            shapes.size(), kMaxLayers));
  }
  return shapes;
}

}  // namespace

class Trainer::Implementation {
 public:
  Implementation(const NetworkDescription& network, const TrainingSettings& settings,
                 const Dataset& train, Accelerator& accelerator)
      : settings_(settings),
        train_(train),
        host_{settings_, accelerator, {}, {}, {}, false, {}, {}},
        evaluation_batch_(std::max(settings.batch, kSmallestEvaluationBatch)),
        graph_(checked_shapes(network, settings, train), train.shape, evaluation_batch_, host_) {
    state_.loss_scale = settings.loss_scale.initial;
    initialise();
  }

  [[nodiscard]] std::int64_t steps_per_epoch() const {
    return (train_.size() + settings_.batch - 1) / settings_.batch;
  }
  [[nodiscard]] std::int64_t total_steps() const { return steps_per_epoch() * settings_.epochs; }

  StepReport step();
  Evaluation evaluate(const Dataset& test);
  void restore(const std::vector<NamedTensor>& tensors, const TrainerState& state) {
    import_tensors(tensors, graph_.layers());
    check_weights_with_residuals();
    state_ = state;
  }

  TrainingSettings settings_;
  const Dataset& train_;
  Host host_;
  std::int64_t evaluation_batch_;
  LayerGraph graph_;
  TrainerState state_;

 private:
  void initialise();
  /// The epoch's order of images, computed when the epoch begins or is resumed.
  const std::vector<std::int64_t>& order(std::int64_t epoch);
  void load(const Run& run);
  double forward_backward(const Run& run);
  /// False if the step must be skipped: the loss scale was too large.
  bool gradients_usable(const Run& run);
  void adapt_loss_scale(bool good);
  /// False if the new weights have no value in their format.
  bool update(const Run& run, double rate);
  /// The GEMMs take them as they are.
  void check_weights_with_residuals();
  bool update_with_residual(const Run& run, const SgdStep& sgd, Parameter& parameter);
  /// Clips the weights and rounds them to the format that they are stored in; false if they are not
  /// finite and something asks for finite ones.
  bool store_weights(Parameter& parameter, std::uint64_t number);

  std::int64_t order_epoch_ = -1;
  std::vector<std::int64_t> order_;
  std::vector<std::uint8_t> labels_;
};

void Trainer::Implementation::initialise() {
  for (Parameter* parameter : graph_.parameters()) {
    if (!parameter->is_weight) continue;
    const std::int64_t fan_in = parameter->value.size() / parameter->shape[0];
    const double deviation = std::sqrt(2.0 / static_cast<double>(fan_in));
    const std::uint64_t stream = stream_of(parameter->name);
    for (std::int64_t i = 0; i < parameter->value.size(); ++i) {
      parameter->value[parameter->stored_index(i)] = static_cast<float>(
          deviation * host_normal(settings_.seed, stream, static_cast<std::uint64_t>(i)));
    }
    store_weights(*parameter, run_number({}, parameter->number, RandomUse::InitialWeight));
  }
}

bool Trainer::Implementation::store_weights(Parameter& parameter, std::uint64_t number) {
  const TensorFormat& format =
      parameter.residual.size() > 0 ? parameter.formats->weight : settings_.formats.weight_update;
  const std::optional<double>& clip = settings_.weight_clip;
  if ((clip || format.conversion.format.is_fixed()) &&
      !all_finite(parameter.value.data(), parameter.value.size())) {
    return false;
  }
  if (clip) clamp_all(parameter.value.data(), parameter.value.size(), static_cast<float>(*clip));
  if (format.is_identity()) return true;
  const QuantizedTensor rounded =
      quantize(parameter.value.span(), format, parameter.value.span(), settings_.seed, number);
  scale_and_bias(parameter.value.data(), parameter.value.size(), 1,
                 static_cast<float>(rounded.scale), nullptr);
  return true;
}

void Trainer::Implementation::check_weights_with_residuals() {
  for (const Parameter* parameter : graph_.parameters()) {
    if (parameter->residual.size() == 0) continue;
    const NumberFormat& format = parameter->formats->weight.conversion.format;
    for (const float value : parameter->value.span()) {
      if (is_value(static_cast<double>(value), format)) continue;
      throw Error(fmt::format("tensor \"{}\": found {}; accepted: values of {}, its format",
                              parameter->name, value, format.to_string()));
    }
  }
}

bool Trainer::Implementation::update_with_residual(const Run& run, const SgdStep& sgd,
                                                   Parameter& parameter) {
  const LayerFormats& formats = *parameter.formats;
  ResidualStep step;
  step.sgd = sgd;
  step.weight = formats.weight.conversion;
  step.residual = formats.weight_residual->conversion;
  if (settings_.weight_clip) step.clip = static_cast<float>(*settings_.weight_clip);
  step.seed = settings_.seed;
  step.weight_number = run_number(run.position, parameter.number, RandomUse::WeightUpdate);
  step.residual_number = run_number(run.position, parameter.number, RandomUse::WeightResidual);
  return residual_update(step, parameter.gradient.data(), parameter.value.size(),
                         parameter.momentum.data(), parameter.value.data(),
                         parameter.residual.data());
}

const std::vector<std::int64_t>& Trainer::Implementation::order(std::int64_t epoch) {
  if (epoch != order_epoch_) {
    if (settings_.shuffle) {
      order_ = host_permutation(settings_.seed, stream_of(fmt::format("epoch {}", epoch)),
                                train_.size());
    } else {
      order_.resize(static_cast<std::size_t>(train_.size()));
      std::iota(order_.begin(), order_.end(), std::int64_t{0});
    }
    order_epoch_ = epoch;
  }
  return order_;
}

void Trainer::Implementation::load(const Run& run) {
  const PhaseTimer timer(host_, run, "data");
  const std::int64_t position = run.position.step % steps_per_epoch();
  const std::vector<std::int64_t>& images = order(run.position.step / steps_per_epoch());
  const std::span<const std::int64_t> batch(images.data() + position * settings_.batch,
                                            static_cast<std::size_t>(run.images));
  labels_.clear();
  for (const std::int64_t image : batch) {
    labels_.push_back(train_.labels[static_cast<std::size_t>(image)]);
  }
  load_batch(train_, batch, settings_.normalisation, graph_.input());
}

double Trainer::Implementation::forward_backward(const Run& run) {
  const float* logits = graph_.forward(run);
  double loss = 0;
  {
    const PhaseTimer timer(host_, run, "loss");
    loss = softmax_cross_entropy(logits, labels_.data(), run.images, train_.classes,
                                 state_.loss_scale, graph_.logits_gradient())
               .loss;
  }
  if (std::isfinite(loss)) graph_.backward(run);
  return loss;
}

bool Trainer::Implementation::gradients_usable(const Run& run) {
  if (!settings_.loss_scale.dynamic) return true;
  if (host_.gradient_overflowed) return false;
  const PhaseTimer timer(host_, run, "check_finite");
  const std::vector<Parameter*> parameters = graph_.parameters();
  return std::all_of(parameters.begin(), parameters.end(), [](const Parameter* parameter) {
    return all_finite(parameter->gradient.data(), parameter->gradient.size());
  });
}

void Trainer::Implementation::adapt_loss_scale(bool good) {
  if (!settings_.loss_scale.dynamic) return;
  if (!good) {
    state_.loss_scale = std::max(state_.loss_scale / 2, kSmallestLossScale);
    state_.good_steps = 0;
  } else if (++state_.good_steps >= settings_.loss_scale.growth_interval) {
    state_.loss_scale *= 2;
    state_.good_steps = 0;
  }
}

bool Trainer::Implementation::update(const Run& run, double rate) {
  const PhaseTimer timer(host_, run, "update");
  bool finite = true;
  const SgdStep sgd{static_cast<float>(rate), static_cast<float>(settings_.momentum),
                    static_cast<float>(settings_.weight_decay),
                    static_cast<float>(state_.loss_scale)};
  for (Parameter* parameter : graph_.parameters()) {
    if (parameter->residual.size() > 0) {
      finite = update_with_residual(run, sgd, *parameter) && finite;
      continue;
    }
    sgd_update(sgd, parameter->gradient.data(), parameter->value.size(), parameter->momentum.data(),
               parameter->value.data());
    if (!parameter->is_weight) continue;
    const std::uint64_t number =
        run_number(run.position, parameter->number, RandomUse::WeightUpdate);
    finite = store_weights(*parameter, number) && finite;
  }
  return finite;
}

StepReport Trainer::Implementation::step() {
  const std::int64_t per_epoch = steps_per_epoch();
  const std::int64_t first = state_.step % per_epoch * settings_.batch;
  Run run;
  run.position.step = state_.step;
  run.images = std::min(settings_.batch, train_.size() - first);
  run.observe = settings_.sample > 0 && state_.step % settings_.sample == 0;

  StepReport report;
  report.step = state_.step + 1;
  report.epoch = state_.step / per_epoch + 1;
  report.loss = std::numeric_limits<double>::quiet_NaN();
  report.learning_rate = learning_rate(settings_, state_.step, per_epoch, total_steps());
  host_.gradient_overflowed = false;
  load(run);
  bool good = true;
  try {
    report.loss = forward_backward(run);
    good = gradients_usable(run);
  } catch (const NotFinite&) {
    good = false;
  }
  // A finite loss whose gradients are not: with a dynamic loss scale the scale's fault.
  report.skipped = !good && std::isfinite(report.loss) && settings_.loss_scale.dynamic;
  state_.diverged = !report.skipped && !(good && std::isfinite(report.loss));
  if (!state_.diverged) {
    if (good) state_.diverged = !update(run, report.learning_rate);
    adapt_loss_scale(good);
  }
  ++state_.step;
  return report;
}

Evaluation Trainer::Implementation::evaluate(const Dataset& test) {
  if (!(test.shape == train_.shape) || test.classes != train_.classes) {
    throw Error(fmt::format("data set \"{}\": its images or classes differ from those of \"{}\"",
                            test.name, train_.name));
  }
  const auto start = std::chrono::steady_clock::now();
  Evaluation evaluation;
  evaluation.images = test.size();
  std::int64_t correct = 0;
  Run run;
  run.position.evaluation = true;
  run.position.step = state_.step;
  std::vector<std::int64_t> indices;
  for (std::int64_t first = 0; first < test.size(); first += evaluation_batch_) {
    run.images = std::min(evaluation_batch_, test.size() - first);
    indices.resize(static_cast<std::size_t>(run.images));
    std::iota(indices.begin(), indices.end(), first);
    load_batch(test, indices, settings_.normalisation, graph_.input());
    const std::uint8_t* labels = test.labels.data() + first;
    try {
      const float* logits = graph_.forward(run);
      const LossResult result = softmax_cross_entropy(logits, labels, run.images, test.classes);
      for (std::int64_t i = 0; i < run.images; ++i) {
        evaluation.decisions.push_back(
            static_cast<std::uint8_t>(predicted_class(logits + i * test.classes, test.classes)));
      }
      evaluation.loss += result.loss * static_cast<double>(run.images);
      correct += result.correct;
    } catch (const NotFinite&) {  // no logits: as if all were NaN
      evaluation.loss = std::numeric_limits<double>::quiet_NaN();
      correct += std::count(labels, labels + run.images, std::uint8_t{0});
      evaluation.decisions.resize(evaluation.decisions.size() +
                                  static_cast<std::size_t>(run.images));
    }
    ++run.position.batch;
  }
  if (test.size() > 0) {
    evaluation.accuracy = static_cast<double>(correct) / static_cast<double>(test.size());
    evaluation.loss /= static_cast<double>(test.size());
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  host_.seconds["evaluate"] += elapsed.count();
  return evaluation;
}

Trainer::Trainer(const NetworkDescription& network, const TrainingSettings& settings,
                 const Dataset& train, Accelerator& accelerator)
    : implementation_(std::make_unique<Implementation>(network, settings, train, accelerator)) {}
Trainer::~Trainer() = default;

std::int64_t Trainer::steps_per_epoch() const { return implementation_->steps_per_epoch(); }
std::int64_t Trainer::total_steps() const { return implementation_->total_steps(); }
const TrainerState& Trainer::state() const { return implementation_->state_; }
StepReport Trainer::step() { return implementation_->step(); }
Evaluation Trainer::evaluate(const Dataset& test) { return implementation_->evaluate(test); }

std::vector<NamedTensor> Trainer::tensors() const {
  return export_tensors(implementation_->graph_.layers());
}
void Trainer::restore(const std::vector<NamedTensor>& tensors, const TrainerState& state) {
  implementation_->restore(tensors, state);
}

std::vector<GemmObservation> Trainer::take_observations() {
  return std::exchange(implementation_->host_.observations, {});
}
const std::vector<std::pair<std::string, std::array<LayerWork, 3>>>& Trainer::work() const {
  return implementation_->host_.work;
}
void Trainer::restore_work(std::vector<std::pair<std::string, std::array<LayerWork, 3>>> work) {
  auto& own = implementation_->host_.work;
  const bool fits = std::equal(own.begin(), own.end(), work.begin(), work.end(),
                               [](const auto& a, const auto& b) { return a.first == b.first; });
  if (!fits) throw Error("the checkpoint's account of work is of other layers than the network's");
  own = std::move(work);
}
const std::map<std::string, double>& Trainer::host_seconds() const {
  return implementation_->host_.seconds;
}

}  // namespace narrowmac
