// Convolutions, FWD and BWD: every pixel is a list of its non-zero channels, built once; the loop
// over the kernel's taps is outside, that over pixels inside. The accumulators of an image lie in a
// grid with a margin, so that every pixel and tap has a place and no border is tested.
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "models/numerics/lane_gemm.h"
#include "models/numerics/pixel_axis.h"
#include "models/numerics/sparse_gemm.h"
#include "models/numerics/sparse_operands.h"

namespace narrowmac {
namespace {

/// Pixels whose lists and accumulators stay in the nearest caches.
constexpr std::int64_t kBandPixels = 256;

/// Chunks end after so many channels (then they divide the channels), or after so many taps.
std::int64_t channels_per_list(const ConvolutionPatches& c, const AccumulationOrder& order) {
  const std::int64_t chunk = order.chunk ? order.chunk->length : c.channels;
  return std::min({c.channels, chunk, kMaxListLength});
}

template <typename T>
struct PixelPlan {
  SparseContext<T> context;
  ConvolutionPatches c;
  PixelAxis y, x;
  std::int64_t block_channels;  ///< channels of one list
  std::int64_t grid_pixels;     ///< of one panel of a step's grid
  std::int64_t unused_pixel;    ///< behind the grid, whatever the tap
  std::int64_t images;          ///< of a task's step
  std::int64_t band_rows;       ///< rows of the tensor of a band

  PixelPlan(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out)
      : context(problem, plan, out, problem.a.convolution().channels),
        c(problem.a.convolution()),
        y(PixelAxis::vertical(c)),
        x(PixelAxis::horizontal(c)),
        block_channels(channels_per_list(c, problem.order)),
        grid_pixels(0),
        unused_pixel(0),
        images(std::clamp<std::int64_t>(kBandPixels / (c.height * c.width), 1, c.images)),
        band_rows(images > 1 || context.chunked()
                      ? c.height
                      : std::clamp<std::int64_t>(kBandPixels / c.width, 1, c.height)) {
    std::int64_t first = 0;
    std::int64_t last = 0;
    for (std::int64_t tap = 0; tap < taps(); ++tap) {
      first = std::min(first, shift(tap));
      last = std::max(last, shift(tap));
    }
    unused_pixel = images * y.extent * x.extent - first;
    grid_pixels = unused_pixel + last + 1;
    gather();
  }
  [[nodiscard]] std::int64_t taps() const { return c.kernel_height * c.kernel_width; }
  /// From a pixel's place in the grid to the output that a tap adds to.
  [[nodiscard]] std::int64_t shift(std::int64_t tap) const {
    return y.shift(tap / c.kernel_width) * x.extent + x.shift(tap % c.kernel_width);
  }

  [[nodiscard]] std::int64_t bands() const { return (c.height + band_rows - 1) / band_rows; }
  [[nodiscard]] std::int64_t blocks() const {
    return (c.channels + block_channels - 1) / block_channels;
  }
  /// The pixels of a band by their residues: as many of every image, images one after another.
  [[nodiscard]] const RowSet& set(std::int64_t band, std::int64_t residue_y,
                                  std::int64_t residue_x) const {
    return sets_[set_index(band, residue_y, residue_x)];
  }
  [[nodiscard]] bool ends_chunk(std::int64_t k_end) const {
    return context.chunked() &&
           (k_end % context.problem.order.chunk->length == 0 || k_end == context.shape.k);
  }

 private:
  [[nodiscard]] std::size_t set_index(std::int64_t band, std::int64_t residue_y,
                                      std::int64_t residue_x) const {
    return static_cast<std::size_t>((band * c.step + residue_y) * c.step + residue_x);
  }
  void gather() {
    sets_.resize(static_cast<std::size_t>(bands() * c.step * c.step));
    std::vector<std::int64_t> residues(static_cast<std::size_t>(c.width));
    std::vector<std::int64_t> places(residues.size());
    for (std::size_t column = 0; column < residues.size(); ++column) {
      residues[column] = x.residue(static_cast<std::int64_t>(column));
      places[column] = x.place(static_cast<std::int64_t>(column)) - x.low;
    }
    for (std::int64_t line = 0; line < images * c.height; ++line) {
      const std::int64_t row = line % c.height;
      const std::int64_t grid_row = line / c.height * y.extent + y.place(row) - y.low;
      RowSet* line_sets = &sets_[set_index(row / band_rows, y.residue(row), 0)];
      for (std::size_t column = 0; column < residues.size(); ++column) {
        line_sets[residues[column]].add(
            (line * c.width + static_cast<std::int64_t>(column)) * c.channels,
            (grid_row * x.extent + places[column]) * context.kernel.columns);
      }
    }
  }

