#include "models/numerics/integer_gemm.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "models/numerics/kernel_integer.h"
#include "models/numerics/lane_operands.h"
#include "models/numerics/parallel_rows.h"

namespace narrowmac {
namespace {

using Code = std::int16_t;

template <typename T>
void to_codes(const T* values, std::int64_t count, T scale, Code* codes) {
  for (std::int64_t i = 0; i < count; ++i) {
    codes[i] = static_cast<Code>(static_cast<std::int32_t>(values[i] * scale));
  }
}

/// Row `index` of a dense view (or column, of its transpose), contiguous or not.
void dense_line(const OperandView& view, std::int64_t index, int exponent, Code* codes) {
  const double scale = std::ldexp(1.0, exponent);
  const std::int64_t first = index * view.row_stride();
  const std::int64_t step = view.column_stride();
  if (!view.is_double() && step == 1) {
    to_codes(view.float_data() + first, view.columns(), static_cast<float>(scale), codes);
    return;
  }
  for (std::int64_t i = 0; i < view.columns(); ++i) {
    const double value = view.is_double()
                             ? view.double_data()[first + i * step]
                             : static_cast<double>(view.float_data()[first + i * step]);
    codes[i] = static_cast<Code>(value * scale);
  }
}

/// A as codes: element (m, k) at row(m)[segment.a_offset + (k - segment.k) * step()].
class CodesOfA {
 public:
  CodesOfA(const OperandView& view, std::int64_t chunk_length, int exponent) {
    if (view.is_patches()) {
      const LaneA<float> lane(view, chunk_length);
      codes_ = LaneBuffer<Code>(lane.extent() + 1);
      const auto scale = static_cast<float>(std::ldexp(1.0, exponent));
      for_rows((lane.extent() + 4095) / 4096, 4096, [&](std::int64_t block) {
        const std::int64_t first = block * 4096;
        to_codes(lane.base() + first, std::min<std::int64_t>(4096, lane.extent() - first), scale,
                 codes_.data() + first);
      });
      codes_.data()[lane.extent()] = 0;
      step_ = lane.step();
      segments_ = lane.segments();
      offsets_.resize(static_cast<std::size_t>(view.rows()));
      for (std::size_t m = 0; m < offsets_.size(); ++m) {
        offsets_[m] = lane.row(static_cast<std::int64_t>(m)) - lane.base();
      }
      return;
    }
    // Rows are contiguous whatever the view; one code more, since pairs read beyond odd lengths.
    const std::int64_t length = view.columns();
    codes_ = LaneBuffer<Code>(view.rows() * length + 1);
    for_rows(view.rows(), length,
             [&](std::int64_t m) { dense_line(view, m, exponent, codes_.data() + m * length); });
    codes_.data()[view.rows() * length] = 0;
    for (std::int64_t m = 0; m < view.rows(); ++m) offsets_.push_back(m * length);
    const std::int64_t run = chunk_length > 0 ? chunk_length : std::int64_t{1} << 20;
    for (std::int64_t k = 0; k < length; k += run) {
      Segment segment;
      segment.a_offset = segment.k = k;
      segment.length = static_cast<std::int32_t>(std::min(run, length - k));
      segment.ends_chunk = chunk_length > 0;
      segments_.push_back(segment);
    }
  }
  [[nodiscard]] const Code* row(std::int64_t m) const {
    return codes_.data() + offsets_[static_cast<std::size_t>(m)];
  }
  [[nodiscard]] std::int64_t step() const { return step_; }
  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }

