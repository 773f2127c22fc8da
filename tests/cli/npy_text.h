#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/experiment/npy.h"

namespace narrowmac {

/// The bytes of a float64 matrix.
inline std::string matrix_bytes(std::int64_t rows, std::int64_t columns,
                                const std::vector<double>& values) {
  const std::int64_t shape[] = {rows, columns};
  return npy_bytes(shape, std::span<const double>(values));
}

/// The bytes of a float32 matrix.
inline std::string float_matrix_bytes(std::int64_t rows, std::int64_t columns,
                                      const std::vector<float>& values) {
  const std::int64_t shape[] = {rows, columns};
  return npy_bytes(shape, std::span<const float>(values));
}

/// A .npy file whose header says something else: NumPy 1.0 with this dictionary.
inline std::string npy_with_header(std::string dictionary, const std::string& data) {
  dictionary.resize((dictionary.size() + 10 + 64) / 64 * 64 - 11, ' ');
  dictionary += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(dictionary.size() % 256);
  bytes += static_cast<char>(dictionary.size() / 256);
  return bytes + dictionary + data;
}

}  // namespace narrowmac
