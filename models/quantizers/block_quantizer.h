#pragma once

#include <cstdint>
#include <span>

#include "models/quantizers/round_kernel.h"
#include "models/quantizers/tensor_quantizer.h"

namespace narrowmac {

/// quantize(), piece by piece: for formats whose codes need no look at the whole tensor first. The
/// pieces may come in any order and on any thread.
class BlockQuantizer {
 public:
  /// Float formats without scaling that change something. Their scale is 1, and what is not finite
  /// is no error.
  static bool supports(const TensorFormat& format);
  /// `format` must be supported.
  BlockQuantizer(const TensorFormat& format, std::uint64_t seed, std::uint64_t tensor_number);
  /// Elements first, first + 1, ... of the tensor; returns how many overflowed or were not finite.
  std::int64_t round(std::int64_t first, std::span<const float> values,
                     std::span<float> codes) const;

 private:
  RoundPlan plan_;
};

}  // namespace narrowmac
