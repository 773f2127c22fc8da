#pragma once

#include <algorithm>
#include <cstdint>

namespace narrowmac {

/// The streamed elements that enter an array whose lane i is i * delay clocks behind: calls
/// use(lane, element) for those lanes of 0 .. lanes - 1 that have one.
template <typename Use>
void for_lanes(std::int64_t clock, std::int64_t delay, std::int64_t streamed, std::int64_t lanes,
               const Use& use) {
  const std::int64_t late = clock - streamed + 1;
  const std::int64_t first = late <= 0 ? 0 : (late + delay - 1) / delay;
  const std::int64_t end = clock < 0 ? 0 : std::min(lanes, clock / delay + 1);
  for (std::int64_t lane = first; lane < end; ++lane) use(lane, clock - lane * delay);
}

}  // namespace narrowmac
