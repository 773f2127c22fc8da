#pragma once

#include <cstddef>
#include <cstdint>

namespace narrowmac {

// The loops over elements of the gradient quantizers, for float and double matrices, in float64
// lanes. Every element is computed alone, so the vectors' width cannot change a bit.

struct Extrema {
  double least = 0;
  double greatest = 0;
  bool finite = true;  ///< false: the other two mean nothing
};
/// Of at least one element.
Extrema find_extrema(const float* values, std::size_t count);
Extrema find_extrema(const double* values, std::size_t count);

/// code = min(floor((in * factor - zero) * inverse_step + U), largest) and at least `least`, with U
/// in (0, 1) from the random word of the element, or to nearest even.
struct EncodeRule {
  double factor = 1;
  double zero = 0;
  double inverse_step = 0;
  double least = 0;
  double largest = 0;
  bool stochastic = true;
  std::uint32_t random_column = 0;  ///< keys the words of elements
  std::uint32_t random_step = 0;    ///< keys the trial
};
/// `first` is the index of in[0] in its matrix, modulo 2^32.
void encode_run(const EncodeRule& rule, const float* in, std::size_t count, std::uint32_t first,
                float* codes);
void encode_run(const EncodeRule& rule, const double* in, std::size_t count, std::uint32_t first,
                float* codes);

/// What an element stands for: in * slope + shift.
struct AffineRow {
  double slope = 1;
  double shift = 0;
};

/// out = (in * slope + shift) * factor, within the range of Out.
void decode_run(const AffineRow& row, const float* in, std::size_t count, double factor,
                float* out);
void decode_run(const AffineRow& row, const float* in, std::size_t count, double factor,
                double* out);

/// sums += weight * (in * slope + shift)
void add_weighted(const AffineRow& row, const float* in, std::size_t count, double weight,
                  double* sums);
void add_weighted(const AffineRow& row, const double* in, std::size_t count, double weight,
                  double* sums);

/// out = (scale * (in * slope + shift) - weight * sums + offset) * factor, within the range of Out.
struct ReflectRule {
  double scale = 1;
  double weight = 0;
  double offset = 0;
  double factor = 1;
};
void reflect_run(const AffineRow& row, const ReflectRule& rule, const float* in, std::size_t count,
                 const double* sums, double* out);
void reflect_run(const AffineRow& row, const ReflectRule& rule, const double* in, std::size_t count,
                 const double* sums, double* out);
void reflect_run(const AffineRow& row, const ReflectRule& rule, const float* in, std::size_t count,
                 const double* sums, float* out);

}  // namespace narrowmac
