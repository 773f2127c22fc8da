#pragma once

#include <cstdint>

namespace narrowmac {

/// What one pass over values finds. Words are magnitudes: bit patterns without the sign.
template <typename Word>
struct ScannedWords {
  Word largest = 0;
  Word smallest_less_one = static_cast<Word>(-1);  ///< of the non-zero ones, minus 1
  std::int64_t zeros = 0;
};

/// Scans a contiguous run in the vectors of this processor.
ScannedWords<std::uint32_t> scan_words(const float* data, std::int64_t count);
ScannedWords<std::uint64_t> scan_words(const double* data, std::int64_t count);

}  // namespace narrowmac
