#include "models/design/mac_design.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/design/error.h"

namespace narrowmac {
namespace {

/// The interval of a format's finite values, in a type whose exponent holds the product of two of
/// them.
struct Range {
  long double low = 0;
  long double high = 0;
};

Range range_of(const NumberFormat& format) { return {format.lowest_value(), format.max_value()}; }

/// All products of finite values of two formats lie in it, and its ends are such products.
Range product_range(const MacDesign& mac) {
  const Range a = range_of(mac.a);
  const Range b = range_of(mac.b);
  const auto [low, high] =
      std::minmax({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high});
  if (!mac.product) return {low, high};
  const Range rounded = range_of(mac.product->format);
  return {std::max(low, rounded.low), std::min(high, rounded.high)};
}

bool holds(const NumberFormat& format, const Range& range) {
  const Range own = range_of(format);
  return own.low <= range.low && range.high <= own.high;
}

void validate_conversion(const Conversion& conversion, std::string_view role) {
  const NumberFormat& format = conversion.format;
  (void)NumberFormat::parse(format.to_string());
  const std::string name = format.to_string();
  if (format.family == NumberFormat::Family::Unsigned) {
    throw Error(
        fmt::format("{} '{}': unsigned formats are for operands only; accepted: a float "
                    "or a signed fixed-point format",
                    role, name));
  }
  if (format.is_fixed() && conversion.overflow == Overflow::Infinity) {
    throw Error(
        fmt::format("{} '{}' has no infinity: overflow must be 'saturate' or 'wrap'", role, name));
  }
  if (format.is_float() && conversion.overflow == Overflow::Wrap) {
    throw Error(fmt::format(
        "{} '{}' is a float, which cannot wrap: overflow must be 'infinity' or 'saturate'", role,
        name));
  }
  const bool stochastic = conversion.rounding.mode == RoundingMode::Stochastic;
  const int bits = conversion.rounding.random_bits;
  if (stochastic && bits == 0) {
    throw Error(fmt::format("{}: rounding 'stochastic' needs random_bits in 1..24", role));
  }
  if (stochastic && (bits < 1 || bits > 24)) {
    throw Error(fmt::format("{}: random_bits = {}; accepted: 1..24", role, bits));
  }
  if (!stochastic && bits != 0) {
    throw Error(fmt::format(
        "{}: random_bits = {} without rounding 'stochastic', which alone uses it", role, bits));
  }
}

void warn_about(const MacDesign& mac, const NumberFormat& format, std::string_view role,
                std::vector<std::string>& warnings) {
  const Range products = product_range(mac);
  const std::string name = format.to_string();
  if (!holds(format, products)) {
    warnings.push_back(fmt::format(
        "the {} {} cannot hold one product: its values lie in {:g}..{:g}, products in {:g}..{:g}",
        role, name, format.lowest_value(), format.max_value(), products.low, products.high));
  }
  const long double largest = std::max(-products.low, products.high);
  if (largest < static_cast<long double>(format.smallest_value())) {
    warnings.push_back(
        fmt::format("the {} {} is too coarse for any product: its smallest value is {:g}, the "
                    "largest product {:g}",
                    role, name, format.smallest_value(), largest));
  }
}

std::string describe_rounding(const Rounding& rounding) {
  if (rounding.mode != RoundingMode::Stochastic) return std::string(to_string(rounding.mode));
  return fmt::format("stochastic({} bits)", rounding.random_bits);
}

/// "e6m9 nearest-even", with what differs from the defaults of the family.
std::string describe_conversion(const Conversion& conversion) {
  std::string text =
      fmt::format("{} {}", conversion.format.to_string(), describe_rounding(conversion.rounding));
  if (conversion.overflow != Overflow::Infinity) {
    text += fmt::format(" {}", to_string(conversion.overflow));
  }
  if (conversion.format.is_float() && !conversion.subnormals) text += " no-subnormals";
  return text;
}

bool same_rules(const Conversion& left, const Conversion& right) {
  return left.rounding == right.rounding && left.overflow == right.overflow &&
         left.subnormals == right.subnormals;
}

std::string rules_to_toml(const Conversion& conversion, int random_bits) {
  std::string text = fmt::format("rounding = \"{}\"\n", to_string(conversion.rounding.mode));
  if (random_bits != 0) text += fmt::format("random_bits = {}\n", random_bits);
  text += fmt::format("overflow = \"{}\"\nsubnormals = {}\n", to_string(conversion.overflow),
                      conversion.subnormals);
  return text;
}

}  // namespace

std::string_view to_string(RoundingMode mode) {
  switch (mode) {
    case RoundingMode::NearestEven:
      return "nearest-even";
    case RoundingMode::NearestAway:
      return "nearest-away";
    case RoundingMode::TowardZero:
      return "toward-zero";
    case RoundingMode::Down:
      return "down";
    case RoundingMode::Stochastic:
      return "stochastic";
  }
  return "";
}

std::string_view to_string(Overflow overflow) {
  switch (overflow) {
    case Overflow::Infinity:
      return "infinity";
    case Overflow::Saturate:
      return "saturate";
    case Overflow::Wrap:
      return "wrap";
  }
  return "";
}

Conversion MacDesign::operand_conversion(const NumberFormat& operand) const {
  Conversion conversion;
  conversion.format = operand;
  conversion.subnormals = accumulator.subnormals;
  if (operand.is_fixed()) {
    conversion.overflow = Overflow::Saturate;
  } else if (accumulator.overflow == Overflow::Wrap) {
    conversion.overflow = Overflow::Infinity;
  } else {
    conversion.overflow = accumulator.overflow;
  }
  return conversion;
}

void validate(const MacDesign& mac) {
  (void)NumberFormat::parse(mac.a.to_string());
  (void)NumberFormat::parse(mac.b.to_string());
  validate_conversion(mac.accumulator, "accumulator");
  if (mac.product) validate_conversion(*mac.product, "product");
  if (!mac.chunk) return;
  validate_conversion(mac.chunk->accumulator, "chunk accumulator");
  if (mac.chunk->length < 0) {
    throw Error(fmt::format("chunk length = {}; accepted: at least 1", mac.chunk->length));
  }
}

std::vector<std::string> warnings(const MacDesign& mac) {
  std::vector<std::string> found;
  if (mac.product) {
    MacDesign exact = mac;
    exact.product.reset();
    warn_about(exact, mac.product->format, "product format", found);
  }
  warn_about(mac, mac.accumulator.format, "accumulator", found);
  if (mac.chunk) warn_about(mac, mac.chunk->accumulator.format, "chunk accumulator", found);
  return found;
}

std::string describe(const MacDesign& mac) {
  std::string text = fmt::format("{} x {} -> ", mac.a.to_string(), mac.b.to_string());
  if (mac.product) text += fmt::format("product {} -> ", describe_conversion(*mac.product));
  text += describe_conversion(mac.accumulator);
  if (!mac.chunk) return text;
  const Conversion& second = mac.chunk->accumulator;
  const std::string length =
      mac.chunk->length == 0 ? "of the array's rows" : std::to_string(mac.chunk->length);
  return text + fmt::format(", chunk {} -> {}", length,
                            same_rules(second, mac.accumulator) ? second.format.to_string()
                                                                : describe_conversion(second));
}

std::string to_toml(const MacDesign& mac, std::string_view table_name) {
  std::string text = fmt::format("[{}]\na = \"{}\"\nb = \"{}\"\n", table_name, mac.a.to_string(),
                                 mac.b.to_string());
  int random_bits = mac.accumulator.rounding.random_bits;
  if (mac.product) {
    text += fmt::format("product = \"{}\"\nproduct_rounding = \"{}\"\n",
                        mac.product->format.to_string(), to_string(mac.product->rounding.mode));
    if (random_bits == 0) random_bits = mac.product->rounding.random_bits;
  } else {
    text += "product = \"exact\"\n";
  }
  text += fmt::format("accumulator = \"{}\"\n", mac.accumulator.format.to_string());
  text += rules_to_toml(mac.accumulator, random_bits);
  if (!mac.chunk) return text;
  const Conversion& second = mac.chunk->accumulator;
  text += fmt::format("\n[{}.chunk]\n", table_name);
  if (mac.chunk->length != 0) text += fmt::format("length = {}\n", mac.chunk->length);
  text += fmt::format("accumulator = \"{}\"\n", second.format.to_string());
  text += rules_to_toml(second, second.rounding.random_bits);
  return text;
}

}  // namespace narrowmac
