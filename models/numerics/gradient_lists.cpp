// Gradient GEMMs with sums in registers: a list of scalars for every channel.
#include <hwy/cache_control.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "models/numerics/gradient_run.h"

namespace narrowmac {
namespace {

/// Pixels of a band: lists long enough to pay the loading of the sums.
constexpr std::int64_t kMinPixels = 64;
constexpr std::int64_t kMaxPixels = 512;
/// Elements of the grid that a band reads: they stay in the L1 cache.
constexpr std::int64_t kBandElements = 6144;
/// Vectors at once where no other tap reads them again from the L1 cache: the band's must fit
/// there.
constexpr int kSingleTapVectors = 9;
/// A product whose sum passes through memory costs this many of one whose sum is in a register.
constexpr double kMemoryCost = 1.4;

class ListRunner final : public PassRunner {
 public:
  ListRunner(const GradientSetup& setup, const GradientPass& pass, std::int64_t first_channel,
             std::int64_t channels);
  void run(const float* grid, std::int64_t first_image, std::int64_t images) override;
  [[nodiscard]] const float* results(std::int64_t channel) const override {
    return (totals_.data() != nullptr ? totals_ : sums_).data() +
           (channel - first_channel_) * channel_step_;
  }

 private:
  void find_band_rows();
  void fill(std::int64_t first_image, std::int64_t first_row, std::int64_t end_row);
  void find_cuts(std::int64_t rows_before, std::int64_t first_row, std::int64_t end_row);
  void list_channels();
  void prefetch(std::int64_t row) const;
  void multiply(const float* grid);
  void set_list(ListRun<float>& run, int list, std::int64_t position, std::int64_t first_sum);
  void sort_channels();

