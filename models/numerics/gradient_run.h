#pragma once

#include <cstdint>
#include <vector>

#include "models/numerics/gradient_layout.h"
#include "models/numerics/kernel_gradient.h"
#include "models/numerics/lane_operands.h"
#include "models/numerics/plan.h"

// The sums of one block of a gradient GEMM, in the order of the accumulation. Internal to the room;
// see gradient_gemm.h.

namespace narrowmac {

/// Everything that is the same for all blocks.
struct GradientSetup {
  GradientLayout layout;
  StreamKernel<float> kernel;
  LaneStep<float> first, second;
  float scalar_scale = 1, vector_scale = 1;
  std::int64_t chunk_length = 0;  ///< 0: sequential

  GradientSetup(const GemmProblem& problem, const GemmPlan& plan, GradientScalars scalars);
};

/// The sums of a range of scalar channels at a range of passes.
class GradientBlock {
 public:
  GradientBlock(const GradientSetup& setup, std::int64_t first_channel, std::int64_t channels,
                std::int64_t first_pass, std::int64_t passes);
  void run();
  /// The finished vectors of one scalar channel of a pass.
  [[nodiscard]] const float* results(std::int64_t channel, std::int64_t pass) const;

 private:
  /// The next chunk that ends for each group of sums, and what of it falls into the current band.
  struct PassState {
    std::int64_t sums_first = 0;
    std::vector<std::int64_t> next_chunk;
  };
  /// After pixel number `pixel` of the band, a group's sums end a chunk.
  struct Event {
    std::int64_t pixel;
    std::int64_t group;
  };

  void copy_images(std::int64_t first_image, std::int64_t images);
  void run_pass(std::int64_t pass, std::int64_t first_image, std::int64_t images);
  void fill_stream(const GradientPass& pass, std::int64_t first_image, std::int64_t first_row,
                   std::int64_t end_row);
  void run_stream(const GradientPass& pass, const PassState& state, std::int32_t begin,
                  std::int32_t end) const;
  void find_events(const GradientPass& pass, PassState& state, std::int64_t first_row,
                   std::int64_t end_row);
  [[nodiscard]] std::int64_t chunk_end_pixel(const GradientPass& pass, const SumGroup& group,
                                             std::int64_t chunk) const;
  void flush(const GradientPass& pass, const PassState& state, const SumGroup& group) const;

  const GradientSetup& setup_;
  std::int64_t first_channel_, channels_, first_pass_, passes_;
  std::int64_t slab_images_ = 1;
  std::int64_t chunks_ = 0;
  std::int64_t capacity_ = 0;  ///< entries of the stream
  LaneBuffer<float> grid_copy_, sums_, totals_, values_;
  LaneBuffer<std::int32_t> sum_offsets_, vector_offsets_;
  std::vector<std::int32_t> starts_;
  std::vector<PassState> states_;
  std::vector<Event> events_;
  ScalarStream<float> stream_;
  const float* grid_ = nullptr;
};

}  // namespace narrowmac