  std::vector<RowSet> sets_;
};

/// Works on one step's images after another; the storage is kept.
template <typename T>
class PixelWorker {
 public:
  explicit PixelWorker(PixelPlan<T>& plan)
      : plan_(plan),
        panel_size_(plan.grid_pixels * plan.context.kernel.columns),
        size_(panel_size_ * plan.context.b.panels()),
        sums_(size_),
        totals_(plan.context.chunked() ? size_ : 0),
        lists_(static_cast<std::size_t>(plan.c.step * plan.c.step * plan.blocks())) {
    if constexpr (!std::is_same_v<T, float>) {
      copy_ = LaneBuffer<T>(plan.images * plan.c.height * plan.c.width * plan.c.channels);
    }
  }

  void run(std::int64_t first_image, std::int64_t images) {
    const ConvolutionPatches& c = plan_.c;
    std::fill_n(sums_.data(), size_, T{0});
    if (plan_.context.chunked()) std::fill_n(totals_.data(), size_, T{0});
    const T* tensor = load(first_image, images);
    for (std::int64_t i = 0; i < plan_.bands(); ++i) {
      // Taps ascend, and with them the rows that one output meets; BWD meets them backwards.
      const std::int64_t band = c.direction > 0 ? i : plan_.bands() - 1 - i;
      build_lists(tensor, images, band);
      for (std::int64_t tap = 0; tap < plan_.taps(); ++tap) run_tap(tap);
    }
    store(first_image, images);
  }

 private:
  const T* load(std::int64_t first_image, std::int64_t images) {
    const std::int64_t image = plan_.c.height * plan_.c.width * plan_.c.channels;
    const float* tensor = plan_.context.problem.a.float_data() + first_image * image;
    if constexpr (std::is_same_v<T, float>) {
      return tensor;
    } else {
      std::copy_n(tensor, images * image, copy_.data());
      return copy_.data();
    }
  }

  RowLists<T>& lists(std::int64_t residue_y, std::int64_t residue_x, std::int64_t block) {
    return lists_[static_cast<std::size_t>((residue_y * plan_.c.step + residue_x) * plan_.blocks() +
                                           block)];
  }

  void build_lists(const T* tensor, std::int64_t images, std::int64_t band) {
    const ConvolutionPatches& c = plan_.c;
    const auto unused =
        static_cast<std::int32_t>(plan_.unused_pixel * plan_.context.kernel.columns);
    for (std::int64_t ty = 0; ty < std::min(c.step, c.kernel_height); ++ty) {
      for (std::int64_t tx = 0; tx < std::min(c.step, c.kernel_width); ++tx) {
        const std::int64_t ry = plan_.y.tap_residue(ty);
        const std::int64_t rx = plan_.x.tap_residue(tx);
        const RowSet& pixels = plan_.set(band, ry, rx);
        for (std::int64_t block = 0; block < plan_.blocks(); ++block) {
          const std::int64_t first = block * plan_.block_channels;
          const std::int64_t length = std::min(plan_.block_channels, c.channels - first);
          lists(ry, rx, block)
              .build(plan_.context.kernel, tensor + first, pixels,
                     pixels.size() / plan_.images * images,
                     plan_.context.lists(length, c.channels - first, unused));
        }
      }
    }
  }

