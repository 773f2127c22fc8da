#include "models/numerics/exact_sum.h"

#include <algorithm>

namespace narrowmac {
namespace {

constexpr int kWordBits = 64;
/// What an ExactValue holds.
constexpr int kValueBits = 126;

}  // namespace

void ExactSum::add(const ExactValue& x) {
  if (x.magnitude == 0) return;
  const int bit = x.exponent - kLowestExponent;
  const auto first = static_cast<std::size_t>(bit / kWordBits);
  const int shift = bit % kWordBits;
  const auto low = static_cast<std::uint64_t>(x.magnitude);
  const auto high = static_cast<std::uint64_t>(x.magnitude >> kWordBits);
  std::array<std::uint64_t, 3> parts = {low, high, 0};
  if (shift != 0) {
    parts = {low << shift, (high << shift) | (low >> (kWordBits - shift)),
             high >> (kWordBits - shift)};
  }
  std::uint64_t carry = 0;
  for (std::size_t i = first; i < kWords; ++i) {
    const bool inside = i - first < parts.size();
    if (!inside && carry == 0) break;
    const std::uint64_t part = inside ? parts[i - first] : 0;
    const uint128 added = uint128{part} + carry;
    const std::uint64_t old = words_[i];
    if (x.negative) {
      words_[i] = old - static_cast<std::uint64_t>(added);
      carry = added > old ? 1 : 0;
    } else {
      const uint128 sum = added + old;
      words_[i] = static_cast<std::uint64_t>(sum);
      carry = static_cast<std::uint64_t>(sum >> kWordBits);
    }
  }
}

bool ExactSum::is_zero() const {
  return std::all_of(words_.begin(), words_.end(), [](std::uint64_t word) { return word == 0; });
}

ExactValue ExactSum::value(std::optional<int> modulus_exponent) const {
  ExactValue result;
  std::array<std::uint64_t, kWords> size = words_;
  result.negative = (words_.back() >> (kWordBits - 1)) != 0;
  if (result.negative) {
    bool carry = true;
    for (std::uint64_t& word : size) {
      word = ~word + (carry ? 1U : 0U);
      carry = carry && word == 0;
    }
  }
  if (modulus_exponent) {
    const int kept = *modulus_exponent - kLowestExponent;
    for (std::size_t i = 0; i < kWords; ++i) {
      const int bits = kept - static_cast<int>(i) * kWordBits;
      if (bits <= 0) size[i] = 0;
      if (bits > 0 && bits < kWordBits) size[i] &= (std::uint64_t{1} << bits) - 1;
    }
  }
  std::size_t top = kWords;
  while (top > 0 && size[top - 1] == 0) --top;
  if (top == 0) return {};
  const int high_bit = static_cast<int>(top - 1) * kWordBits + bit_length(size[top - 1]);
  const int low_bit = std::max(0, high_bit - kValueBits);
  for (std::size_t i = 0; i < top; ++i) {
    const int at = static_cast<int>(i) * kWordBits - low_bit;
    if (at <= -kWordBits) {
      result.sticky = result.sticky || size[i] != 0;
    } else if (at < 0) {
      result.sticky = result.sticky || (size[i] << (kWordBits + at)) != 0;
      result.magnitude |= size[i] >> -at;
    } else {
      result.magnitude |= uint128{size[i]} << at;
    }
  }
  result.exponent = low_bit + kLowestExponent;
  return result;
}

bool equals(const ExactValue& exact, double value) {
  const ExactValue other = unpack(value);
  if (exact.kind != ValueKind::Finite || other.kind != ValueKind::Finite || exact.sticky) {
    return false;
  }
  if (exact.magnitude == 0 || other.magnitude == 0) return exact.magnitude == other.magnitude;
  if (exact.negative != other.negative) return false;
  ExactSum difference;
  difference.add(exact);
  ExactValue minus = other;
  minus.negative = !minus.negative;
  difference.add(minus);
  return difference.is_zero();
}

}  // namespace narrowmac
