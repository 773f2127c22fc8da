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
  /// Formats without scaling that change something and do not wrap. Their scale is 1. What is not
  /// finite is no error in a float format; in fixed point it has no code, so the caller must look
  /// for it.
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
