#include "models/cost/step_vectors.h"

#include <algorithm>
#include <cmath>

#include "models/design/error.h"
#include "models/numerics/convert.h"
#include "models/numerics/reference.h"

namespace narrowmac {
namespace {

std::uint64_t mask(int bits) { return (std::uint64_t{1} << bits) - 1; }

int random_port_bits(const Rounding& rounding) { return std::max(rounding.random_bits, 1); }

}  // namespace

Rounding product_rounding(const MacDesign& mac) {
  return mac.product ? mac.product->rounding : Rounding{};
}

Rounding second_rounding(const MacDesign& mac) {
  return mac.chunk ? mac.chunk->accumulator.rounding : Rounding{};
}

bool meets_special_values(const MacDesign& mac) {
  return mac.special_values && mac.accumulator.format.is_float() &&
         (!mac.product || mac.product->format.is_float()) &&
         (!mac.chunk || mac.chunk->accumulator.format.is_float());
}

CodeSource::CodeSource(const MacDesign& mac, const NumberFormat& format)
    : format_(format),
      subnormals_(mac.accumulator.subnormals),
      specials_(meets_special_values(mac)) {}

bool CodeSource::legalise(std::uint64_t& code) const {
  code &= mask(format_.width);
  if (format_.is_fixed()) return true;
  const double value = decode(code, format_);
  if (!std::isfinite(value)) return specials_;
  if (!subnormals_ && std::fabs(value) < format_.smallest_normal()) {
    code &= ~mask(format_.width - 1);  // a zero of the same sign
  }
  return true;
}

void evaluate(const MacDesign& mac, StepVector& vector) {
  const double before = decode(vector.accumulator, mac.accumulator.format);
  const StepOutcome outcome =
      mac_step(mac, before, decode(vector.a, mac.a), decode(vector.b, mac.b), vector.random_sum,
               vector.random_product);
  vector.next = encode(outcome.value, mac.accumulator.format);
}

StepGenerator::StepGenerator(const MacDesign& mac, std::uint64_t seed)
    : mac_(mac),
      a_(mac, mac.a),
      b_(mac, mac.b),
      accumulator_(mac, mac.accumulator.format),
      state_(seed) {}

/// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t StepGenerator::word() {
  state_ += 0x9e3779b97f4a7c15U;
  std::uint64_t x = state_;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

std::uint64_t StepGenerator::code(const CodeSource& source) {
  const NumberFormat& format = source.format();
  for (;;) {
    std::uint64_t code = word();
    switch (below(4)) {
      case 0: {  // extremes and their neighbours
        const std::uint64_t ends[] = {0, encode(format.max_value(), format),
                                      encode(format.lowest_value(), format),
                                      encode(format.smallest_normal(), format)};
        code = ends[below(4)] + below(5) - 2;
        if (format.family != NumberFormat::Family::Unsigned && below(2) == 0) {
          code ^= std::uint64_t{1} << (format.width - 1);
        }
        break;
      }
      case 1:  // few bits: sums are exact or tie
        code &= word() & word();
        break;
      default:
        break;
    }
    if (source.legalise(code)) return code;
  }
}

std::uint64_t StepGenerator::accumulator_for(double product) {
  const NumberFormat& format = mac_.accumulator.format;
  const Conversion nearest{format, {}, Overflow::Saturate, mac_.accumulator.subnormals};
  const std::uint64_t kind = below(8);
  if (kind < 2 || !std::isfinite(product)) return code(accumulator_);
  std::uint64_t code = 0;
  if (kind < 4) {  // cancels, nearly
    code = encode(convert(-product, nearest), format) + below(5) - 2;
  } else {  // within reach of the product's bits, of either sign
    const int reach = format.is_float() ? format.fraction_bits + 4 : format.width;
    const int shift = static_cast<int>(below(2 * static_cast<std::uint64_t>(reach) + 1)) - reach;
    code = encode(convert(std::ldexp(product, shift), nearest), format);
    code ^= word() & mask(std::min(format.width - 1, static_cast<int>(below(6))));
    if (below(2) == 0) code ^= std::uint64_t{1} << (format.width - 1);
  }
  return accumulator_.legalise(code) ? code : this->code(accumulator_);
}

StepVector StepGenerator::next_with(std::uint64_t a, std::uint64_t b) {
  StepVector vector;
  vector.a = a;
  vector.b = b;
  vector.accumulator = accumulator_for(decode(a, mac_.a) * decode(b, mac_.b));
  vector.random_product =
      static_cast<std::uint32_t>(word() & mask(product_rounding(mac_).random_bits));
  vector.random_sum =
      static_cast<std::uint32_t>(word() & mask(mac_.accumulator.rounding.random_bits));
  evaluate(mac_, vector);
  return vector;
}

StepVector StepGenerator::next() {
  for (;;) {
    const std::uint64_t a = code(a_);
    try {
      return next_with(a, code(b_));
    } catch (const Error&) {
      continue;  // an infinite product in front of fixed point
    }
  }
}

std::vector<StepVector> step_vectors(const MacDesign& mac, std::size_t count, std::uint64_t seed) {
  StepGenerator generator(mac, seed);
  std::vector<StepVector> vectors(count);
  for (StepVector& vector : vectors) vector = generator.next();
  return vectors;
}

int step_bits(const MacDesign& mac) {
  return mac.a.width + mac.b.width + 2 * mac.accumulator.format.width +
         random_port_bits(product_rounding(mac)) + random_port_bits(mac.accumulator.rounding);
}

std::string steps_hex(const MacDesign& mac, const std::vector<StepVector>& steps) {
  std::string text;
  const int width = mac.accumulator.format.width;
  for (const StepVector& step : steps) {
    HexWord word;
    word.append(step.a, mac.a.width);
    word.append(step.b, mac.b.width);
    word.append(step.accumulator, width);
    word.append(step.random_product, random_port_bits(product_rounding(mac)));
    word.append(step.random_sum, random_port_bits(mac.accumulator.rounding));
    word.append(step.next, width);
    text += word.text() + "\n";
  }
  return text;
}

void HexWord::append(std::uint64_t value, int bits) {
  for (int bit = bits - 1; bit >= 0; --bit) bits_ += ((value >> bit) & 1U) != 0 ? '1' : '0';
}

std::string HexWord::text() const {
  const std::string padded = std::string((4 - bits_.size() % 4) % 4, '0') + bits_;
  std::string digits;
  for (std::size_t i = 0; i < padded.size(); i += 4) {
    int digit = 0;
    for (std::size_t bit = 0; bit < 4; ++bit) digit = 2 * digit + (padded[i + bit] - '0');
    digits += "0123456789abcdef"[digit];
  }
  return digits;
}

}  // namespace narrowmac
