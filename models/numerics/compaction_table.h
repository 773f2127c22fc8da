#pragma once

#include <cstdint>

namespace narrowmac {

/// For every set of up to eight lanes their numbers in ascending order, then zeros.
struct CompactionTable {
  std::uint8_t lanes[256][8] = {};
};

constexpr CompactionTable compaction_table() {
  CompactionTable table;
  for (int bits = 0; bits < 256; ++bits) {
    int count = 0;
    for (int lane = 0; lane < 8; ++lane) {
      if ((bits >> lane & 1) != 0) {
        table.lanes[bits][count++] = static_cast<std::uint8_t>(lane);
      }
    }
  }
  return table;
}

inline constexpr CompactionTable kCompaction = compaction_table();

}  // namespace narrowmac
