#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace narrowmac {

/// What scratchpads and DRAM cost, from published figures: the file says whose.
struct MemoryCost {
  struct Size {
    double bytes = 0;
    double pj_per_byte = 0;
  };
  std::string source;
  std::string process;
  std::vector<Size> scratchpads;  ///< sizes rising
  double scratchpad_um2_per_byte = 0;
  double dram_pj_per_byte = 0;

  /// Read or write, of a scratchpad of so many bytes: linear between the logarithms of the sizes,
  /// and on in the same direction beyond them.
  [[nodiscard]] double scratchpad_pj_per_byte(double bytes) const;
};

/// Errors name file, line and key.
MemoryCost read_memory_cost(const std::filesystem::path& path);

}  // namespace narrowmac
