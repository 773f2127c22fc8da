#include "sim/cli/array_size.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "models/design/error.h"

namespace narrowmac {
namespace {

int parse_side(std::string_view digits, std::string_view text) {
  int value = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end || value < 1 || value > kMaxArraySide) {
    throw Error(fmt::format("--array: found '{}'; accepted: ROWSxCOLUMNS, each 1..{}, e.g. 32x32",
                            text, kMaxArraySide));
  }
  return value;
}

}  // namespace

void set_array_size(ArrayDesign& array, std::string_view text) {
  const auto cross = std::min(text.find('x'), text.size());
  array.rows = parse_side(text.substr(0, cross), text);
  array.columns = parse_side(text.substr(std::min(cross + 1, text.size())), text);
}

}  // namespace narrowmac
