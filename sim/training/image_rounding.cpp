#include "models/quantizers/block_quantizer.h"
#include "sim/training/layer.h"
#include "sim/training/vector_loops.h"

namespace narrowmac {

void Host::round_images(const float* values, std::int64_t size, const TensorFormat& format,
                        std::uint64_t number, float* codes, std::atomic<bool>* overflowed) {
  const bool must_be_finite = format.conversion.format.is_fixed();
  images.add("quantize", 2 * size,
             [this, values, size, codes, overflowed, must_be_finite,
              quantizer = BlockQuantizer(format, settings.seed, number)](const ImageRange& range) {
               const std::int64_t first = range.begin * size;
               const std::int64_t count = range.count() * size;
               if (must_be_finite && !loops::all_finite(values + first, count)) {
                 not_finite.store(true, std::memory_order_relaxed);
                 return;
               }
               const auto length = static_cast<std::size_t>(count);
               const std::int64_t beyond =
                   quantizer.round(first, {values + first, length}, {codes + first, length});
               if (beyond > 0 && overflowed != nullptr) {
                 overflowed->store(true, std::memory_order_relaxed);
               }
             });
}

}  // namespace narrowmac
