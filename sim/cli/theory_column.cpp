#include "sim/cli/theory_column.h"

#include <algorithm>

#include "models/theory/mac_theory.h"

namespace narrowmac {

std::optional<double> theory_vrr(const MeasuredDesign& design, std::int64_t length,
                                 double nonzero_ratio) {
  const MacDesign& mac = design.mac;
  const AccumulationOrder& order = design.order;
  if (order.dot || order.exact || length < 2) return std::nullopt;
  int narrowest = mac.accumulator.format.fraction_bits;
  if (order.chunk) {
    narrowest = std::min(narrowest, order.chunk->accumulator.format.fraction_bits);
  }
  const std::optional<double> loss = predicted_loss(mac, order, length, nonzero_ratio);
  if (!loss || narrowest < product_mantissa(mac)) return std::nullopt;
  return 1 - *loss;
}

}  // namespace narrowmac
