#include "tests/bench/training_setup.h"

#include <random>

#include "sim/accelerators/make.h"
#include "tests/bench/measure.h"

namespace narrowmac::bench {
namespace {

/// Elements of the tensor or matrix below a view.
std::int64_t stored_size(const OperandView& view) {
  if (!view.is_patches()) return view.rows() * view.columns();
  const ConvolutionPatches& patches = view.convolution();
  return patches.images * patches.height * patches.width * patches.channels;
}

/// The same view of other values.
OperandView over(const OperandView& view, const float* values) {
  if (!view.is_patches()) {
    return OperandView::dense(values, view.rows(), view.columns(), view.row_stride(),
                              view.column_stride());
  }
  const OperandView patches = OperandView::patches(values, view.convolution());
  return view.is_transposed_patches() ? patches.transposed() : patches;
}

/// Images of noise in ten classes: times do not depend on what the network learns.
Dataset noise_images(const FeatureShape& shape, std::int64_t count) {
  Dataset images;
  images.name = "noise";
  images.shape = shape;
  std::mt19937 generator(1);
  images.pixels.resize(static_cast<std::size_t>(count * shape.size()));
  for (auto& pixel : images.pixels) pixel = static_cast<std::uint8_t>(generator() % 256);
  for (std::int64_t i = 0; i < count; ++i) {
    images.labels.push_back(static_cast<std::uint8_t>(generator() % 10));
  }
  return images;
}

constexpr std::int64_t kImages = 128 * 64;

Dataset images_for(const RunConfig& config, const std::string& network) {
  if (network == "resnet20") return noise_images({3, 32, 32}, kImages);
  return read_dataset(config.data.kind, config.data.folder, Split::Train, kImages);
}

}  // namespace

/// Hands requests on, and keeps copies of one step's when asked.
class Recorder final : public Accelerator {
 public:
  explicit Recorder(const ArrayDesign& array) : accelerator_(make_accelerator(array)) {}
  GemmResult execute(const GemmRequest& request) override {
    if (recording) requests.emplace_back(request);
    return accelerator_->execute(request);
  }
  bool recording = false;
  std::vector<RecordedRequest> requests;

 private:
  std::unique_ptr<Accelerator> accelerator_;
};

TrainingSetup::TrainingSetup(const std::string& network, std::vector<std::string> set) {
  set.push_back("network.preset=\"" + network + "\"");
  config_ = read_run_config(NARROWMAC_CONFIGS_FOLDER "/experiments/quickstart.toml", set);
  images_ = images_for(config_, network);
  accelerator_ = std::make_unique<Recorder>(config_.array);
  trainer_ = std::make_unique<Trainer>(config_.network, config_.training, images_, *accelerator_);
}

TrainingSetup::~TrainingSetup() = default;

std::int64_t TrainingSetup::step_macs() const {
  std::int64_t macs = 0;
  for (const LayerShape& layer : infer_shapes(config_.network, images_.shape, 10)) {
    if (!layer.has_gemm()) continue;
    const std::int64_t one = gemm_shape(layer, Pass::Forward, config_.training.batch).macs();
    macs += layer.layer.inputs.front() == "input" ? 2 * one : 3 * one;
  }
  return macs;
}

std::vector<RecordedRequest> TrainingSetup::record_step() {
  accelerator_->requests.clear();
  accelerator_->recording = true;
  trainer_->step();
  accelerator_->recording = false;
  return std::move(accelerator_->requests);
}

RecordedRequest::RecordedRequest(const GemmRequest& request)
    : request_(request),
      a_(request.a.float_data(), request.a.float_data() + stored_size(request.a)),
      b_(request.b.float_data(), request.b.float_data() + stored_size(request.b)),
      out_(static_cast<std::size_t>(request.a.rows() * request.b.columns())) {
  if (request.mac != nullptr) mac_ = *request.mac;
  request_.observe = std::nullopt;
}

std::int64_t RecordedRequest::macs() const {
  return GemmShape{request_.a.rows(), request_.b.columns(), request_.a.columns()}.macs();
}

RecordedRequest RecordedRequest::with_gaussian(double zero_share) const {
  RecordedRequest other = *this;
  // Activations are A in FWD and, transposed, in GRAD; BWD has none.
  const double share = pass() == Pass::Backward ? 0 : zero_share;
  other.a_ = gaussian(static_cast<std::int64_t>(a_.size()), mac_.a, 1, share);
  other.b_ = gaussian(static_cast<std::int64_t>(b_.size()), mac_.b, 2);
  return other;
}

GemmRequest RecordedRequest::request() {
  GemmRequest request = request_;
  request.a = over(request_.a, a_.data());
  request.b = over(request_.b, b_.data());
  request.out = OutputView::of(out_.data(), request.b.columns());
  request.mac = &mac_;
  return request;
}

}  // namespace narrowmac::bench
