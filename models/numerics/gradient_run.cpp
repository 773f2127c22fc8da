#include "models/numerics/gradient_run.h"

#include <algorithm>
#include <cmath>

namespace narrowmac {
namespace {

/// Elements of the images that are copied together: they stay in the L2 cache.
constexpr std::int64_t kSlabElements = 32768;
/// Entries of a stream: with the sums it stays in the L1 cache.
constexpr std::int64_t kStreamEntries = 2048;

}  // namespace

GradientSetup::GradientSetup(const GemmProblem& problem, const GemmPlan& plan,
                             GradientScalars scalars)
    : kernel(select_stream_kernel(plan.first.rounding, plan.first.clamp)),
      first(lane_step<float>(problem.mac.accumulator, plan.first, plan.scale_exponent)) {
  const float scale = std::ldexp(1.0F, plan.scale_exponent);
  (scalars == GradientScalars::B ? scalar_scale : vector_scale) = scale;
  layout = gradient_layout(*as_gradient(problem), scalars, kernel.lanes, vector_scale != 1);
  if (problem.order.chunk) {
    chunk_length = problem.order.chunk->length;
    second = lane_step<float>(problem.order.chunk->accumulator, plan.second, plan.scale_exponent);
  }
}

GradientBlock::GradientBlock(const GradientSetup& setup, std::int64_t first_channel,
                             std::int64_t channels, std::int64_t first_pass, std::int64_t passes)
    : setup_(setup),
      first_channel_(first_channel),
      channels_(channels),
      first_pass_(first_pass),
      passes_(passes) {
  const GradientLayout& layout = setup.layout;
  const std::int64_t lanes = setup.kernel.lanes;
  slab_images_ =
      std::clamp<std::int64_t>(kSlabElements / std::max<std::int64_t>(1, layout.grid.image), 1,
                               layout.problem.patches.images);
  std::int64_t sums = 0;
  std::int64_t longest_row = 1;
  for (std::int64_t pass = first_pass; pass < first_pass + passes; ++pass) {
    const GradientPass& work = layout.passes[static_cast<std::size_t>(pass)];
    states_.push_back({sums, std::vector<std::int64_t>(work.groups.size(), 0)});
    sums += channels * work.vectors() * lanes;
    longest_row = std::max(longest_row, work.columns);
  }
  sums_ = LaneBuffer<float>(sums);
  std::fill_n(sums_.data(), sums, 0.0F);
  if (setup.chunk_length > 0) {
    totals_ = LaneBuffer<float>(sums);
    std::fill_n(totals_.data(), sums, 0.0F);
    chunks_ = (layout.problem.k() + setup.chunk_length - 1) / setup.chunk_length;
  }
  capacity_ = std::max(kStreamEntries, longest_row * channels);
  values_ = LaneBuffer<float>(capacity_ + lanes);
  sum_offsets_ = LaneBuffer<std::int32_t>(capacity_ + lanes);
  vector_offsets_ = LaneBuffer<std::int32_t>(capacity_ + lanes);
  stream_ = {values_.data(), sum_offsets_.data(), vector_offsets_.data()};
  starts_.resize(static_cast<std::size_t>(capacity_ / channels + 1));
  if (!layout.grid.in_place) {
    // Runs are read in whole vectors: up to one beyond the last image.
    const std::int64_t size = slab_images_ * layout.grid.image + lanes;
    grid_copy_ = LaneBuffer<float>(size);
    std::fill_n(grid_copy_.data(), size, 0.0F);
  }
}

const float* GradientBlock::results(std::int64_t channel, std::int64_t pass) const {
  const GradientPass& work = setup_.layout.passes[static_cast<std::size_t>(pass)];
  const PassState& state = states_[static_cast<std::size_t>(pass - first_pass_)];
  return (setup_.chunk_length > 0 ? totals_ : sums_).data() + state.sums_first +
         (channel - first_channel_) * work.vectors() * setup_.kernel.lanes;
}

void GradientBlock::run() {
  const std::int64_t images = setup_.layout.problem.patches.images;
  for (std::int64_t first = 0; first < images; first += slab_images_) {
    const std::int64_t count = std::min(slab_images_, images - first);
    copy_images(first, count);
    for (std::int64_t pass = 0; pass < passes_; ++pass) run_pass(pass, first, count);
  }
}

void GradientBlock::copy_images(std::int64_t first_image, std::int64_t images) {
  const VectorGrid& grid = setup_.layout.grid;
  if (grid.in_place) {
    grid_ = grid.tensor + first_image * grid.tensor_image +
            (grid.top * grid.tensor_width + grid.left) * grid.tensor_pixel;
    return;
  }
  grid_ = grid_copy_.data();
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
}

void GradientBlock::run_pass(std::int64_t pass, std::int64_t first_image, std::int64_t images) {
  const GradientPass& work = setup_.layout.passes[static_cast<std::size_t>(first_pass_ + pass)];
  PassState& state = states_[static_cast<std::size_t>(pass)];
  const std::int64_t rows = images * work.rows;
  const std::int64_t band = std::max<std::int64_t>(1, capacity_ / (work.columns * channels_));
  for (std::int64_t first = 0; first < rows; first += band) {
    const std::int64_t end = std::min(rows, first + band);
    fill_stream(work, first_image, first, end);
    const std::int32_t entries = starts_[static_cast<std::size_t>((end - first) * work.columns)];
    std::int32_t done = 0;
    if (setup_.chunk_length > 0) {
      find_events(work, state, first_image * work.rows + first, first_image * work.rows + end);
      for (const Event& event : events_) {
        const std::int32_t until = starts_[static_cast<std::size_t>(event.pixel)];
        run_stream(work, state, done, until);
        done = until;
        flush(work, state, work.groups[static_cast<std::size_t>(event.group)]);
      }
    }
    run_stream(work, state, done, entries);
  }
}

void GradientBlock::fill_stream(const GradientPass& pass, std::int64_t first_image,
                                std::int64_t first_row, std::int64_t end_row) {
  const GradientLayout& layout = setup_.layout;
  CompressWork<float> work;
  work.pixel_step = pass.scalar_pixel;
  work.pixel_count = static_cast<std::int32_t>(pass.columns);
  work.channels = static_cast<std::int32_t>(channels_);
  work.sum_step = static_cast<std::int32_t>(pass.vectors() * setup_.kernel.lanes);
  work.vector_step = static_cast<std::int32_t>(pass.vector_pixel);
  work.scale = setup_.scalar_scale;
  work.stream = stream_;
  std::int32_t count = 0;
  for (std::int64_t row = first_row; row < end_row; ++row) {
    const std::int64_t image = row / pass.rows;
    const std::int64_t y = row % pass.rows;
    const std::int64_t offset = (first_image + image) * layout.scalar_image + pass.scalar_first +
                                y * pass.scalar_row + first_channel_;
    work.pixels = layout.scalar_tensor + offset;
    work.readable = layout.scalar_end - offset;
    work.vector_first = static_cast<std::int32_t>(image * layout.grid.image + pass.vector_first +
                                                  y * pass.vector_row);
    work.starts = starts_.data() + (row - first_row) * pass.columns;
    count = setup_.kernel.compress(work, count);
  }
  starts_[static_cast<std::size_t>((end_row - first_row) * pass.columns)] = count;
}

void GradientBlock::run_stream(const GradientPass& pass, const PassState& state, std::int32_t begin,
                               std::int32_t end) const {
  if (begin == end) return;
  StreamWork<float> work;
  work.stream = stream_;
  work.begin = begin;
  work.end = end;
  work.grid = grid_;
  work.sums = sums_.data() + state.sums_first;
  work.strip_offsets = pass.strip_offsets.data();
  work.strips = static_cast<int>(pass.strip_offsets.size());
  work.strip_vectors = pass.strip_vectors;
  setup_.kernel.run(setup_.first, work);
}

std::int64_t GradientBlock::chunk_end_pixel(const GradientPass& pass, const SumGroup& group,
                                            std::int64_t chunk) const {
  const ConvolutionPatches& c = setup_.layout.problem.patches;
  const std::int64_t last =
      std::min((chunk + 1) * setup_.chunk_length, setup_.layout.problem.k()) - 1;
  const std::int64_t image = last / (c.out_height * c.out_width);
  const std::int64_t row = last / c.out_width % c.out_height + group.shift_row;
  const std::int64_t column = last % c.out_width + 1 + group.shift_column;
  const std::int64_t first = image * pass.rows * pass.columns;
  if (row < 0) return first;
  if (row >= pass.rows) return first + pass.rows * pass.columns;
  return first + row * pass.columns + std::clamp<std::int64_t>(column, 0, pass.columns);
}

void GradientBlock::find_events(const GradientPass& pass, PassState& state, std::int64_t first_row,
                                std::int64_t end_row) {
  events_.clear();
  const std::int64_t first_pixel = first_row * pass.columns;
  const std::int64_t end_pixel = end_row * pass.columns;
  for (std::size_t g = 0; g < pass.groups.size(); ++g) {
    std::int64_t& chunk = state.next_chunk[g];
    for (; chunk < chunks_; ++chunk) {
      const std::int64_t pixel = chunk_end_pixel(pass, pass.groups[g], chunk);
      if (pixel > end_pixel) break;
      events_.push_back({pixel - first_pixel, static_cast<std::int64_t>(g)});
    }
  }
  std::sort(events_.begin(), events_.end(),
            [](const Event& left, const Event& right) { return left.pixel < right.pixel; });
}

void GradientBlock::flush(const GradientPass& pass, const PassState& state,
                          const SumGroup& group) const {
  FlushWork<float> work;
  const std::int64_t first =
      state.sums_first + std::int64_t{group.first_vector} * setup_.kernel.lanes;
  work.sums = sums_.data() + first;
  work.totals = totals_.data() + first;
  work.step = pass.vectors() * setup_.kernel.lanes;
  work.repeats = static_cast<int>(channels_);
  work.count = group.vectors;
  setup_.kernel.flush(setup_.second, work);
}

}  // namespace narrowmac
