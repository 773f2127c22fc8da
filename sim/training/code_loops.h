#pragma once

#include <cstdint>

// The loops that bring GEMMs of codes back to values, in the vector instructions that the processor
// has; the bits are the same everywhere. Matrices are rows x channels without gaps.

namespace narrowmac::loops {

/// What a result of codes needs: value = (sum + row_addends[row]) * scale + factor * table[row][c].
struct CodeCorrection {
  float scale = 1;
  const float* row_addends = nullptr;  ///< may be null
  const float* table = nullptr;        ///< rows x channels; may be null
  bool same_row = false;               ///< the table has one row, for all
  float factor = 1;
};
void correct_codes(const CodeCorrection& by, std::int64_t rows, std::int64_t channels,
                   float* values);
/// values += factor * table.
void add_scaled(const float* table, float factor, std::int64_t size, float* values);
/// sums[row] = the sum over the channels.
void channel_sums(const float* codes, std::int64_t rows, std::int64_t channels, float* sums);
/// sums += codes
void add_to_double(const float* codes, std::int64_t size, double* sums);

}  // namespace narrowmac::loops