  void run_tap(std::int64_t tap) {
    const ConvolutionPatches& c = plan_.c;
    const SparseContext<T>& context = plan_.context;
    const std::int64_t ry = plan_.y.tap_residue(tap / c.kernel_width);
    const std::int64_t rx = plan_.x.tap_residue(tap % c.kernel_width);
    const std::int64_t shift = plan_.shift(tap) * context.kernel.columns;
    for (std::int64_t block = 0; block < plan_.blocks(); ++block) {
      const std::vector<RowGroup<T>>& groups = lists(ry, rx, block).groups();
      const std::int64_t k = tap * c.channels + block * plan_.block_channels;
      GroupWork<T> work;
      work.groups = groups.data();
      work.group_count = static_cast<std::int64_t>(groups.size());
      for (std::int64_t panel = 0; panel < context.b.panels(); ++panel) {
        work.b = context.b_row(panel, k);
        work.sums = sums_.data() + panel * panel_size_ + shift;
        context.kernel.run(context.first, work);
      }
      const std::int64_t end = std::min((tap + 1) * c.channels, k + plan_.block_channels);
      if (plan_.ends_chunk(end)) {
        context.kernel.flush(context.second, sums_.data(), totals_.data(), size_);
      }
    }
  }

  void store(std::int64_t first_image, std::int64_t images) {
    const T* results = plan_.context.chunked() ? totals_.data() : sums_.data();
    for (std::int64_t line = 0; line < images * plan_.y.out; ++line) {
      const std::int64_t image = line / plan_.y.out;
      const std::int64_t grid_row = image * plan_.y.extent + line % plan_.y.out - plan_.y.low;
      const std::int64_t row = (first_image * plan_.y.out + line) * plan_.x.out;
      store_line(
          row, results + (grid_row * plan_.x.extent - plan_.x.low) * plan_.context.kernel.columns);
    }
  }

  /// A line of outputs, at once where it has no gaps.
  void store_line(std::int64_t row, const T* line) {
    SparseContext<T>& context = plan_.context;
    const std::int64_t columns = context.kernel.columns;
    const bool gapless = context.shape.n == columns && context.out.row_stride == columns;
    if (gapless && store_values(context.out, row * columns, plan_.x.out * columns, line,
                                context.unscale, context.recompute)) {
      return;
    }
    for (std::int64_t column = 0; column < plan_.x.out; ++column) {
      for (std::int64_t panel = 0; panel < context.b.panels(); ++panel) {
        context.store(row + column, panel * columns,
                      std::min(columns, context.shape.n - panel * columns),
                      line + column * columns + panel * panel_size_);
      }
    }
  }

  PixelPlan<T>& plan_;
  std::int64_t panel_size_, size_;
  LaneBuffer<T> sums_, totals_, copy_;
  std::vector<RowLists<T>> lists_;  ///< by residue and channel block
};

}  // namespace

bool pixels_fit(const GemmProblem& problem) {
  if (!problem.a.is_patches() || problem.a.is_transposed_patches()) return false;
  const ConvolutionPatches& c = problem.a.convolution();
  if (c.step > 1 && c.divisor > 1) return false;
  if (c.channels > kMaxListLength || c.height * c.width * c.channels == 0) return false;
  if (!problem.order.chunk) return true;
  const std::int64_t chunk = problem.order.chunk->length;
  return chunk % c.channels == 0 || c.channels % chunk == 0 || chunk >= problem.shape().k;
}

template <typename T>
void sparse_pixel_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  PixelPlan<T> pixels(problem, plan, out);
  const std::int64_t steps = (pixels.c.images + pixels.images - 1) / pixels.images;
  const std::int64_t tasks =
      std::clamp<std::int64_t>(std::int64_t{4} * tbb::this_task_arena::max_concurrency(), 1, steps);
  tbb::parallel_for(std::int64_t{0}, tasks, [&](std::int64_t task) {
    PixelWorker<T> worker(pixels);
    for (std::int64_t step = task * steps / tasks; step < (task + 1) * steps / tasks; ++step) {
      const std::int64_t first = step * pixels.images;
      if (pixels.context.gave_up()) return;
      worker.run(first, std::min(pixels.images, pixels.c.images - first));
    }
  });
  if (pixels.context.gave_up()) lane_gemm<T>(problem, without_skipping(plan), out);
}

template void sparse_pixel_gemm<float>(const GemmProblem&, const GemmPlan&, const OutputView&);
template void sparse_pixel_gemm<double>(const GemmProblem&, const GemmPlan&, const OutputView&);

}  // namespace narrowmac
