#include "models/numerics/lane_operands.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "models/numerics/parallel_rows.h"

namespace narrowmac {
namespace {

template <typename T>
const T* source_of(const OperandView& view) {
  if constexpr (std::is_same_v<T, float>) {
    return view.float_data();
  } else {
    return view.double_data();
  }
}

/// copy_n in pieces of a fixed size: runs are too short for a call each.
template <typename T>
void copy_run(const T* from, std::int64_t count, T* to) {
  constexpr std::int64_t kPiece = 8;
  std::int64_t i = 0;
  for (; i + kPiece <= count; i += kPiece) std::memcpy(to + i, from + i, kPiece * sizeof(T));
  for (; i < count; ++i) to[i] = from[i];
}

/// Reads element (row, column) of a dense view whatever its type.
template <typename T>
T dense_element(const OperandView& view, std::int64_t row, std::int64_t column) {
  const std::int64_t index = row * view.row_stride() + column * view.column_stride();
  return view.is_double() ? static_cast<T>(view.double_data()[index])
                          : static_cast<T>(view.float_data()[index]);
}

/// `count` elements of a row of B, from `column` on.
template <typename T>
void pack_line(const OperandView& view, std::int64_t row, std::int64_t column, std::int64_t count,
               T* to) {
  const T* source = view.is_patches() ? nullptr : source_of<T>(view);
  if (view.is_patches()) {
    for (std::int64_t j = 0; j < count; ++j) to[j] = static_cast<T>(view.at(row, column + j));
  } else if (source != nullptr && view.column_stride() == 1) {
    copy_run(source + row * view.row_stride() + column, count, to);
  } else {
    for (std::int64_t j = 0; j < count; ++j) to[j] = dense_element<T>(view, row, column + j);
  }
}

}  // namespace

template <typename T>
LaneA<T>::LaneA(const OperandView& view, std::int64_t chunk_length)
    : chunk_length_(chunk_length), total_k_(view.columns()) {
  if (view.is_patches()) {
    use_patches(view);
  } else {
    use_dense(view);
  }
}

template <typename T>
void LaneA<T>::add_run(std::int64_t offset, std::int64_t length) {
  while (length > 0) {
    std::int64_t piece = std::min<std::int64_t>(length, 1 << 20);
    if (chunk_length_ > 0) piece = std::min(piece, chunk_length_ - next_k_ % chunk_length_);
    Segment segment;
    segment.a_offset = offset;
    segment.k = next_k_;
    segment.length = static_cast<std::int32_t>(piece);
    next_k_ += piece;
    segment.ends_chunk = chunk_length_ > 0 && (next_k_ % chunk_length_ == 0 || next_k_ == total_k_);
    segments_.push_back(segment);
    offset += piece * step_;
    length -= piece;
  }
}

template <typename T>
void LaneA<T>::use_dense(const OperandView& view) {
  rows_ = Rows::Dense;
  base_ = source_of<T>(view);
  row_stride_ = view.row_stride();
  step_ = view.column_stride();
  if (base_ == nullptr) {
    // Another element type: a copy in the view's own orientation.
    const bool by_rows = view.column_stride() <= view.row_stride();
    const std::int64_t outer = by_rows ? view.rows() : view.columns();
    const std::int64_t inner = by_rows ? view.columns() : view.rows();
    copy_ = LaneBuffer<T>(std::max<std::int64_t>(1, outer * inner));
    T* out = copy_.data();
    for_rows(outer, inner, [&](std::int64_t o) {
      for (std::int64_t i = 0; i < inner; ++i) {
        out[o * inner + i] = by_rows ? dense_element<T>(view, o, i) : dense_element<T>(view, i, o);
      }
    });
    base_ = out;
    row_stride_ = by_rows ? inner : 1;
    step_ = by_rows ? 1 : inner;
  }
  add_run(0, total_k_);
}

template <typename T>
std::int64_t LaneA<T>::position_offset(std::int64_t position) const {
  const ConvolutionPatches& c = convolution_;
  // Divisions are slow, and this is done for every row of every tile.
  const std::int64_t line = position / c.out_width;
  const std::int64_t x = position - line * c.out_width;
  const std::int64_t image = line / c.out_height;
  const std::int64_t y = line - image * c.out_height;
  const std::int64_t grid_y = image * grid_height_ + y * c.step + c.offset_y - grid_top_;
  return (grid_y * grid_width_ + x * c.step + c.offset_x - grid_left_) * c.channels;
}

template <typename T>
std::int64_t LaneA<T>::tap_offset(std::int64_t tap) const {
  const ConvolutionPatches& c = convolution_;
  const std::int64_t channel = tap % c.channels;
  const std::int64_t kernel_column = tap / c.channels % c.kernel_width;
  const std::int64_t kernel_row = tap / (c.channels * c.kernel_width);
  return c.direction * (kernel_row * grid_width_ + kernel_column) * c.channels + channel;
}

template <typename T>
void LaneA<T>::pad_tensor(const float* tensor) {
  const ConvolutionPatches& c = convolution_;
  const std::int64_t line = grid_width_ * c.channels;
  copy_ = LaneBuffer<T>(std::max<std::int64_t>(1, c.images * grid_height_ * line));
  for_rows(c.images * grid_height_, line, [&](std::int64_t row) {
    T* out = copy_.data() + row * line;
    std::fill_n(out, line, T{0});
    const std::int64_t image = row / grid_height_;
    const std::int64_t numerator = row % grid_height_ + grid_top_;
    if (numerator < 0 || numerator % c.divisor != 0 || numerator / c.divisor >= c.height) return;
    const float* in = tensor + (image * c.height + numerator / c.divisor) * c.width * c.channels;
    const std::int64_t first = std::max<std::int64_t>(0, (grid_left_ + c.divisor - 1) / c.divisor);
    for (std::int64_t x = first; x < c.width && x * c.divisor - grid_left_ < grid_width_; ++x) {
      T* pixel = out + (x * c.divisor - grid_left_) * c.channels;
      std::copy_n(in + x * c.channels, c.channels, pixel);
    }
  });
  base_ = copy_.data();
}

template <typename T>
void LaneA<T>::use_patches(const OperandView& view) {
  convolution_ = view.convolution();
  const ConvolutionPatches& c = convolution_;
  const auto low = [&](std::int64_t offset, std::int64_t kernel) {
    return offset + std::min<std::int64_t>(0, c.direction * (kernel - 1));
  };
  const auto high = [&](std::int64_t offset, std::int64_t kernel, std::int64_t out) {
    return (out - 1) * c.step + offset + std::max<std::int64_t>(0, c.direction * (kernel - 1));
  };
  grid_top_ = low(c.offset_y, c.kernel_height);
  grid_left_ = low(c.offset_x, c.kernel_width);
  grid_height_ = high(c.offset_y, c.kernel_height, c.out_height) - grid_top_ + 1;
  grid_width_ = high(c.offset_x, c.kernel_width, c.out_width) - grid_left_ + 1;
  // Without margins the tensor itself is the grid, also where outputs do not reach its far sides.
  const bool in_place = std::is_same_v<T, float> && c.divisor == 1 && grid_top_ == 0 &&
                        grid_left_ == 0 && grid_height_ <= c.height && grid_width_ <= c.width;
  if (in_place) {
    grid_height_ = c.height;
    grid_width_ = c.width;
    base_ = source_of<T>(view);
  } else {
    pad_tensor(view.float_data());
  }
  if (!view.is_transposed_patches()) {
    rows_ = Rows::Positions;
    step_ = 1;
    for (std::int64_t row = 0; row < c.kernel_height; ++row) {
      if (c.direction == 1) {
        add_run(tap_offset(row * c.kernel_width * c.channels), c.kernel_width * c.channels);
        continue;
      }
      for (std::int64_t column = 0; column < c.kernel_width; ++column) {
        add_run(tap_offset((row * c.kernel_width + column) * c.channels), c.channels);
      }
    }
    return;
  }
  rows_ = Rows::Taps;
  step_ = c.step * c.channels;
  for (std::int64_t line = 0; line < c.images * c.out_height; ++line) {
    add_run(position_offset(line * c.out_width), c.out_width);
  }
}

template <typename T>
const T* LaneA<T>::row(std::int64_t m) const {
  switch (rows_) {
    case Rows::Positions:
      return base_ + position_offset(m);
    case Rows::Taps:
      return base_ + tap_offset(m);
    default:
      return base_ + m * row_stride_;
  }
}

template <typename T>
LaneB<T>::LaneB(const OperandView& view, int columns, int scale_exponent,
                std::int64_t zero_row_period) {
  const std::int64_t n = view.columns();
  const std::int64_t k = view.rows();
  panels_ = (n + columns - 1) / columns;
  const T* source = view.is_patches() ? nullptr : source_of<T>(view);
  if (source != nullptr && scale_exponent == 0 && zero_row_period == 0 &&
      view.column_stride() == 1 && n % columns == 0) {
    base_ = source;
    step_ = view.row_stride();
    panel_stride_ = columns;
    return;
  }
  const std::int64_t period = zero_row_period > 0 ? zero_row_period : k + 1;
  const std::int64_t lines = zero_row_period > 0 ? k + (k + period - 1) / period : k;
  step_ = columns;
  panel_stride_ = lines * columns;
  copy_ = LaneBuffer<T>(std::max<std::int64_t>(1, panels_ * panel_stride_));
  const T scale = std::ldexp(T{1}, scale_exponent);
  T* out = copy_.data();
  // Line by line, so that reads go along the rows of B.
  for_rows(lines, panels_ * columns, [&](std::int64_t place) {
    const bool zeros =
        zero_row_period > 0 && (place % (period + 1) == period || place + 1 == lines);
    const std::int64_t index = place - place / (period + 1);
    for (std::int64_t panel = 0; panel < panels_; ++panel) {
      const std::int64_t column = panel * columns;
      const std::int64_t valid = zeros ? 0 : std::min<std::int64_t>(columns, n - column);
      T* line = out + panel * panel_stride_ + place * columns;
      pack_line(view, index, column, valid, line);
      if (scale_exponent != 0) {
        for (std::int64_t j = 0; j < valid; ++j) line[j] *= scale;
      }
      std::fill(line + valid, line + columns, T{0});
    }
  });
  base_ = out;
}

template class LaneA<float>;
template class LaneA<double>;
template class LaneB<float>;
template class LaneB<double>;

}  // namespace narrowmac
