#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "models/design/config.h"
#include "models/design/mac_design.h"

namespace narrowmac {

/// How the power-of-two scale of a tensor is found.
enum class Scaling : std::uint8_t {
  None,    ///< scale 1
  MaxAbs,  ///< smallest power of two with max|x| / scale within the format's largest value
  Sigma,   ///< the same with k standard deviations instead of max|x| (max|x| if the tensor is
           ///< constant)
};
std::string_view to_string(Scaling scaling);  ///< none, max-abs, sigma

/// How a tensor becomes operands: values of `conversion.format` times one power-of-two scale.
struct TensorFormat {
  Conversion conversion;  ///< default fp32: nothing changes
  Scaling scaling = Scaling::None;
  double sigmas = 4.0;                     ///< k of Scaling::Sigma
  [[nodiscard]] bool is_identity() const;  ///< fp32, no scaling: quantize() copies
  [[nodiscard]] std::string describe() const;
  friend bool operator==(const TensorFormat&, const TensorFormat&) = default;
};

/// Whether unit and range of a format lie within fp32's, which codes are kept in: floats do, fixed
/// point with F up to 149 and W - F up to 128 does.
bool fits_tensor(const NumberFormat& format);
/// Reads `key` of a table: a format ("e5m2"), or a table with `format` and optionally `rounding`
/// (nearest-even), `random_bits` (stochastic only, required there), `scaling` (none for floats,
/// max-abs for fixed point), `sigmas` (sigma only, 4), `overflow` (saturate) and `subnormals`
/// (floats only, true). Throws Error with file, line, key.
/// `default_subnormals` is what a float format has that does not say.
TensorFormat parse_tensor_format(const ConfigTable& parent, std::string_view key,
                                 bool default_subnormals = true);
/// An inline TOML table with every default spelled out; as a key's value it parses back to the same
/// TensorFormat.
std::string to_toml(const TensorFormat& format);

struct QuantizedTensor {
  double scale = 1.0;  ///< power of two: value = code * scale
  std::int64_t overflowed =
      0;  ///< elements beyond the format's range (clamped or infinite) or not finite
};

/// codes[i] = convert(values[i] / scale); `codes` may be `values`. Stochastic rounding draws
/// random_word(seed, tensor_number, -1, i, Accumulator, 0), so bits depend on nothing else (the row
/// -1 is no GEMM's). Threads: TBB's. Non-finite values stay what they are in a float format (NaN
/// where it has no infinity) and do not count for the scale; in fixed point they throw Error. A
/// fixed-point result of more than 24 bits, which only saturation gives, is the next float towards
/// zero; formats whose range or unit is beyond float's throw Error.
QuantizedTensor quantize(std::span<const float> values, const TensorFormat& format,
                         std::span<float> codes, std::uint64_t seed = 0,
                         std::uint64_t tensor_number = 0);

}  // namespace narrowmac
