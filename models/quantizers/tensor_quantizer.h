#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "models/design/mac_design.h"

namespace narrowmac {

/// How the power-of-two scale of a tensor is found.
enum class Scaling : std::uint8_t {
  None,    ///< scale 1
  MaxAbs,  ///< smallest power of two with max|x| / scale within the format's largest value
  Sigma,   ///< the same with k standard deviations instead of max|x|
};

/// How a tensor becomes operands: values of `conversion.format` times one power-of-two scale.
struct TensorFormat {
  Conversion conversion;  ///< default fp32: nothing changes
  Scaling scaling = Scaling::None;
  double sigmas = 4.0;  ///< k of Scaling::Sigma
  [[nodiscard]] bool is_identity() const;  ///< fp32, no scaling: quantize() copies
  [[nodiscard]] std::string describe() const;
  friend bool operator==(const TensorFormat&, const TensorFormat&) = default;
};

struct QuantizedTensor {
  double scale = 1.0;           ///< power of two: value = code * scale
  std::int64_t overflowed = 0;  ///< elements beyond the format's range (clamped or infinite)
};

/// codes[i] = convert(values[i] / scale); `codes` may be `values`. Stochastic rounding draws
/// random_word(seed, tensor_number, i, 0, Accumulator, 0), so bits depend on nothing else. Threads: TBB's.
/// Non-finite values stay what they are in a float format; in fixed point they throw Error.
QuantizedTensor quantize(std::span<const float> values, const TensorFormat& format, std::span<float> codes,
                         std::uint64_t seed = 0, std::uint64_t tensor_number = 0);

}  // namespace narrowmac
