#include <functional>
#include <numeric>

#include "sim/training/layer.h"

namespace narrowmac {

Parameter::Parameter(std::string parameter_name, std::vector<std::int64_t> parameter_shape,
                     Layout parameter_layout, float initial)
    : name(std::move(parameter_name)),
      shape(std::move(parameter_shape)),
      layout(parameter_layout),
      is_weight(parameter_layout != Layout::Plain) {
  const std::int64_t size =
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  value = AlignedBuffer::filled(size, initial);
  gradient = AlignedBuffer::filled(size, 0.0F);
  momentum = AlignedBuffer::filled(size, 0.0F);
}

std::int64_t Parameter::stored_index(std::int64_t index) const {
  if (layout == Layout::Plain) return index;
  const std::int64_t outputs = shape[0];
  const std::int64_t per_output = value.size() / outputs;
  const std::int64_t out = index / per_output;
  std::int64_t row = index % per_output;
  if (layout == Layout::Convolution) {
    const std::int64_t taps = shape[2] * shape[3];
    row = row % taps * shape[1] + row / taps;
  }
  return row * outputs + out;
}

}  // namespace narrowmac