 private:
  LaneBuffer<Code> codes_;
  std::vector<std::int64_t> offsets_;
  std::vector<Segment> segments_;
  std::int64_t step_ = 1;
};

/// The rows of B that one row of a panel holds: one, or two for pairs (the second may be missing).
struct PanelRow {
  std::int64_t k = 0;
  bool paired = false;
};

/// B in panels of `columns` columns. Pairs interleave two rows.
class CodesOfB {
 public:
  CodesOfB(const OperandView& view, int columns, int exponent, const std::vector<PanelRow>& rows,
           bool pairs)
      : step_(pairs ? 2 * columns : columns),
        panel_stride_(static_cast<std::int64_t>(rows.size()) * step_),
        panels_((view.columns() + columns - 1) / columns),
        codes_(std::max<std::int64_t>(1, panels_ * panel_stride_)) {
    const std::int64_t count = std::ssize(rows);
    for_rows(count, view.columns(), [&](std::int64_t row) {
      const PanelRow& from = rows[static_cast<std::size_t>(row)];
      std::vector<Code> lines(static_cast<std::size_t>(2 * panels_ * columns));
      Code* const one = lines.data();
      Code* const two = one + panels_ * columns;
      line(view, from.k, exponent, one);
      if (from.paired) line(view, from.k + 1, exponent, two);
      for (std::int64_t panel = 0; panel < panels_; ++panel) {
        Code* out = codes_.data() + panel * panel_stride_ + row * step_;
        const Code* first = one + panel * columns;
        if (!pairs) {
          std::copy_n(first, columns, out);
          continue;
        }
        const Code* second = two + panel * columns;
        for (std::int64_t c = 0; c < columns; ++c) {
          out[2 * c] = first[c];
          out[2 * c + 1] = second[c];
        }
      }
    });
  }
  [[nodiscard]] const Code* panel(std::int64_t index) const {
    return codes_.data() + index * panel_stride_;
  }
  [[nodiscard]] std::int64_t step() const { return step_; }
  [[nodiscard]] std::int64_t panels() const { return panels_; }

 private:
  static void line(const OperandView& view, std::int64_t k, int exponent, Code* codes) {
    if (!view.is_patches()) return dense_line(view, k, exponent, codes);
    const double scale = std::ldexp(1.0, exponent);
    for (std::int64_t n = 0; n < view.columns(); ++n) {
      codes[n] = static_cast<Code>(view.at(k, n) * scale);
    }
  }

  std::int64_t step_, panel_stride_, panels_;
  LaneBuffer<Code> codes_;
};

/// Segments of pairs, and the rows of B that they meet in order.
std::vector<Segment> pair_segments(const std::vector<Segment>& segments,
                                   std::vector<PanelRow>& rows) {
  std::vector<Segment> pairs;
  for (const Segment& segment : segments) {
    Segment pair;
    pair.a_offset = segment.a_offset;
    pair.k = std::ssize(rows);
    pair.length = (segment.length + 1) / 2;
    for (std::int64_t i = 0; i < segment.length; i += 2) {
      rows.push_back({segment.k + i, i + 1 < segment.length});
    }
    pairs.push_back(pair);
  }
  return pairs;
}

/// A code's value: reduced modulo 2^bits first, if it wraps.
template <typename Sum>
double value_of(Sum code, int wrapped_bits, double quantum) {
  if constexpr (std::is_same_v<Sum, std::int32_t>) {
    if (wrapped_bits > 0) {
      const int unused = 32 - wrapped_bits;
      code = static_cast<std::int32_t>(static_cast<std::uint32_t>(code) << unused) >> unused;
    }
  }
  return static_cast<double>(code) * quantum;
}

template <typename Sum>
class IntegerGrid {
 public:
  IntegerGrid(const GemmProblem& problem, const IntegerPlan& plan, const IntegerKernel<Sum>& kernel)
      : problem_(problem),
        plan_(plan),
        kernel_(kernel),
        chunked_(problem.order.chunk && kSaturating),
        a_(problem.a, chunked_ ? problem.order.chunk->length : 0, plan.a_exponent),
        rows_(panel_rows(problem.shape().k)),
        b_(problem.b, kernel.columns, plan.b_exponent, rows_, !kSaturating),
        row_tiles_((problem.shape().m + kernel.rows - 1) / kernel.rows) {
    if constexpr (kSaturating) set_limits();
  }
  [[nodiscard]] std::int64_t tiles() const { return row_tiles_ * b_.panels(); }

  /// Tiles [begin, end), one after the other down a panel.
  void run(std::int64_t begin, std::int64_t end, const OutputView& out) const {
    const std::int64_t size = std::int64_t{kernel_.rows} * kernel_.columns;
    LaneBuffer<Sum> storage(2 * size);
    for (std::int64_t tile = begin; tile < end; ++tile) {
      std::fill_n(storage.data(), 2 * size, Sum{0});
      const std::int64_t first_row = tile % row_tiles_ * kernel_.rows;
      IntegerWork<Sum> work;
      for (int r = 0; r < kernel_.rows; ++r) {
        work.a_rows[r] = a_.row(std::min(first_row + r, problem_.shape().m - 1));
      }
      work.a_step = a_.step();
      work.b = b_.panel(tile / row_tiles_);
      work.b_step = b_.step();
      work.segments = segments_.data();
      work.segment_count = std::ssize(segments_);
      work.sums = storage.data();
      work.totals = chunked_ ? storage.data() + size : nullptr;
      kernel_.run(limits_, work);
      store(first_row, tile / row_tiles_, chunked_ ? work.totals : work.sums, out);
    }
  }

