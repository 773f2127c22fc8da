#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/numerics/operand_view.h"
#include "models/quantizers/gradient_kernel.h"
#include "models/workload/network.h"
#include "sim/training/buffer.h"
#include "sim/training/image_pipeline.h"
#include "sim/training/run_number.h"
#include "sim/training/settings.h"
#include "sim/training/trainer.h"

namespace narrowmac {

struct Activation;
struct Run;

/// Infinity or NaN met a format or an accumulator that has neither: the run diverged. Caught by the
/// trainer.
class NotFinite : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "a tensor is not finite"; }
};

/// One pass over a batch.
struct Run {
  RunPosition position;
  std::int64_t images = 0;
  bool observe = false;
  bool differentiated = false;  ///< of an evaluation: backward() follows
  [[nodiscard]] bool training() const { return !position.evaluation; }
  [[nodiscard]] bool has_backward() const { return training() || differentiated; }
};

/// Looks at the gradients of an fp32 network on their way back. What it is given stays valid during
/// the call.
class GradientObserver {
 public:
  GradientObserver() = default;
  GradientObserver(const GradientObserver&) = delete;
  GradientObserver& operator=(const GradientObserver&) = delete;
  virtual ~GradientObserver() = default;
  /// The gradient of an activation that GEMMs read, with the parts of all its readers.
  virtual void activation(const Activation& activation, const Run& run) = 0;
  /// Input and gradient of the output of the GEMM layer `number`. Returns whether the gradient of
  /// its weight is wanted.
  virtual bool layer_output(std::int64_t number, const float* input, const float* gradient,
                            const Run& run) = 0;
};

/// What the layers share with the trainer.
struct Host {
  const TrainingSettings& settings;
  Accelerator& accelerator;
  std::map<std::string, double> seconds;
  std::vector<GemmObservation> observations;
  std::vector<std::pair<std::string, std::array<LayerWork, 3>>> work;
  bool gradient_overflowed = false;  ///< since the step began; the loss scale was too large
  ImagePipeline images;              ///< what is still to be done for each image
  /// Of quantised training: the gradient's codes for GRAD and BWD of the layer at work.
  std::array<AlignedBuffer, 2> gradient_codes = {};
  GradientObserver* observer = nullptr;
  std::atomic<bool> not_finite = false;  ///< found by a step of the pipeline

  /// Runs the pipeline: before anything looks at a whole batch. Throws NotFinite if a step has
  /// found what must be finite and is not.
  void finish_images(const Run& run) {
    images.run(run.images, run.training() ? &seconds : nullptr);
    if (not_finite.exchange(false)) throw NotFinite();
  }
  /// Adds the rounding of a tensor with `size` values per image to the pipeline; BlockQuantizer
  /// must support the format. `overflowed`, if not null, becomes true if a value leaves the format.
  void round_images(const float* values, std::int64_t size, const TensorFormat& format,
                    std::uint64_t number, float* codes, std::atomic<bool>* overflowed);
};

/// Adds the time of a training phase to the host's account; evaluations have an account of their
/// own.
class PhaseTimer {
 public:
  PhaseTimer(Host& host, const Run& run, const char* phase)
      : seconds_(run.training() ? &host.seconds[phase] : nullptr) {}
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;
  ~PhaseTimer() {
    if (seconds_ == nullptr) return;
    *seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double* seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A tensor as the array sees it: value = data * scale.
struct Operand {
  const float* data = nullptr;
  double scale = 1.0;
};

/// What a layer gives to the layers that read it (NHWC), with the gradient that comes back.
struct Activation {
  FeatureShape shape;
  std::int64_t number = 0;  ///< 0: the image; otherwise the layer's place in the network, from 1
  bool needs_gradient = false;
  const TensorFormat* format = nullptr;  ///< of the GEMMs that read it; null: none does
  bool of_relu_for_pool = false;  ///< a ReLU's, read by one max pool that tiles it: the pool's
                                  ///< gradient is zero where the ReLU's is
  float* value = nullptr;
  float* gradient = nullptr;  ///< null until the first reader has given its part
  AlignedBuffer value_storage;
  std::shared_ptr<AlignedBuffer> gradient_storage;  ///< shared by both inputs of an addition
  AlignedBuffer codes;
  Operand operand;  ///< data is null until a GEMM of this batch wants it or the graph rounds it
  // Of quantised training:
  std::vector<Extrema> extrema;   ///< of each image
  AffineRow coding;               ///< what `codes` stand for
  std::vector<double> code_sums;  ///< of the images; empty until somebody wants them
};

/// Something that is trained. Stored in the layout that the GEMMs want, known outside in PyTorch's.
struct Parameter {
  enum class Layout : std::uint8_t {
    Plain,
    Linear,       ///< stored in x out, known as out x in
    Convolution,  ///< stored row, column, in, out; known as OIHW
  };
  std::string name;
  std::vector<std::int64_t> shape;  ///< PyTorch's
  Layout layout = Layout::Plain;
  bool is_weight = false;                 ///< kept in the weight_update format, or with a residual
  std::int64_t number = 0;                ///< the layer's
  const LayerFormats* formats = nullptr;  ///< a weight's layer's
  AlignedBuffer value, gradient, momentum;
  AlignedBuffer residual;  ///< empty unless the formats have a weight_residual

  Parameter() = default;
  Parameter(std::string parameter_name, std::vector<std::int64_t> parameter_shape,
            Layout parameter_layout, float initial);
  /// Where the element with PyTorch's row-major index is stored.
  [[nodiscard]] std::int64_t stored_index(std::int64_t index) const;
};

/// A buffer of a checkpoint that is not trained.
struct Statistic {
  std::string name;
  AlignedBuffer value;
};

/// A layer at work. forward() and backward() see the same inputs; `input_gradients[i]` is where the
/// gradient of input i goes (overwritten), or null if nobody wants it. What looks at single images
/// is added to host.images; a layer that needs the whole batch calls host.finish_images() before.
class Layer {
 public:
  Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;
  virtual ~Layer() = default;
  virtual void forward(std::span<Activation* const> inputs, Activation& output, const Run& run) = 0;
  virtual void backward(std::span<Activation* const> inputs, const Activation& output,
                        std::span<float* const> input_gradients, const Run& run) = 0;
  virtual std::vector<Parameter*> parameters() { return {}; }
  virtual std::vector<Statistic*> statistics() { return {}; }
  /// The input's gradient may be written over the output's.
  [[nodiscard]] virtual bool backward_in_place() const { return false; }
  /// Every input's gradient is the output's; backward() does nothing.
  [[nodiscard]] virtual bool passes_gradient_on() const { return false; }
};

/// `number` is the layer's place in the network, from 1. GEMM layers enter themselves into
/// host.work.
std::unique_ptr<Layer> make_layer(const LayerShape& shape, std::int64_t number, Host& host);
std::unique_ptr<Layer> make_gemm_layer(const LayerShape& shape, std::int64_t number, Host& host);
/// The input of a GEMM layer as its FWD reads it: rows x K.
OperandView forward_rows(const LayerShape& shape, const float* input, std::int64_t images);

}  // namespace narrowmac
