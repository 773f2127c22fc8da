#include "models/quantizers/block_quantizer.h"

namespace narrowmac {

bool BlockQuantizer::supports(const TensorFormat& format) {
  return format.scaling == Scaling::None && !format.is_identity() && can_plan(format.conversion);
}

BlockQuantizer::BlockQuantizer(const TensorFormat& format, std::uint64_t seed,
                               std::uint64_t tensor_number)
    : plan_(make_plan(format.conversion, 1.0, tensor_random_key(seed, tensor_number))) {}

std::int64_t BlockQuantizer::round(std::int64_t first, std::span<const float> values,
                                   std::span<float> codes) const {
  return round_block(plan_, values.data(), values.size(), codes.data(),
                     static_cast<std::uint32_t>(first));
}

}  // namespace narrowmac
