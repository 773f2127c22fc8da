#pragma once

#include <cstdint>
#include <functional>

namespace narrowmac {

/// Calls body(begin, end) for every block of `block` consecutive indices of [0, count), in
/// parallel. The blocks depend on `count` and `block` only, never on the number of threads.
void for_blocks(std::int64_t count, std::int64_t block,
                const std::function<void(std::int64_t begin, std::int64_t end)>& body);

}  // namespace narrowmac