 private:
  static constexpr bool kSaturating = std::is_same_v<Sum, std::int16_t>;

  std::vector<PanelRow> panel_rows(std::int64_t k) {
    std::vector<PanelRow> rows;
    if constexpr (kSaturating) {
      for (std::int64_t i = 0; i < k; ++i) rows.push_back({i, false});
      segments_ = a_.segments();
    } else {
      segments_ = pair_segments(a_.segments(), rows);
    }
    return rows;
  }
  void set_limits() {
    const auto code = [&](double value) {
      return static_cast<Code>(std::ldexp(value, -plan_.sum_exponent));
    };
    const NumberFormat& first = problem_.mac.accumulator.format;
    limits_.low = code(first.lowest_value());
    limits_.high = code(first.max_value());
    if (!chunked_) return;
    const NumberFormat& second = problem_.order.chunk->accumulator.format;
    limits_.second_low = code(second.lowest_value());
    limits_.second_high = code(second.max_value());
  }
  void store(std::int64_t first_row, std::int64_t panel, const Sum* codes,
             const OutputView& out) const {
    const GemmShape shape = problem_.shape();
    const std::int64_t first_column = panel * kernel_.columns;
    const std::int64_t rows = std::min<std::int64_t>(kernel_.rows, shape.m - first_row);
    const std::int64_t columns = std::min<std::int64_t>(kernel_.columns, shape.n - first_column);
    const double quantum = std::ldexp(1.0, plan_.sum_exponent);
    for (std::int64_t r = 0; r < rows; ++r) {
      const Sum* line = codes + r * kernel_.columns;
      for (std::int64_t c = 0; c < columns; ++c) {
        out.store(first_row + r, first_column + c, value_of(line[c], plan_.wrapped_bits, quantum));
      }
    }
  }

  const GemmProblem& problem_;
  const IntegerPlan& plan_;
  const IntegerKernel<Sum>& kernel_;
  bool chunked_;
  CodesOfA a_;
  std::vector<Segment> segments_;
  std::vector<PanelRow> rows_;
  CodesOfB b_;
  std::int64_t row_tiles_;
  IntegerLimits limits_;
};

template <typename Sum>
void run_grid(const GemmProblem& problem, const IntegerPlan& plan, const IntegerKernel<Sum>& kernel,
              const OutputView& out) {
  const IntegerGrid<Sum> grid(problem, plan, kernel);
  const std::int64_t per_task = std::clamp<std::int64_t>(
      grid.tiles() / (std::int64_t{4} * tbb::this_task_arena::max_concurrency()), 1, 32);
  const std::int64_t tasks = (grid.tiles() + per_task - 1) / per_task;
  tbb::parallel_for(std::int64_t{0}, tasks, [&](std::int64_t task) {
    grid.run(task * per_task, std::min(grid.tiles(), (task + 1) * per_task), out);
  });
}

}  // namespace

bool integer_lanes_apply(const GemmProblem& problem, const GemmPlan& plan) {
  switch (plan.integers.lanes) {
    case IntegerPlan::Lanes::Saturating16:
      return true;
    case IntegerPlan::Lanes::Pairs32:
      // Pairs need neighbours in memory, which the rows of a gradient's patches do not have.
      return !problem.a.is_transposed_patches();
    default:
      return false;
  }
}

void integer_gemm(const GemmProblem& problem, const GemmPlan& plan, const OutputView& out) {
  const GemmShape shape = problem.shape();
  if (shape.m == 0 || shape.n == 0) return;
  if (plan.integers.lanes == IntegerPlan::Lanes::Pairs32) {
    run_grid(problem, plan.integers, select_pair_tile(shape.n), out);
    return;
  }
  const bool narrower = problem.mac.accumulator.format.width < 16;
  run_grid(problem, plan.integers, select_saturating_tile(shape.n, narrower), out);
}

}  // namespace narrowmac
