#include "models/theory/mac_theory.h"

#include <algorithm>

#include "models/theory/accumulation_length.h"

namespace narrowmac {

int product_mantissa(const NumberFormat& a, const NumberFormat& b) {
  return std::min(a.precision() + b.precision() - 1, kMaxTheoryMantissa);
}

int product_mantissa(const MacDesign& mac) {
  const int exact = product_mantissa(mac.a, mac.b);
  return mac.product ? std::min(exact, mac.product->format.precision() - 1) : exact;
}

std::optional<Accumulation> theory_of(const MacDesign& mac, const AccumulationOrder& order,
                                      std::int64_t length, double nonzero_ratio) {
  if (!mac.accumulator.format.is_float() || order.dot || order.exact) return std::nullopt;
  Accumulation sum;
  sum.product_mantissa = product_mantissa(mac);
  sum.length = length;
  sum.nonzero_ratio = nonzero_ratio;
  if (order.chunk) {
    if (!order.chunk->accumulator.format.is_float()) return std::nullopt;
    sum.chunk = order.chunk->length;
  }
  return sum;
}

std::optional<double> predicted_loss(const MacDesign& mac, const AccumulationOrder& order,
                                     std::int64_t length, double nonzero_ratio) {
  const std::optional<Accumulation> sum = theory_of(mac, order, length, nonzero_ratio);
  if (!sum) return std::nullopt;
  const int first = mac.accumulator.format.fraction_bits;
  const int second = order.chunk ? order.chunk->accumulator.format.fraction_bits : first;
  return swamping_loss(first, second, *sum);
}

std::optional<int> predicted_mantissa(const MacDesign& mac, const AccumulationOrder& order,
                                      std::int64_t length, double nonzero_ratio) {
  const std::optional<Accumulation> sum = theory_of(mac, order, length, nonzero_ratio);
  if (!sum) return std::nullopt;
  return minimum_mantissa(*sum);
}

}  // namespace narrowmac
