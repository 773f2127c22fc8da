#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

namespace narrowmac {

/// Float32 storage on a cache-line boundary, not initialised unless asked to.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::int64_t size)
      : data_(static_cast<float*>(
            ::operator new[](static_cast<std::size_t>(size) * sizeof(float), kAlignment))),
        size_(size) {}
  static AlignedBuffer filled(std::int64_t size, float value) {
    AlignedBuffer buffer(size);
    for (std::int64_t i = 0; i < size; ++i) buffer[i] = value;
    return buffer;
  }

  [[nodiscard]] float* data() { return data_.get(); }
  [[nodiscard]] const float* data() const { return data_.get(); }
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] float& operator[](std::int64_t index) { return data_.get()[index]; }
  [[nodiscard]] float operator[](std::int64_t index) const { return data_.get()[index]; }
  [[nodiscard]] std::span<float> span() { return {data(), static_cast<std::size_t>(size_)}; }
  [[nodiscard]] std::span<const float> span() const {
    return {data(), static_cast<std::size_t>(size_)};
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Release {
    void operator()(float* data) const { ::operator delete[](data, kAlignment); }
  };
  std::unique_ptr<float, Release> data_;
  std::int64_t size_ = 0;
};

}  // namespace narrowmac
