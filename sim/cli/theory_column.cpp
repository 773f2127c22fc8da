#include "sim/cli/theory_column.h"

#include <algorithm>

#include "models/theory/mac_theory.h"

namespace narrowmac {

std::optional<double> theory_vrr(const MeasuredDesign& design, std::int64_t length,
                                 double nonzero_ratio) {
  if (length < 2) return std::nullopt;
  const std::optional<double> loss =
      predicted_loss(design.mac, design.order, length, nonzero_ratio);
  return loss ? std::optional<double>(1 - *loss) : std::nullopt;
}

bool theory_applies(const MeasuredDesign& design) {
  const AccumulationOrder& order = design.order;
  int narrowest = design.mac.accumulator.format.fraction_bits;
  if (order.chunk) {
    narrowest = std::min(narrowest, order.chunk->accumulator.format.fraction_bits);
  }
  return narrowest >= product_mantissa(design.mac);
}

}  // namespace narrowmac
