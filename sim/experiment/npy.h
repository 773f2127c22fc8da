#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace narrowmac {

/// An array as a NumPy .npy file holds it: float32 or float64, C order, any number of dimensions.
struct NpyArray {
  std::vector<std::int64_t> shape;
  std::variant<std::vector<float>, std::vector<double>> values;

  [[nodiscard]] bool is_double() const { return values.index() == 1; }
  /// Only for the type that the file has; throws std::bad_variant_access otherwise.
  [[nodiscard]] const std::vector<float>& floats() const { return std::get<0>(values); }
  [[nodiscard]] const std::vector<double>& doubles() const { return std::get<1>(values); }
};

/// Reads NumPy format 1.0 or 2.0. Throws Error naming the file, what was found and what is accepted
/// for any other version, type, byte order or Fortran order, and for a size that does not fit the
/// header; nothing is allocated before the sizes in the header have been checked against the
/// file's.
NpyArray read_npy(const std::filesystem::path& path);

/// The same, with exactly two dimensions.
NpyArray read_npy_matrix(const std::filesystem::path& path);

/// The bytes of a NumPy 1.0 file in C order. `values` has as many elements as `shape` says.
std::string npy_bytes(std::span<const std::int64_t> shape, std::span<const float> values);
std::string npy_bytes(std::span<const std::int64_t> shape, std::span<const double> values);

/// Writes npy_bytes() whole or not at all (see write_file).
void write_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
               std::span<const float> values);
void write_npy(const std::filesystem::path& path, std::span<const std::int64_t> shape,
               std::span<const double> values);

}  // namespace narrowmac
