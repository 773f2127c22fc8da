#include "models/numerics/gradient_run.h"

#include <algorithm>
#include <cmath>

namespace narrowmac {
namespace {

/// Elements of the images that are copied together: they stay in the L2 cache.
constexpr std::int64_t kSlabElements = 32768;

}  // namespace

GradientSetup::GradientSetup(const GemmProblem& problem, const GemmPlan& plan,
                             GradientScalars scalars)
    : kernel(gradient_stream_kernel(plan)),
      scale_exponent(plan.infinities_in_lanes ? 0 : plan.scale_exponent),
      first(lane_step<float>(problem.mac.accumulator, plan.first, scale_exponent)) {
  first.to_infinity = plan.infinities_in_lanes && plan.first.to_infinity;
  const float scale = std::ldexp(1.0F, scale_exponent);
  (scalars == GradientScalars::B ? scalar_scale : vector_scale) = scale;
  layout = gradient_layout(*as_gradient(problem), scalars, kernel.lanes, vector_scale != 1);
  if (!problem.order.chunk) return;
  chunk_length = problem.order.chunk->length;
  second = lane_step<float>(problem.order.chunk->accumulator, plan.second, scale_exponent);
  second.to_infinity = plan.infinities_in_lanes && plan.second.to_infinity;
}

StreamKernel<float> gradient_stream_kernel(const GemmPlan& plan) {
  if (plan.first.clamp) return select_stream_kernel(plan.first.rounding, LaneBound::Clamp);
  const bool to_infinity = plan.infinities_in_lanes && plan.first.to_infinity;
  return select_stream_kernel(plan.first.rounding,
                              to_infinity ? LaneBound::Infinity : LaneBound::None);
}

GradientBlock::GradientBlock(const GradientSetup& setup, std::int64_t first_channel,
                             std::int64_t channels)
    : setup_(setup) {
  const GradientLayout& layout = setup.layout;
  slab_images_ =
      std::clamp<std::int64_t>(kSlabElements / std::max<std::int64_t>(1, layout.grid.image), 1,
                               layout.problem.patches.images);
  for (const GradientPass& pass : layout.passes) {
    const bool lists = lists_pay(pass, setup.kernel, setup.chunk_length > 0);
    passes_.push_back(lists ? make_list_runner(setup, pass, first_channel, channels)
                            : make_stream_runner(setup, pass, first_channel, channels));
  }
  if (!layout.grid.in_place) {
    // Runs are read in whole vectors: up to one beyond the last image.
    const std::int64_t size = slab_images_ * layout.grid.image + setup.kernel.lanes;
    grid_copy_ = LaneBuffer<float>(size);
    std::fill_n(grid_copy_.data(), size, 0.0F);
  }
}

void GradientBlock::run() {
  const std::int64_t images = setup_.layout.problem.patches.images;
  for (std::int64_t first = 0; first < images; first += slab_images_) {
    const std::int64_t count = std::min(slab_images_, images - first);
    const float* grid = copy_images(first, count);
    for (const std::unique_ptr<PassRunner>& pass : passes_) pass->run(grid, first, count);
  }
}

const float* GradientBlock::copy_images(std::int64_t first_image, std::int64_t images) {
  const VectorGrid& grid = setup_.layout.grid;
  if (grid.in_place) {
    return grid.tensor + first_image * grid.tensor_image +
           (grid.top * grid.tensor_width + grid.left) * grid.tensor_pixel;
  }
  const float scale = setup_.vector_scale;
  const std::int64_t top = std::max<std::int64_t>(0, grid.top);
  const std::int64_t bottom = std::min(grid.tensor_height, grid.top + grid.height);
  const std::int64_t left = std::max<std::int64_t>(0, grid.left);
  const std::int64_t right = std::min(grid.tensor_width, grid.left + grid.width);
  const bool whole_lines = grid.tensor_pixel == grid.channels && grid.pixel == grid.channels;
  const std::int64_t pieces = whole_lines ? 1 : right - left;
  const std::int64_t length = whole_lines ? (right - left) * grid.channels : grid.channels;
  for (std::int64_t image = 0; image < images; ++image) {
    for (std::int64_t y = top; y < bottom; ++y) {
      const float* from = grid.tensor + (first_image + image) * grid.tensor_image +
                          (y * grid.tensor_width + left) * grid.tensor_pixel;
      float* to = grid_copy_.data() + image * grid.image + (y - grid.top) * grid.line +
                  (left - grid.left) * grid.pixel;
      for (std::int64_t piece = 0; piece < pieces; ++piece) {
        for (std::int64_t i = 0; i < length; ++i) to[i] = from[i] * scale;
        from += grid.tensor_pixel;
        to += grid.pixel;
      }
    }
  }
  return grid_copy_.data();
}

ChunkEnds::ChunkEnds(const GradientSetup& setup, const GradientPass& pass, bool together)
    : setup_(setup), pass_(pass), next_(together ? 1 : pass.groups.size(), 0) {
  if (setup.chunk_length > 0) {
    chunks_ = (setup.layout.problem.k() + setup.chunk_length - 1) / setup.chunk_length;
  }
}

std::int64_t ChunkEnds::end_pixel_of(const SumGroup& group, std::int64_t chunk) const {
  const ConvolutionPatches& c = setup_.layout.problem.patches;
  const std::int64_t last =
      std::min((chunk + 1) * setup_.chunk_length, setup_.layout.problem.k()) - 1;
  const std::int64_t image = last / (c.out_height * c.out_width);
  const std::int64_t row = last / c.out_width % c.out_height + group.shift_row;
  const std::int64_t column = last % c.out_width + 1 + group.shift_column;
  const std::int64_t first = image * pass_.rows * pass_.columns;
  if (row < 0) return first;
  if (row >= pass_.rows) return first + pass_.rows * pass_.columns;
  return first + row * pass_.columns + std::clamp<std::int64_t>(column, 0, pass_.columns);
}

const std::vector<ChunkEnds::Event>& ChunkEnds::next_band(std::int64_t first_pixel,
                                                          std::int64_t end_pixel) {
  events_.clear();
  for (std::size_t g = 0; g < next_.size(); ++g) {
    for (; next_[g] < chunks_; ++next_[g]) {
      const std::int64_t pixel = end_pixel_of(pass_.groups[g], next_[g]);
      if (pixel > end_pixel) break;
      events_.push_back({pixel - first_pixel, static_cast<std::int64_t>(g)});
    }
  }
  if (next_.size() > 1) {
    std::sort(events_.begin(), events_.end(),
              [](const Event& left, const Event& right) { return left.pixel < right.pixel; });
  }
  return events_;
}

}  // namespace narrowmac
