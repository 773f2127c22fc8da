// Gradient GEMMs with sums in memory: a stream of scalars in the order of the pixels.
#include <algorithm>

#include "models/numerics/gradient_run.h"

namespace narrowmac {
namespace {

/// Entries of a stream: with the sums it stays in the L1 cache.
constexpr std::int64_t kStreamEntries = 2048;

class StreamRunner final : public PassRunner {
 public:
  StreamRunner(const GradientSetup& setup, const GradientPass& pass, std::int64_t first_channel,
               std::int64_t channels);
  void run(const float* grid, std::int64_t first_image, std::int64_t images) override;
  [[nodiscard]] const float* results(std::int64_t channel) const override {
    return (totals_.data() != nullptr ? totals_ : sums_).data() +
           (channel - first_channel_) * channel_step_;
  }

 private:
  void fill(std::int64_t first_image, std::int64_t first_row, std::int64_t end_row);
  void multiply(const float* grid, std::int32_t begin, std::int32_t end) const;
  void flush(const SumGroup& group) const;

  const GradientSetup& setup_;
  const GradientPass& pass_;
  std::int64_t first_channel_, channels_;
  std::int64_t channel_step_;  ///< elements of the sums
  std::int64_t band_rows_;
  ChunkEnds chunk_ends_;
  LaneBuffer<float> sums_, totals_, values_;
  LaneBuffer<std::int32_t> sum_offsets_, vector_offsets_;
  ScalarStream<float> stream_;
  std::vector<std::int32_t> starts_;  ///< per pixel of a band: entries before it
};

StreamRunner::StreamRunner(const GradientSetup& setup, const GradientPass& pass,
                           std::int64_t first_channel, std::int64_t channels)
    : setup_(setup),
      pass_(pass),
      first_channel_(first_channel),
      channels_(channels),
      channel_step_(pass.vectors() * setup.kernel.lanes),
      band_rows_(std::max<std::int64_t>(1, kStreamEntries / (pass.columns * channels))),
      chunk_ends_(setup, pass, false),
      starts_(static_cast<std::size_t>(band_rows_ * pass.columns + 1)) {
  const std::int64_t sums = channels * channel_step_;
  sums_ = LaneBuffer<float>(sums);
  std::fill_n(sums_.data(), sums, 0.0F);
  if (setup.chunk_length > 0) {
    totals_ = LaneBuffer<float>(sums);
    std::fill_n(totals_.data(), sums, 0.0F);
  }
  const std::int64_t capacity = band_rows_ * pass.columns * channels + setup.kernel.lanes;
  values_ = LaneBuffer<float>(capacity);
  sum_offsets_ = LaneBuffer<std::int32_t>(capacity);
  vector_offsets_ = LaneBuffer<std::int32_t>(capacity);
  stream_ = {values_.data(), sum_offsets_.data(), vector_offsets_.data()};
}

void StreamRunner::run(const float* grid, std::int64_t first_image, std::int64_t images) {
  const std::int64_t rows = images * pass_.rows;
  const std::int64_t rows_before = first_image * pass_.rows;
  for (std::int64_t first = 0; first < rows; first += band_rows_) {
    const std::int64_t end = std::min(rows, first + band_rows_);
    fill(first_image, first, end);
    std::int32_t done = 0;
    if (setup_.chunk_length > 0) {
      for (const ChunkEnds::Event& event : chunk_ends_.next_band(
               (rows_before + first) * pass_.columns, (rows_before + end) * pass_.columns)) {
        const std::int32_t until = starts_[static_cast<std::size_t>(event.pixel)];
        multiply(grid, done, until);
        done = until;
        flush(pass_.groups[static_cast<std::size_t>(event.group)]);
      }
    }
    multiply(grid, done, starts_[static_cast<std::size_t>((end - first) * pass_.columns)]);
  }
}

void StreamRunner::fill(std::int64_t first_image, std::int64_t first_row, std::int64_t end_row) {
  const GradientLayout& layout = setup_.layout;
  CompressWork<float> work;
  work.pixel_step = pass_.scalar_pixel;
  work.pixel_count = static_cast<std::int32_t>(pass_.columns);
  work.channels = static_cast<std::int32_t>(channels_);
  work.sum_step = static_cast<std::int32_t>(channel_step_);
  work.vector_step = static_cast<std::int32_t>(pass_.vector_pixel);
  work.prefetch = (end_row - first_row) * pass_.scalar_row;
  work.scale = setup_.scalar_scale;
  work.stream = stream_;
  std::int32_t count = 0;
  for (std::int64_t row = first_row; row < end_row; ++row) {
    const std::int64_t image = row / pass_.rows;
    const std::int64_t y = row % pass_.rows;
    const std::int64_t offset = (first_image + image) * layout.scalar_image + pass_.scalar_first +
                                y * pass_.scalar_row + first_channel_;
    work.pixels = layout.scalar_tensor + offset;
    work.readable = layout.scalar_end - offset;
    work.vector_first = static_cast<std::int32_t>(image * layout.grid.image + pass_.vector_first +
                                                  y * pass_.vector_row);
    work.starts = starts_.data() + (row - first_row) * pass_.columns;
    count = setup_.kernel.compress(work, count);
  }
  starts_[static_cast<std::size_t>((end_row - first_row) * pass_.columns)] = count;
}

void StreamRunner::multiply(const float* grid, std::int32_t begin, std::int32_t end) const {
  if (begin == end) return;
  StreamWork<float> work;
  work.stream = stream_;
  work.begin = begin;
  work.end = end;
  work.grid = grid;
  work.sums = sums_.data();
  work.strip_offsets = pass_.strip_offsets.data();
  work.strips = static_cast<int>(pass_.strip_offsets.size());
  work.strip_vectors = pass_.strip_vectors;
  setup_.kernel.run(setup_.first, work);
}

void StreamRunner::flush(const SumGroup& group) const {
  FlushWork<float> work;
  const std::int64_t first = std::int64_t{group.first_vector} * setup_.kernel.lanes;
  work.sums = sums_.data() + first;
  work.totals = totals_.data() + first;
  work.step = channel_step_;
  work.repeats = static_cast<int>(channels_);
  work.count = group.vectors;
  setup_.kernel.flush(setup_.second, work);
}

}  // namespace

std::unique_ptr<PassRunner> make_stream_runner(const GradientSetup& setup, const GradientPass& pass,
                                               std::int64_t first_channel, std::int64_t channels) {
  return std::make_unique<StreamRunner>(setup, pass, first_channel, channels);
}

}  // namespace narrowmac
