#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/numerics/gradient_layout.h"
#include "models/numerics/kernel_gradient.h"
#include "models/numerics/lane_operands.h"
#include "models/numerics/plan.h"

// The sums of one block of a gradient GEMM, in the order of the accumulation. Internal to the room;
// see gradient_gemm.h.

namespace narrowmac {

/// The kernels of a plan's first level.
StreamKernel<float> gradient_stream_kernel(const GemmPlan& plan);

/// Everything that is the same for all blocks.
struct GradientSetup {
  GradientLayout layout;
  StreamKernel<float> kernel;
  int scale_exponent;
  LaneStep<float> first, second;
  float scalar_scale = 1, vector_scale = 1;
  std::int64_t chunk_length = 0;  ///< 0: sequential

  GradientSetup(const GemmProblem& problem, const GemmPlan& plan, GradientScalars scalars);
};

/// The sums of a range of scalar channels in one pass, image by image.
class PassRunner {
 public:
  PassRunner() = default;
  PassRunner(const PassRunner&) = delete;
  PassRunner& operator=(const PassRunner&) = delete;
  virtual ~PassRunner() = default;
  /// The next images; their vectors are in `grid`.
  virtual void run(const float* grid, std::int64_t first_image, std::int64_t images) = 0;
  /// The finished vectors of a channel.
  [[nodiscard]] virtual const float* results(std::int64_t channel) const = 0;
};

/// Sums read and written at every product: for few vectors per scalar, and for chunks that end
/// tap by tap.
std::unique_ptr<PassRunner> make_stream_runner(const GradientSetup& setup, const GradientPass& pass,
                                               std::int64_t first_channel, std::int64_t channels);
/// Lists of each channel's scalars, sums in registers.
std::unique_ptr<PassRunner> make_list_runner(const GradientSetup& setup, const GradientPass& pass,
                                             std::int64_t first_channel, std::int64_t channels);

/// Which runs of vectors a list runner takes at once: indices into kernel.list_kernels.
std::vector<int> list_widths(const GradientPass& pass, const StreamKernel<float>& kernel);
/// How many vectors they are: at least the pass's.
std::int64_t list_vectors(const GradientPass& pass, const StreamKernel<float>& kernel);
/// True if lists are the faster way for a pass, and its chunks allow them.
bool lists_pay(const GradientPass& pass, const StreamKernel<float>& kernel, bool chunked);

/// The sums of a range of scalar channels in all passes.
class GradientBlock {
 public:
  GradientBlock(const GradientSetup& setup, std::int64_t first_channel, std::int64_t channels);
  void run();
  [[nodiscard]] const float* results(std::int64_t channel, std::int64_t pass) const {
    return passes_[static_cast<std::size_t>(pass)]->results(channel);
  }

 private:
  const float* copy_images(std::int64_t first_image, std::int64_t images);

  const GradientSetup& setup_;
  std::int64_t slab_images_ = 1;
  LaneBuffer<float> grid_copy_;
  std::vector<std::unique_ptr<PassRunner>> passes_;
};

/// Where chunks end among the scalar pixels of a pass.
class ChunkEnds {
 public:
  /// After pixel number `pixel` of a band, a group's sums end a chunk.
  struct Event {
    std::int64_t pixel;
    std::int64_t group;
  };
  /// `together`: all groups end at the same pixels; events name the first.
  ChunkEnds(const GradientSetup& setup, const GradientPass& pass, bool together);
  /// The events of the next band of pixels, in order.
  const std::vector<Event>& next_band(std::int64_t first_pixel, std::int64_t end_pixel);

 private:
  [[nodiscard]] std::int64_t end_pixel_of(const SumGroup& group, std::int64_t chunk) const;

  const GradientSetup& setup_;
  const GradientPass& pass_;
  std::int64_t chunks_ = 0;
  std::vector<std::int64_t> next_;  ///< per group
  std::vector<Event> events_;
};

}  // namespace narrowmac