  const GradientSetup& setup_;
  const GradientPass& pass_;
  std::int64_t first_channel_, channels_;
  std::vector<int> widths_;
  std::int64_t channel_step_ = 0;  ///< elements of the sums
  std::int64_t band_rows_ = 1;
  std::int64_t list_step_ = 0;         ///< entries from list to list
  std::vector<std::int64_t> offsets_;  ///< of the vectors
  ChunkEnds chunk_ends_;
  LaneBuffer<float> sums_, totals_, scalars_, values_;
  LaneBuffer<std::int32_t> pixel_offsets_, vectors_;
  std::vector<std::int32_t> cuts_;  ///< pixels before each segment's end
  int chunk_cuts_ = 0;              ///< so many first segments end a chunk
  std::vector<std::int32_t> ends_;  ///< channels x segments: entries before each segment's end
  std::vector<std::int32_t> none_;  ///< ends of an empty list
  std::vector<std::int64_t> order_;
};

ListRunner::ListRunner(const GradientSetup& setup, const GradientPass& pass,
                       std::int64_t first_channel, std::int64_t channels)
    : setup_(setup),
      pass_(pass),
      first_channel_(first_channel),
      channels_(channels),
      widths_(list_widths(pass, setup.kernel)),
      chunk_ends_(setup, pass, true) {
  const std::int64_t lanes = setup.kernel.lanes;
  for (const std::int64_t strip : pass.strip_offsets) {
    for (int v = 0; v < pass.strip_vectors; ++v) offsets_.push_back(strip + v * lanes);
  }
  std::int64_t vectors = 0;
  for (const int width : widths_) vectors += setup.kernel.list_kernels[width].vectors;
  // The last run's vectors beyond the pass's own are computed and not used.
  offsets_.resize(static_cast<std::size_t>(vectors), offsets_.front());
  channel_step_ = vectors * lanes;
  for (std::int64_t channel = 0; channel < channels; ++channel) order_.push_back(channel);
  // One more channel for the sums of empty lists.
  const std::int64_t sums = (channels + 1) * channel_step_;
  sums_ = LaneBuffer<float>(sums);
  std::fill_n(sums_.data(), sums, 0.0F);
  if (setup.chunk_length > 0) {
    totals_ = LaneBuffer<float>(sums);
    std::fill_n(totals_.data(), sums, 0.0F);
  }
  find_band_rows();
  list_step_ = (band_rows_ * pass.columns + 2 * lanes - 1) / lanes * lanes;
  scalars_ = LaneBuffer<float>(channels * list_step_);
  values_ = LaneBuffer<float>(channels * list_step_);
  vectors_ = LaneBuffer<std::int32_t>(channels * list_step_);
  pixel_offsets_ = LaneBuffer<std::int32_t>(list_step_);
  std::fill_n(scalars_.data(), channels * list_step_, 0.0F);
  std::fill_n(pixel_offsets_.data(), list_step_, 0);
}

void ListRunner::find_band_rows() {
  const std::int64_t widest =
      std::int64_t{setup_.kernel.list_kernels[widths_.front()].vectors} * setup_.kernel.lanes;
  const std::int64_t pixel =
      pass_.rows * pass_.columns == 1 ? widest : std::min(widest, pass_.vector_row / pass_.columns);
  const std::int64_t pixels =
      std::clamp(kBandElements / std::max<std::int64_t>(1, pixel), kMinPixels, kMaxPixels);
  band_rows_ = std::max<std::int64_t>(1, pixels / pass_.columns);
}

void ListRunner::run(const float* grid, std::int64_t first_image, std::int64_t images) {
  const std::int64_t rows = images * pass_.rows;
  for (std::int64_t first = 0; first < rows; first += band_rows_) {
    const std::int64_t end = std::min(rows, first + band_rows_);
    fill(first_image, first, end);
    find_cuts(first_image * pass_.rows, first, end);
    list_channels();
    if (first == 0) sort_channels();
    prefetch(first_image * pass_.rows + end);
    multiply(grid);
  }
}

void ListRunner::fill(std::int64_t first_image, std::int64_t first_row, std::int64_t end_row) {
  const GradientLayout& layout = setup_.layout;
  TransposeWork<float> work;
  work.pixel_step = pass_.scalar_pixel;
  work.pixel_count = pass_.columns;
  work.channels = channels_;
  work.scale = setup_.scalar_scale;
  work.row_step = list_step_;
  const bool one_run = pass_.scalar_row == pass_.columns * pass_.scalar_pixel &&
                       layout.scalar_image == pass_.rows * pass_.scalar_row;
  if (one_run) work.pixel_count *= end_row - first_row;
  std::int32_t* offsets = pixel_offsets_.data();
  for (std::int64_t row = first_row; row < end_row; ++row) {
    const std::int64_t image = row / pass_.rows;
    const std::int64_t y = row % pass_.rows;
    if (row == first_row || !one_run) {
      work.pixels = layout.scalar_tensor + (first_image + image) * layout.scalar_image +
                    pass_.scalar_first + y * pass_.scalar_row + first_channel_;
      work.rows = scalars_.data() + (row - first_row) * pass_.columns;
      setup_.kernel.transpose(work);
    }
    auto offset = static_cast<std::int32_t>(image * layout.grid.image + pass_.vector_first +
                                            y * pass_.vector_row);
    for (std::int64_t x = 0; x < pass_.columns; ++x) {
      *offsets++ = offset;
      offset += static_cast<std::int32_t>(pass_.vector_pixel);
    }
  }
}

void ListRunner::find_cuts(std::int64_t rows_before, std::int64_t first_row, std::int64_t end_row) {
  cuts_.clear();
  const auto pixels = static_cast<std::int32_t>((end_row - first_row) * pass_.columns);
  if (setup_.chunk_length > 0) {
    for (const ChunkEnds::Event& event : chunk_ends_.next_band(
             (rows_before + first_row) * pass_.columns, (rows_before + end_row) * pass_.columns)) {
      cuts_.push_back(static_cast<std::int32_t>(event.pixel));
    }
  }
  chunk_cuts_ = static_cast<int>(cuts_.size());
  if (cuts_.empty() || cuts_.back() != pixels) cuts_.push_back(pixels);
}

void ListRunner::list_channels() {
  ends_.resize(static_cast<std::size_t>(channels_) * cuts_.size());
  std::int32_t* end = ends_.data();
  for (std::int64_t channel = 0; channel < channels_; ++channel) {
    const std::int64_t first = channel * list_step_;
    const ScalarList<float> list = {values_.data() + first, vectors_.data() + first};
    std::int32_t length = 0;
    std::int32_t from = 0;
    for (const std::int32_t cut : cuts_) {
      length = setup_.kernel.append(scalars_.data() + first + from, pixel_offsets_.data() + from,
                                    cut - from, list, length);
      from = cut;
      *end++ = length;
    }
  }
}

/// Asks for the scalars of the band that begins with this row of all images: they come meanwhile.
void ListRunner::prefetch(std::int64_t row) const {
  constexpr std::int64_t kLine = 16;
  const GradientLayout& layout = setup_.layout;
  const std::int64_t end = std::min(row + band_rows_, layout.problem.patches.images * pass_.rows);
  for (; row < end; ++row) {
    const float* pixel = layout.scalar_tensor + row / pass_.rows * layout.scalar_image +
                         pass_.scalar_first + row % pass_.rows * pass_.scalar_row + first_channel_;
    for (std::int64_t x = 0; x < pass_.columns; ++x, pixel += pass_.scalar_pixel) {
      for (std::int64_t c = 0; c < channels_; c += kLine) hwy::Prefetch(pixel + c);
    }
  }
}

void ListRunner::multiply(const float* grid) {
  ListRun<float> run;
  run.segments = static_cast<int>(cuts_.size());
  run.chunk_ends = chunk_cuts_;
  run.grid = grid;
  run.offsets = offsets_.data();
  none_.assign(cuts_.size(), 0);
  std::int64_t first_sum = 0;
  for (const int width : widths_) {
    const ListKernel<float>& kernel = setup_.kernel.list_kernels[width];
    for (std::int64_t first = 0; first < channels_; first += kernel.lists) {
      for (int l = 0; l < kernel.lists; ++l) set_list(run, l, first + l, first_sum);
      kernel.run(setup_.first, setup_.second, run);
    }
    run.offsets += kernel.vectors;
    first_sum += std::int64_t{kernel.vectors} * setup_.kernel.lanes;
  }
}

/// Beyond the last channel: an empty list, whose sums are not used.
void ListRunner::set_list(ListRun<float>& run, int list, std::int64_t position,
                          std::int64_t first_sum) {
  std::int64_t sums = channels_ * channel_step_;
  if (position < channels_) {
    const std::int64_t channel = order_[static_cast<std::size_t>(position)];
    run.lists[list] = {values_.data() + channel * list_step_,
                       vectors_.data() + channel * list_step_};
    run.ends[list] = ends_.data() + channel * run.segments;
    sums = channel * channel_step_ + first_sum;
  } else {
    run.lists[list] = {values_.data(), vectors_.data()};
    run.ends[list] = none_.data();
  }
  run.sums[list] = sums_.data() + sums;
  if (setup_.chunk_length > 0) run.totals[list] = totals_.data() + sums;
}

/// Channels of similar counts go side by side.
void ListRunner::sort_channels() {
  const std::size_t segments = cuts_.size();
  const auto length = [&](std::int64_t channel) {
    return ends_[static_cast<std::size_t>(channel + 1) * segments - 1];
  };
  std::sort(order_.begin(), order_.end(),
            [&](std::int64_t left, std::int64_t right) { return length(left) < length(right); });
}

}  // namespace

std::vector<int> list_widths(const GradientPass& pass, const StreamKernel<float>& kernel) {
  const std::int64_t vectors = pass.vectors();
  const int widest = pass.groups.size() > 1 ? std::numeric_limits<int>::max() : kSingleTapVectors;
  const auto* const begin = std::begin(kernel.list_kernels);
  const auto* const end = std::find_if(
      begin, std::end(kernel.list_kernels),
      [&](const auto& entry) { return entry.run == nullptr || entry.vectors > widest; });
  std::vector<int> best;
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const auto* main = end; main != begin;) {
    --main;
    std::vector<int> widths(static_cast<std::size_t>(vectors / main->vectors),
                            static_cast<int>(main - begin));
    const std::int64_t rest = vectors % main->vectors;
    std::int64_t total = vectors - rest;
    if (rest > 0) {
      const auto* last =
          std::find_if(begin, end, [&](const auto& entry) { return entry.vectors >= rest; });
      widths.push_back(static_cast<int>(last - begin));
      total += last->vectors;
    }
    if (total >= least) continue;
    least = total;
    best = std::move(widths);
  }
  return best;
}

std::int64_t list_vectors(const GradientPass& pass, const StreamKernel<float>& kernel) {
  std::int64_t total = 0;
  for (const int width : list_widths(pass, kernel)) total += kernel.list_kernels[width].vectors;
  return total;
}

bool lists_pay(const GradientPass& pass, const StreamKernel<float>& kernel, bool chunked) {
  const auto same_shift = [&](const SumGroup& group) {
    return group.shift_row == pass.groups.front().shift_row &&
           group.shift_column == pass.groups.front().shift_column;
  };
  if (chunked && !std::all_of(pass.groups.begin(), pass.groups.end(), same_shift)) return false;
  return static_cast<double>(list_vectors(pass, kernel)) <=
         kMemoryCost * static_cast<double>(pass.vectors());
}

std::unique_ptr<PassRunner> make_list_runner(const GradientSetup& setup, const GradientPass& pass,
                                             std::int64_t first_channel, std::int64_t channels) {
  return std::make_unique<ListRunner>(setup, pass, first_channel, channels);
}

}  // namespace narrowmac
