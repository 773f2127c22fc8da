#pragma once

#include <cstdint>

namespace narrowmac {

/// The variance retention ratio of Sakr et al., "Accumulation Bit-Width Scaling for Ultra-Low
/// Precision Training of Deep Networks", ICLR 2019 (arXiv 1901.06588): Var(s') / Var(s) of a sum of
/// n products of unit variance in a float accumulator. A mantissa is the stored fraction of a
/// float: e6m9 has 9 bits. All functions return the loss 1 - VRR, computed as such: it keeps its
/// relative precision where VRR itself rounds to 1. docs/theory.md has the equations.

/// Longest sum and widest mantissas that the functions below accept.
inline constexpr std::int64_t kMaxTheoryLength = std::int64_t{1} << 40;
inline constexpr int kMaxTheoryMantissa = 64;

/// 1 - VRR with full swamping only (Lemma 1): a product is lost or added whole.
/// length 2..2^40; throws Error outside.
double full_swamping_loss(int accumulator_mantissa, std::int64_t length);

/// 1 - VRR with full and partial swamping (Theorem 1). The theorem assumes accumulator_mantissa >=
/// product_mantissa; below, its expression is evaluated all the same: an extrapolation.
double swamping_loss(int accumulator_mantissa, int product_mantissa, std::int64_t length);

/// A sum in theory's terms.
struct Accumulation {
  int product_mantissa = 5;
  std::int64_t length = 2;   ///< products, 1..2^40
  std::int64_t chunk = 0;    ///< products in a chunk; 0 = sequential
  double nonzero_ratio = 1;  ///< part of the products that is not zero, 0..1
};

/// One float accumulator of a sum: all of a sequential one, or a level of a chunked one.
struct AccumulationLevel {
  int product_mantissa = 0;  ///< of what is added
  std::int64_t length = 0;   ///< terms that are not zero, at least 2
};
/// First level, and second where the sum is chunked. The first level of a chunked sum adds
/// min(chunk, length) products, thinned by the non-zero ratio; the second ceil(length / chunk)
/// chunks, whose mantissa has grown by ceil(log2(chunk)) bits, but not beyond the accumulator's.
struct AccumulationLevels {
  AccumulationLevel first, second;
  bool chunked = false;
};
/// Throws Error naming the value that is out of range.
AccumulationLevels levels(int accumulator_mantissa, const Accumulation& sum);

/// 1 - VRR of a sum: of a chunked one, VRR is the product of both levels' (Corollary 1).
double swamping_loss(int accumulator_mantissa, const Accumulation& sum);
/// The same with a second accumulator of its own width.
double swamping_loss(int first_mantissa, int second_mantissa, const Accumulation& sum);
/// ln v(n) = n (1 - VRR), n the number of non-zero products (rounded half up, at least 2).
double log_v(int accumulator_mantissa, const Accumulation& sum);
/// n (1 - VRR) of one level.
double log_v(int accumulator_mantissa, const AccumulationLevel& level);

}  // namespace narrowmac
