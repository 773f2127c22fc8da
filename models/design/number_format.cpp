#include "models/design/number_format.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr std::string_view kAccepted =
    "eXmY with X in 2..8 and Y in 1..23, e4m3fn, fxW.F with W in 2..53 and F in -256..256, "
    "ufxW.F with W in 1..53, intW, uintW, fp32, fp16, bf16";

Error bad_format(std::string_view text, std::string_view reason) {
  return Error(fmt::format("number format '{}': {}; accepted: {}", text, reason, kAccepted));
}

/// A decimal integer without sign junk: digits, no superfluous leading zero, and a minus if
/// `may_be_negative`.
std::optional<int> parse_decimal(std::string_view digits, bool may_be_negative = false) {
  std::string_view magnitude = digits;
  const bool negative = may_be_negative && !magnitude.empty() && magnitude.front() == '-';
  if (negative) magnitude.remove_prefix(1);
  if (magnitude.empty() || magnitude.front() < '0' || magnitude.front() > '9') return std::nullopt;
  if (magnitude.front() == '0' && (magnitude.size() > 1 || negative)) return std::nullopt;
  int value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, status] = std::from_chars(digits.data(), end, value);
  if (status != std::errc() || stop != end) return std::nullopt;
  return value;
}

NumberFormat make_float(int exponent_bits, int fraction_bits) {
  return NumberFormat{NumberFormat::Family::Float, exponent_bits, fraction_bits,
                      1 + exponent_bits + fraction_bits};
}

/// The part after the `e`.
NumberFormat parse_float(std::string_view text, std::string_view rest) {
  const auto m = rest.find('m');
  if (m == std::string_view::npos) throw bad_format(text, "not a format");
  const auto exponent = parse_decimal(rest.substr(0, m));
  const auto fraction = parse_decimal(rest.substr(m + 1));
  if (!exponent || !fraction) throw bad_format(text, "not a format");
  if (*exponent < 2 || *exponent > 8) {
    throw bad_format(text, fmt::format("{} exponent bits", *exponent));
  }
  if (*fraction < 1 || *fraction > 23) {
    throw bad_format(text, fmt::format("{} fraction bits", *fraction));
  }
  return make_float(*exponent, *fraction);
}

NumberFormat make_fixed(std::string_view text, NumberFormat::Family family, int width,
                        int fraction_bits) {
  const int narrowest = family == NumberFormat::Family::Signed ? 2 : 1;
  if (width < narrowest || width > 53) {
    throw bad_format(text, fmt::format("{} bits", width));
  }
  if (fraction_bits < -256 || fraction_bits > 256) {
    throw bad_format(text, fmt::format("{} fraction bits", fraction_bits));
  }
  return NumberFormat{family, 0, fraction_bits, width};
}

/// The part after `fx` or `ufx`.
NumberFormat parse_fixed(std::string_view text, std::string_view rest,
                         NumberFormat::Family family) {
  const auto dot = rest.find('.');
  if (dot == std::string_view::npos) throw bad_format(text, "the '.F' is missing");
  const auto width = parse_decimal(rest.substr(0, dot));
  const auto fraction = parse_decimal(rest.substr(dot + 1), true);
  if (!width || !fraction) throw bad_format(text, "not a format");
  return make_fixed(text, family, *width, *fraction);
}

NumberFormat parse_integer(std::string_view text, std::string_view rest,
                           NumberFormat::Family family) {
  const auto width = parse_decimal(rest);
  if (!width) throw bad_format(text, "not a format");
  return make_fixed(text, family, *width, 0);
}

}  // namespace

NumberFormat NumberFormat::parse(std::string_view text) {
  if (text == "fp32") return make_float(8, 23);
  if (text == "fp16") return make_float(5, 10);
  if (text == "bf16") return make_float(8, 7);
  if (text == "e4m3fn") return NumberFormat{Family::FiniteFloat, 4, 3, 8};
  if (text.starts_with("ufx")) return parse_fixed(text, text.substr(3), Family::Unsigned);
  if (text.starts_with("fx")) return parse_fixed(text, text.substr(2), Family::Signed);
  if (text.starts_with("uint")) return parse_integer(text, text.substr(4), Family::Unsigned);
  if (text.starts_with("int")) return parse_integer(text, text.substr(3), Family::Signed);
  if (text.starts_with("e")) return parse_float(text, text.substr(1));
  throw bad_format(text, "not a format");
}

std::string NumberFormat::to_string() const {
  switch (family) {
    case Family::Float:
      return fmt::format("e{}m{}", exponent_bits, fraction_bits);
    case Family::FiniteFloat:
      return fmt::format("e{}m{}fn", exponent_bits, fraction_bits);
    case Family::Signed:
      return fmt::format("fx{}.{}", width, fraction_bits);
    case Family::Unsigned:
      return fmt::format("ufx{}.{}", width, fraction_bits);
  }
  throw Error("a number format of no family", Error::Kind::System);
}

int NumberFormat::precision() const {
  if (is_float()) return fraction_bits + 1;
  return family == Family::Signed ? width - 1 : width;
}

double NumberFormat::max_value() const {
  switch (family) {
    case Family::Float:  // 2^(bias + 1) less one unit of the last place
      return std::ldexp(2.0 - std::ldexp(1.0, -fraction_bits), max_exponent());
    case Family::FiniteFloat:  // the code of all ones is NaN, so the largest fraction is one unit
                               // less
      return std::ldexp(2.0 - std::ldexp(2.0, -fraction_bits), max_exponent());
    case Family::Signed:
    case Family::Unsigned:
      return std::ldexp(std::ldexp(1.0, precision()) - 1.0, -fraction_bits);
  }
  return 0;
}

double NumberFormat::lowest_value() const {
  if (is_float()) return -max_value();
  if (family == Family::Unsigned) return 0;
  return -std::ldexp(1.0, width - 1 - fraction_bits);
}

double NumberFormat::smallest_normal() const {
  return std::ldexp(1.0, is_float() ? min_exponent() : -fraction_bits);
}

double NumberFormat::smallest_value() const { return std::ldexp(1.0, min_quantum_exponent()); }

bool NumberFormat::fits_float32() const {
  if (is_float()) return true;  // X <= 8 and Y <= 23
  // The unit must be at least float32's smallest subnormal, the largest power of two at most 2^127.
  // A signed code of 25 bits fits: its only magnitude of 25 bits is 2^24.
  return precision() <= 24 && fraction_bits <= 149 && width - 1 - fraction_bits <= 127;
}

}  // namespace narrowmac
