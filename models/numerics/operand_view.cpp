#include "models/numerics/operand_view.h"

namespace narrowmac {
namespace {

/// The tensor coordinate that an output coordinate and a kernel tap meet, or -1 for an inserted
/// zero.
std::int64_t source(std::int64_t numerator, std::int64_t divisor, std::int64_t size) {
  if (numerator < 0 || numerator % divisor != 0) return -1;
  const std::int64_t position = numerator / divisor;
  return position < size ? position : -1;
}

}  // namespace

std::int64_t ConvolutionPatches::index(std::int64_t row, std::int64_t column) const {
  const std::int64_t x = row % out_width;
  const std::int64_t y = row / out_width % out_height;
  const std::int64_t image = row / (out_width * out_height);
  const std::int64_t channel = column % channels;
  const std::int64_t kernel_column = column / channels % kernel_width;
  const std::int64_t kernel_row = column / (channels * kernel_width);
  const std::int64_t sy = source(y * step + offset_y + direction * kernel_row, divisor, height);
  const std::int64_t sx = source(x * step + offset_x + direction * kernel_column, divisor, width);
  if (sy < 0 || sx < 0) return -1;
  return ((image * height + sy) * width + sx) * channels + channel;
}

OperandView OperandView::dense(const float* data, std::int64_t rows, std::int64_t columns,
                               std::int64_t row_stride, std::int64_t column_stride) {
  OperandView view;
  view.f32_ = data;
  view.rows_ = rows;
  view.columns_ = columns;
  view.row_stride_ = row_stride;
  view.column_stride_ = column_stride;
  return view;
}

OperandView OperandView::dense(const double* data, std::int64_t rows, std::int64_t columns,
                               std::int64_t row_stride, std::int64_t column_stride) {
  OperandView view =
      dense(static_cast<const float*>(nullptr), rows, columns, row_stride, column_stride);
  view.f64_ = data;
  return view;
}

OperandView OperandView::patches(const float* tensor, const ConvolutionPatches& patches) {
  OperandView view;
  view.f32_ = tensor;
  view.rows_ = patches.rows();
  view.columns_ = patches.columns();
  view.is_patches_ = true;
  view.convolution_ = patches;
  return view;
}

OperandView OperandView::transposed() const {
  OperandView view = *this;
  view.rows_ = columns_;
  view.columns_ = rows_;
  view.row_stride_ = column_stride_;
  view.column_stride_ = row_stride_;
  view.transposed_ = !transposed_;
  return view;
}

double OperandView::at(std::int64_t row, std::int64_t column) const {
  if (is_patches_) {
    const std::int64_t index =
        transposed_ ? convolution_.index(column, row) : convolution_.index(row, column);
    return index < 0 ? 0.0 : static_cast<double>(f32_[index]);
  }
  const std::int64_t index = row * row_stride_ + column * column_stride_;
  return f64_ != nullptr ? f64_[index] : static_cast<double>(f32_[index]);
}

}  // namespace narrowmac
