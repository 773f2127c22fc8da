#pragma once

#include <cstdint>
#include <functional>

namespace narrowmac {

/// Runs body(row) for every row 0 .. rows - 1, in any order and on any thread; rows of about
/// `width` elements each, several to a task where they are short.
void for_rows(std::int64_t rows, std::int64_t width, const std::function<void(std::int64_t)>& body);

}  // namespace narrowmac
