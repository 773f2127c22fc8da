#include "sim/cli/exact_number.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace narrowmac {

using boost::multiprecision::cpp_int;

namespace {

cpp_int magnitude_of(const cpp_int& x) {
  cpp_int magnitude = x;
  if (magnitude < 0) magnitude.backend().negate();
  return magnitude;
}

}  // namespace

ExactNumber::ExactNumber(double value) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  significand_ = static_cast<std::int64_t>(std::ldexp(fraction, 53));
  exponent_ = exponent - 53;
}

ExactNumber operator+(const ExactNumber& left, const ExactNumber& right) {
  ExactNumber sum;
  sum.exponent_ = std::min(left.exponent_, right.exponent_);
  sum.significand_ = left.significand_ * (cpp_int(1) << (left.exponent_ - sum.exponent_)) +
                     right.significand_ * (cpp_int(1) << (right.exponent_ - sum.exponent_));
  return sum;
}

ExactNumber operator*(const ExactNumber& left, const ExactNumber& right) {
  ExactNumber product;
  product.significand_ = left.significand_ * right.significand_;
  product.exponent_ = left.exponent_ + right.exponent_;
  return product;
}

bool operator==(const ExactNumber& left, const ExactNumber& right) {
  const int exponent = std::min(left.exponent_, right.exponent_);
  return left.significand_ * (cpp_int(1) << (left.exponent_ - exponent)) ==
         right.significand_ * (cpp_int(1) << (right.exponent_ - exponent));
}

int ExactNumber::exponent() const {
  return static_cast<int>(msb(magnitude_of(significand_))) + exponent_;
}

int ExactNumber::lowest_bit() const {
  return static_cast<int>(lsb(magnitude_of(significand_))) + exponent_;
}

double ExactNumber::to_double() const {
  if (is_zero()) return 0;
  const cpp_int magnitude = magnitude_of(significand_);
  // Keep 62 bits and whether anything lies below: more than two beyond double's 53, so one rounding
  // decides.
  const int drop = static_cast<int>(msb(magnitude)) - 61;
  cpp_int kept = drop > 0 ? cpp_int(magnitude >> drop) : magnitude;
  if (drop > 0 && static_cast<int>(lsb(magnitude)) < drop) kept |= 1;
  // long double would round twice below double's normal range; no format of a MAC reaches that far
  // with 62 bits.
  const double value = std::ldexp(static_cast<double>(static_cast<std::int64_t>(kept)),
                                  exponent_ + std::max(drop, 0));
  return significand_ < 0 ? -value : value;
}

bool ExactNumber::is_double() const {
  const double value = to_double();
  return std::isfinite(value) && ExactNumber(value) == *this;
}

std::string ExactNumber::to_binary(int fraction_bits) const {
  if (is_zero()) return "0";
  cpp_int magnitude = magnitude_of(significand_);
  magnitude >>= lsb(magnitude);
  std::string digits;
  for (auto bit = static_cast<int>(msb(magnitude)); bit >= 0; --bit) {
    digits += bit_test(magnitude, static_cast<unsigned>(bit)) ? '1' : '0';
  }
  std::string fraction = digits.substr(1);
  if (static_cast<int>(fraction.size()) < fraction_bits) {
    fraction.append(static_cast<std::size_t>(fraction_bits) - fraction.size(), '0');
  }
  constexpr std::size_t kLongRun = 20;
  for (std::size_t start = fraction.find(std::string(kLongRun, '0')); start != std::string::npos;
       start = fraction.find(std::string(kLongRun, '0'), start)) {
    const std::size_t end = std::min(fraction.find('1', start), fraction.size());
    fraction.replace(start, end - start, fmt::format("({} zeros)", end - start));
    start += 2;  // not into the count
  }
  return fmt::format("{}1{}{} x 2^{}", significand_ < 0 ? "-" : "", fraction.empty() ? "" : ".",
                     fraction, exponent());
}

}  // namespace narrowmac
