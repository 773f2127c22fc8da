#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "models/numerics/kernel.h"
#include "models/numerics/operand_view.h"

namespace narrowmac {

/// Uninitialised, 64-byte aligned storage for kernels.
template <typename T>
class LaneBuffer {
 public:
  LaneBuffer() = default;
  explicit LaneBuffer(std::int64_t size)
      : data_(static_cast<T*>(
            ::operator new(static_cast<std::size_t>(size) * sizeof(T), kAlignment))) {}
  [[nodiscard]] T* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Release {
    void operator()(T* data) const { ::operator delete(data, kAlignment); }
  };
  std::unique_ptr<T, Release> data_;
};

/// A as the kernels read it: element (m, k) lies at row(m)[segment.a_offset + (k - segment.k) *
/// step()]. A dense operand is read in place; convolution patches are read from one padded copy of
/// the tensor, never from an im2col matrix.
template <typename T>
class LaneA {
 public:
  /// `chunk_length` 0: sequential. Segments end where chunks end.
  LaneA(const OperandView& view, std::int64_t chunk_length);

  [[nodiscard]] const T* row(std::int64_t m) const;
  [[nodiscard]] std::int64_t step() const { return step_; }
  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
  /// Of patches: the tensor, padded if need be, that all rows lie in.
  [[nodiscard]] const T* base() const { return base_; }
  [[nodiscard]] std::int64_t extent() const {
    return convolution_.images * grid_height_ * grid_width_ * convolution_.channels;
  }

 private:
  void use_dense(const OperandView& view);
  void use_patches(const OperandView& view);
  void pad_tensor(const float* tensor);
  void add_run(std::int64_t offset, std::int64_t length);
  [[nodiscard]] std::int64_t position_offset(std::int64_t position) const;
  [[nodiscard]] std::int64_t tap_offset(std::int64_t tap) const;

  LaneBuffer<T> copy_;
  const T* base_ = nullptr;
  std::int64_t step_ = 1;
  std::int64_t row_stride_ = 0;  ///< dense
  enum class Rows : std::uint8_t { Dense, Positions, Taps } rows_ = Rows::Dense;
  ConvolutionPatches convolution_;
  std::int64_t grid_top_ = 0, grid_left_ = 0, grid_height_ = 0, grid_width_ = 0;
  std::int64_t chunk_length_ = 0;
  std::int64_t next_k_ = 0;
  std::int64_t total_k_ = 0;
  std::vector<Segment> segments_;
};

/// B as the kernels read it: panels of `columns` columns, each row of a panel contiguous.
template <typename T>
class LaneB {
 public:
  /// Values are multiplied by 2^scale_exponent. Read in place where the layout allows. With
  /// `zero_row_period` a row of +0 follows every so many rows, and the last.
  LaneB(const OperandView& view, int columns, int scale_exponent, std::int64_t zero_row_period = 0);
  [[nodiscard]] const T* panel(std::int64_t index) const { return base_ + index * panel_stride_; }
  [[nodiscard]] std::int64_t step() const { return step_; }
  [[nodiscard]] std::int64_t panels() const { return panels_; }

 private:
  LaneBuffer<T> copy_;
  const T* base_ = nullptr;
  std::int64_t step_ = 0, panel_stride_ = 0, panels_ = 0;
};

}  // namespace narrowmac
