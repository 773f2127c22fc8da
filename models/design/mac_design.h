#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/design/number_format.h"

namespace narrowmac {

enum class RoundingMode : std::uint8_t {
  NearestEven,
  NearestAway,
  TowardZero,
  Down,
  Stochastic,
  TruncateAligned,  ///< both addends lose what lies below the larger one's last guard bit
};

/// A rounding with its parameter.
struct Rounding {
  RoundingMode mode = RoundingMode::NearestEven;
  int random_bits = 0;  ///< Stochastic: 1..24; otherwise 0
  int guard_bits = 0;   ///< TruncateAligned: 0..64; otherwise 0
  friend bool operator==(const Rounding&, const Rounding&) = default;
};

/// What happens to a rounded result beyond the largest finite value.
enum class Overflow : std::uint8_t {
  Infinity,  ///< floats: IEEE 754 per rounding
  Saturate,  ///< clamp finite results
  Wrap,      ///< fixed point: modulo 2^W
};

/// How a sum, a product or an input becomes a value of a format: everything that decides the bits.
struct Conversion {
  NumberFormat format;
  Rounding rounding;
  Overflow overflow = Overflow::Infinity;
  bool subnormals = true;  ///< false: magnitudes below 2^emin become zero of the same sign
  friend bool operator==(const Conversion&, const Conversion&) = default;
};

/// Chunked accumulation: sums of `length` products, each from +0, added in order to a second
/// accumulator.
struct Chunk {
  std::int64_t length =
      0;  ///< products per chunk, at least 1; 0 = to be given by the array's row count
  Conversion accumulator;
  friend bool operator==(const Chunk&, const Chunk&) = default;
};

/// Where the accumulator of a dot unit joins the group.
enum class DotAccumulator : std::uint8_t {
  Aligned,   ///< one more term of the group, aligned with the products
  Separate,  ///< added to the sum of the aligned products, rounded once
};

/// How a term of a dot group loses the bits below the group's last one.
enum class Alignment : std::uint8_t { TowardZero, Down, NearestEven };

inline constexpr std::int64_t kMaxDotTerms = 4096;
inline constexpr int kMaxDotFractionBits = 64;
inline constexpr int kMaxGuardBits = 64;

/// A dot unit: groups of `terms` products are aligned to their largest exponent, kept to
/// `fraction_bits` below it, and added as integers.
struct Dot {
  std::int64_t terms =
      0;                  ///< products per group, 1..kMaxDotTerms; the last group is padded with +0
  int fraction_bits = 0;  ///< 0..kMaxDotFractionBits
  DotAccumulator accumulator = DotAccumulator::Aligned;
  Alignment alignment = Alignment::TowardZero;
  friend bool operator==(const Dot&, const Dot&) = default;
};

/// The MAC's own order of accumulation.
enum class MacOrder : std::uint8_t { Sequential, Chunk, Dot, Exact };

/// A multiply-accumulate unit, complete: acc <- R_acc(acc + R_product(a * b)).
struct MacDesign {
  NumberFormat a;
  NumberFormat b;
  std::optional<Conversion> product;  ///< absent: the product is exact
  Conversion accumulator;
  std::optional<Chunk> chunk;  ///< at most one of chunk, dot and exact; none: sequential
  std::optional<Dot> dot;
  bool exact = false;  ///< all products are summed exactly and rounded once
  /// False: hardware without infinity and NaN. Finite data then give finite results, the same bits
  /// as with them, because every float saturates; what else comes in has no meaning there.
  bool special_values = true;

  [[nodiscard]] MacOrder order() const;

  /// How an input is rounded to the operand format `a` or `b`: nearest even, `overflow` of the
  /// accumulator for floats (where it wraps, infinity, or saturating without special values),
  /// saturating for fixed point, the design's subnormals.
  [[nodiscard]] Conversion operand_conversion(const NumberFormat& operand) const;

  friend bool operator==(const MacDesign&, const MacDesign&) = default;
};

std::string_view to_string(RoundingMode mode);
std::string_view to_string(Overflow overflow);
std::string_view to_string(DotAccumulator accumulator);  ///< aligned, separate
std::string_view to_string(Alignment alignment);         ///< toward-zero, down, nearest-even
std::string_view to_string(MacOrder order);              ///< sequential, chunk, dot, exact

/// Throws Error with the reason if no hardware could be meant by this design.
void validate(const MacDesign& mac);
/// What is legal but unwise, one sentence each (an accumulator whose range cannot hold one product,
/// ...).
std::vector<std::string> warnings(const MacDesign& mac);
/// One line for people, e.g. "e5m2 x e5m2 -> e6m9 nearest-even, chunk 64 -> e6m9".
std::string describe(const MacDesign& mac);
/// The [mac] tables as TOML, every default spelled out; parses back to the same value.
std::string to_toml(const MacDesign& mac, std::string_view table_name = "mac");

}  // namespace narrowmac
