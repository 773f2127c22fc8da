#pragma once

#include <cstdint>

namespace narrowmac {

/// Where the rows and columns of an implicit patch matrix (im2col) lie in an NHWC tensor. Nothing
/// is copied: row (image, y, x), slowest first; column (kernel row, kernel column, channel),
/// slowest first. The element is tensor[image][sy / divisor][sx / divisor][channel] with
///   sy = y * step + offset_y + direction * kernel_row,   sx = x * step + offset_x + direction *
///   kernel_column,
/// and +0 where sy or sx is negative, not a multiple of `divisor`, or beyond the tensor.
/// FWD and GRAD: step = stride, offset = -padding, direction = +1, divisor = 1, over X.
/// BWD: step = 1, offset = +padding, direction = -1, divisor = stride, over dY, which is so visited
/// backwards.
struct ConvolutionPatches {
  std::int64_t images = 0, height = 0, width = 0, channels = 0;  ///< the tensor
  std::int64_t out_height = 0, out_width = 0;  ///< rows = images * out_height * out_width
  std::int64_t kernel_height = 0, kernel_width = 0;
  std::int64_t step = 1;
  std::int64_t offset_y = 0, offset_x = 0;
  std::int64_t direction = 1;
  std::int64_t divisor = 1;

  [[nodiscard]] std::int64_t rows() const { return images * out_height * out_width; }
  [[nodiscard]] std::int64_t columns() const { return kernel_height * kernel_width * channels; }
  /// Offset of the element in the tensor, or -1 for an inserted zero.
  [[nodiscard]] std::int64_t index(std::int64_t row, std::int64_t column) const;
};

/// A matrix of operand values that belongs to somebody else: dense with any strides (so also
/// transposed), or convolution patches (also transposed). Values are float32, or float64 for
/// formats that need it; they are values of the operand format (gemm does not round them).
class OperandView {
 public:
  OperandView() = default;
  /// Dense: element (r, c) is data[r * row_stride + c * column_stride].
  static OperandView dense(const float* data, std::int64_t rows, std::int64_t columns,
                           std::int64_t row_stride, std::int64_t column_stride = 1);
  static OperandView dense(const double* data, std::int64_t rows, std::int64_t columns,
                           std::int64_t row_stride, std::int64_t column_stride = 1);
  /// Rows and columns as ConvolutionPatches says.
  static OperandView patches(const float* tensor, const ConvolutionPatches& patches);
  [[nodiscard]] OperandView transposed() const;

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }
  [[nodiscard]] bool is_patches() const { return is_patches_; }
  [[nodiscard]] bool is_transposed_patches() const { return is_patches_ && transposed_; }
  [[nodiscard]] bool is_double() const { return f64_ != nullptr; }
  [[nodiscard]] const float* float_data() const { return f32_; }
  [[nodiscard]] const double* double_data() const { return f64_; }
  [[nodiscard]] std::int64_t row_stride() const { return row_stride_; }
  [[nodiscard]] std::int64_t column_stride() const { return column_stride_; }
  [[nodiscard]] const ConvolutionPatches& convolution() const { return convolution_; }

  /// One element: for the reference and for tests, not for kernels.
  [[nodiscard]] double at(std::int64_t row, std::int64_t column) const;

 private:
  const float* f32_ = nullptr;
  const double* f64_ = nullptr;
  std::int64_t rows_ = 0, columns_ = 0;
  std::int64_t row_stride_ = 0, column_stride_ = 0;
  bool is_patches_ = false, transposed_ = false;
  ConvolutionPatches convolution_;
};

/// Where results go: row-major, float32 or float64.
struct OutputView {
  float* f32 = nullptr;  ///< exactly one of f32 and f64 is set
  double* f64 = nullptr;
  std::int64_t row_stride = 0;

  static OutputView of(float* data, std::int64_t row_stride) { return {data, nullptr, row_stride}; }
  static OutputView of(double* data, std::int64_t row_stride) {
    return {nullptr, data, row_stride};
  }
  /// float32 output rounds (nearest even) what is no float32 value: accumulators wider than 24
  /// bits.
  void store(std::int64_t row, std::int64_t column, double value) const {
    if (f32 != nullptr) {
      f32[row * row_stride + column] = static_cast<float>(value);
    } else {
      f64[row * row_stride + column] = value;
    }
  }
};

}  // namespace narrowmac
