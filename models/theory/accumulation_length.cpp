#include "models/theory/accumulation_length.h"

#include <algorithm>

namespace narrowmac {

bool is_sufficient(int accumulator_mantissa, const Accumulation& sum) {
  if (accumulator_mantissa < sum.product_mantissa) return false;
  const AccumulationLevels parts = levels(accumulator_mantissa, sum);
  if (!(log_v(accumulator_mantissa, parts.first) < kLogVThreshold)) return false;
  return !parts.chunked || log_v(accumulator_mantissa, parts.second) < kLogVThreshold;
}

int minimum_mantissa(const Accumulation& sum) {
  int mantissa = sum.product_mantissa;
  while (mantissa < kMaxTheoryMantissa && !is_sufficient(mantissa, sum)) ++mantissa;
  return mantissa;
}

std::optional<std::int64_t> longest_length(int accumulator_mantissa, Accumulation sum) {
  const auto suffices = [&](std::int64_t length) {
    sum.length = length;
    return is_sufficient(accumulator_mantissa, sum);
  };
  if (!suffices(2)) return std::nullopt;
  if (suffices(kMaxTheoryLength)) return kMaxTheoryLength;
  std::int64_t good = 2, bad = kMaxTheoryLength;
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (suffices(middle) ? good : bad) = middle;
  }
  return good;
}

ChunkChoice best_chunk(Accumulation sum) {
  sum.chunk = 0;
  ChunkChoice best = {0, minimum_mantissa(sum)};
  double least = 0;  // of any chunk, so that only fewer bits replace the sequential sum
  for (sum.chunk = 2; sum.chunk < sum.length; sum.chunk *= 2) {
    const int mantissa = minimum_mantissa(sum);
    if (mantissa > best.minimum_mantissa) continue;
    const double loss = swamping_loss(mantissa, sum);
    if (mantissa < best.minimum_mantissa || loss < least) {
      best = {sum.chunk, mantissa};
      least = loss;
    }
  }
  return best;
}

std::int64_t least_loss_chunk(int accumulator_mantissa, Accumulation sum) {
  sum.chunk = 0;
  std::int64_t best = 0;
  double least = swamping_loss(accumulator_mantissa, sum);
  for (sum.chunk = 2; sum.chunk < sum.length; sum.chunk *= 2) {
    const double loss = swamping_loss(accumulator_mantissa, sum);
    if (loss < least) {
      best = sum.chunk;
      least = loss;
    }
  }
  return best;
}

}  // namespace narrowmac
