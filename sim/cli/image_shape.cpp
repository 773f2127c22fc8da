#include "sim/cli/image_shape.h"

#include <fmt/core.h>

#include <array>
#include <charconv>

#include "models/design/error.h"

namespace narrowmac {

FeatureShape image_shape(std::string_view text) {
  constexpr std::int64_t kMost = 1 << 20;
  std::array<std::int64_t, 3> sides{};
  const char* next = text.data();
  const char* end = text.data() + text.size();
  for (std::size_t i = 0; i < sides.size(); ++i) {
    const auto result = std::from_chars(next, end, sides[i]);
    const bool is_last = i + 1 == sides.size();
    const bool ends_well = is_last ? result.ptr == end : result.ptr != end && *result.ptr == 'x';
    if (result.ec != std::errc() || !ends_well || sides[i] < 1 || sides[i] > kMost) {
      throw Error(fmt::format(
          "--input: found '{}'; accepted: CHANNELSxHEIGHTxWIDTH, each 1..{}, e.g. 3x32x32", text,
          kMost));
    }
    if (!is_last) next = result.ptr + 1;
  }
  return {sides[0], sides[1], sides[2]};
}

}  // namespace narrowmac
