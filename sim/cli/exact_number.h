#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <optional>
#include <string>

namespace narrowmac {

/// A finite number significand * 2^exponent of any size, without rounding: what `explain` shows
/// beside what the accumulator keeps. Not for speed. Internal to explain*.cpp.
class ExactNumber {
 public:
  ExactNumber() = default;
  explicit ExactNumber(double value);  ///< finite

  friend ExactNumber operator+(const ExactNumber& left, const ExactNumber& right);
  friend ExactNumber operator*(const ExactNumber& left, const ExactNumber& right);
  friend bool operator==(const ExactNumber& left, const ExactNumber& right);

  [[nodiscard]] bool is_zero() const { return significand_ == 0; }
  /// floor(log2 |x|). Not of zero.
  [[nodiscard]] int exponent() const;
  /// log2 of the value of the lowest bit that is set. Not of zero.
  [[nodiscard]] int lowest_bit() const;
  /// Rounded to the nearest double (ties to even; beyond double's range infinity).
  [[nodiscard]] double to_double() const;
  [[nodiscard]] bool is_double() const;
  /// "-1.0110 x 2^5"; at least `fraction_bits` digits, more if the number has more; "0" for zero.
  /// Long runs of zeros are written as "(40 zeros)".
  [[nodiscard]] std::string to_binary(int fraction_bits = 0) const;

 private:
  boost::multiprecision::cpp_int significand_ = 0;
  int exponent_ = 0;
};

}  // namespace narrowmac
