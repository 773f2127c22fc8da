#include "models/cost/mac_cycles.h"

#include <algorithm>
#include <cmath>

#include "models/cost/step_vectors.h"
#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/random.h"
#include "models/numerics/reference.h"

namespace narrowmac {
namespace {

int port_bits(const Rounding& rounding) { return std::max(rounding.random_bits, 1); }

/// One of the sums that take turns.
struct Sum {
  std::int64_t left = 0;   ///< products to come
  std::int64_t chunk = 0;  ///< products of this chunk so far
  double first = 0;        ///< the MAC's accumulator
  double second = 0;
  bool takes_all = false;
};

/// What a product does to a sum.
struct Step {
  StepVector operands;
  std::uint32_t random_product = 0, random_sum = 0, random_second = 0;
};

/// The sum after a product, and after its chunk. Throws Error where the reference does.
Sum after(const MacDesign& mac, Sum sum, const Step& step, bool chunk_end) {
  sum.first = mac_step(mac, sum.first, decode(step.operands.a, mac.a),
                       decode(step.operands.b, mac.b), step.random_sum, step.random_product)
                  .value;
  if (!chunk_end) return sum;
  sum.second = add_step(mac.chunk->accumulator, sum.second, sum.first, step.random_second).value;
  sum.first = 0;
  sum.chunk = 0;
  return sum;
}

/// Draws operands until the sum stays finite: what went to infinity or NaN would stay there. One
/// sum in eight takes what comes, where the design has places for it.
Sum advance(const MacDesign& mac, StepGenerator& operands, const Sum& sum, bool chunk_end,
            Step& step) {
  for (int attempt = 0; attempt < 32; ++attempt) {
    step.operands = operands.next();
    try {
      const Sum next = after(mac, sum, step, chunk_end);
      if (std::isfinite(next.first) && std::isfinite(next.second)) return next;
      if (sum.takes_all && meets_special_values(mac)) return next;
    } catch (const Error&) {
      continue;  // infinity or NaN in front of fixed point
    }
  }
  step.operands.a = step.operands.b = 0;
  return after(mac, sum, step, chunk_end);
}

}  // namespace

std::vector<MacCycle> mac_cycles(const RtlDesign& design, std::size_t count, std::uint64_t seed) {
  const MacDesign& mac = design.mac;
  const std::int64_t length = mac.chunk ? std::min<std::int64_t>(mac.chunk->length, 64) : 0;
  const auto random = [&](std::size_t cycle, RandomLevel level) {
    return random_word(seed, 1, 0, 0, level, static_cast<std::int64_t>(cycle));
  };
  std::vector<MacCycle> cycles(count);
  StepGenerator operands(mac, seed + 1);
  std::vector<Sum> sums(static_cast<std::size_t>(design.turns()));
  const auto multiplier = static_cast<std::size_t>(design.multiplier_stages);
  const auto adder = static_cast<std::size_t>(design.adder_stages);
  for (std::size_t cycle = 0; cycle < count; ++cycle) {
    Sum& sum = sums[cycle % sums.size()];
    MacCycle& now = cycles[cycle];
    const std::uint32_t dice = random(cycle, RandomLevel::Accumulator);
    if (sum.left == 0) {
      sum = Sum{};
      sum.left = 1 + static_cast<std::int64_t>(dice % 40);
      sum.takes_all = (dice >> 8) % 8 == 0;
      now.start = true;
    }
    --sum.left;
    ++sum.chunk;
    now.chunk_end = mac.chunk && (sum.left == 0 || sum.chunk == length);
    const std::uint32_t word = random(cycle, RandomLevel::Product);
    Step step;
    step.random_product = top_random_bits(word, product_rounding(mac).random_bits);
    step.random_sum = top_random_bits(word * 0x9e3779b9U, mac.accumulator.rounding.random_bits);
    step.random_second = top_random_bits(word * 0x85ebca6bU, second_rounding(mac).random_bits);
    sum = advance(mac, operands, sum, now.chunk_end, step);
    now.a = step.operands.a;
    now.b = step.operands.b;

    const std::size_t product_at = cycle + (multiplier > 0 ? multiplier - 1 : 0);
    const std::size_t sum_at = cycle + multiplier + adder - 1;
    if (product_at < count) cycles[product_at].random_product = step.random_product;
    if (sum_at < count) cycles[sum_at].random_sum = step.random_sum;
    if (sum_at + 1 < count) cycles[sum_at + 1].random_second = step.random_second;
    const std::size_t known = cycle + static_cast<std::size_t>(design.latency()) - 1;
    if (known < count) {
      cycles[known].compared = true;
      cycles[known].sum = encode(mac.chunk ? sum.second : sum.first, design.sum_format());
    }
  }
  return cycles;
}

int cycle_bits(const RtlDesign& design) {
  const MacDesign& mac = design.mac;
  return 3 + mac.a.width + mac.b.width + port_bits(product_rounding(mac)) +
         port_bits(mac.accumulator.rounding) + port_bits(second_rounding(mac)) +
         design.sum_format().width;
}

std::string cycles_hex(const RtlDesign& design, const std::vector<MacCycle>& cycles) {
  const MacDesign& mac = design.mac;
  std::string text;
  for (const MacCycle& cycle : cycles) {
    HexWord word;
    word.append(cycle.start ? 1 : 0, 1);
    word.append(cycle.chunk_end ? 1 : 0, 1);
    word.append(cycle.a, mac.a.width);
    word.append(cycle.b, mac.b.width);
    word.append(cycle.random_product, port_bits(product_rounding(mac)));
    word.append(cycle.random_sum, port_bits(mac.accumulator.rounding));
    word.append(cycle.random_second, port_bits(second_rounding(mac)));
    word.append(cycle.compared ? 1 : 0, 1);
    word.append(cycle.sum, design.sum_format().width);
    text += word.text() + "\n";
  }
  return text;
}

}  // namespace narrowmac
