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
  const bool aligned = conversion.rounding.mode == RoundingMode::TruncateAligned;
  const int guard = conversion.rounding.guard_bits;
  if (aligned && !format.is_float()) {
    throw Error(
        fmt::format("{} '{}': rounding 'truncate-aligned' is for floats, since fixed point has "
                    "nothing to align; accepted: nearest-even, nearest-away, toward-zero, down, "
                    "stochastic",
                    role, name));
  }
  if (aligned ? guard < 0 || guard > kMaxGuardBits : guard != 0) {
    throw Error(
        fmt::format("{}: guard_bits = {}; accepted: 0..{} with rounding "
                    "'truncate-aligned', otherwise 0",
                    role, guard, kMaxGuardBits));
  }
}

void validate_dot(const MacDesign& mac) {
  const Dot& dot = *mac.dot;
  if (mac.chunk) {
    throw Error(
        "a MAC has either a chunk or a dot, not both; accepted: one of [mac.chunk] and "
        "[mac.dot]");
  }
  if (dot.terms < 1 || dot.terms > kMaxDotTerms) {
    throw Error(fmt::format("dot terms = {}; accepted: 1..{}", dot.terms, kMaxDotTerms));
  }
  if (dot.fraction_bits < 0 || dot.fraction_bits > kMaxDotFractionBits) {
    throw Error(fmt::format("dot fraction_bits = {}; accepted: 0..{}", dot.fraction_bits,
                            kMaxDotFractionBits));
  }
  for (const NumberFormat& operand : {mac.a, mac.b}) {
    if (operand.is_float()) continue;
    throw Error(
        fmt::format("a dot aligns its products by their exponents, so it needs float "
                    "operands; found '{}'",
                    operand.to_string()));
  }
  if (mac.product) {
    throw Error(fmt::format("a dot adds exact products; found product '{}'; accepted: exact",
                            mac.product->format.to_string()));
  }
}

/// What order 'dot' and 'exact' ask of the rounding: they round a sum, not two addends.
void validate_group_rounding(const MacDesign& mac) {
  if (mac.accumulator.rounding.mode != RoundingMode::TruncateAligned) return;
  throw Error(
      fmt::format("order '{}' cannot round by 'truncate-aligned', which aligns the two addends of "
                  "one addition; accepted: nearest-even, nearest-away, toward-zero, down, "
                  "stochastic",
                  to_string(mac.order())));
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

/// Without special values no result may be one.
void validate_finite(const Conversion& conversion, std::string_view role) {
  if (conversion.format.is_fixed() || conversion.overflow == Overflow::Saturate) return;
  throw Error(
      fmt::format("special_values = false, but the {} '{}' overflows to infinity or NaN; accepted "
                  "with overflow = \"saturate\"",
                  role, conversion.format.to_string()));
}

std::string describe_rounding(const Rounding& rounding) {
  if (rounding.mode == RoundingMode::Stochastic) {
    return fmt::format("stochastic({} bits)", rounding.random_bits);
  }
  if (rounding.mode == RoundingMode::TruncateAligned) {
    return fmt::format("truncate-aligned({} guard bit{})", rounding.guard_bits,
                       rounding.guard_bits == 1 ? "" : "s");
  }
  return std::string(to_string(rounding.mode));
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

/// "dot of 4 at 13 fraction bits toward-zero", and "separate" where the accumulator is.
std::string describe_dot(const Dot& dot) {
  return fmt::format("dot of {} at {} fraction bit{} {}{}", dot.terms, dot.fraction_bits,
                     dot.fraction_bits == 1 ? "" : "s", to_string(dot.alignment),
                     dot.accumulator == DotAccumulator::Separate ? ", accumulator separate" : "");
}

bool same_rules(const Conversion& left, const Conversion& right) {
  return left.rounding == right.rounding && left.overflow == right.overflow &&
         left.subnormals == right.subnormals;
}

std::string rules_to_toml(const Conversion& conversion, int random_bits) {
  std::string text = fmt::format("rounding = \"{}\"\n", to_string(conversion.rounding.mode));
  if (random_bits != 0) text += fmt::format("random_bits = {}\n", random_bits);
  if (conversion.rounding.mode == RoundingMode::TruncateAligned) {
    text += fmt::format("guard_bits = {}\n", conversion.rounding.guard_bits);
  }
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
    case RoundingMode::TruncateAligned:
      return "truncate-aligned";
  }
  return "";
}

std::string_view to_string(DotAccumulator accumulator) {
  return accumulator == DotAccumulator::Aligned ? "aligned" : "separate";
}

std::string_view to_string(Alignment alignment) {
  switch (alignment) {
    case Alignment::TowardZero:
      return "toward-zero";
    case Alignment::Down:
      return "down";
    case Alignment::NearestEven:
      return "nearest-even";
  }
  return "";
}

std::string_view to_string(MacOrder order) {
  switch (order) {
    case MacOrder::Sequential:
      return "sequential";
    case MacOrder::Chunk:
      return "chunk";
    case MacOrder::Dot:
      return "dot";
    case MacOrder::Exact:
      return "exact";
  }
  return "";
}

MacOrder MacDesign::order() const {
  if (exact) return MacOrder::Exact;
  if (dot) return MacOrder::Dot;
  return chunk ? MacOrder::Chunk : MacOrder::Sequential;
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
    conversion.overflow = special_values ? Overflow::Infinity : Overflow::Saturate;
  } else {
    conversion.overflow = accumulator.overflow;
  }
  return conversion;
}

void validate(const MacDesign& mac) {
  (void)NumberFormat::parse(mac.a.to_string());
  (void)NumberFormat::parse(mac.b.to_string());
  validate_conversion(mac.accumulator, "accumulator");
  if (mac.product) {
    validate_conversion(*mac.product, "product");
    if (mac.product->rounding.mode == RoundingMode::TruncateAligned) {
      throw Error(
          "product: rounding 'truncate-aligned' is for sums; accepted: nearest-even, "
          "nearest-away, toward-zero, down, stochastic");
    }
  }
  if (!mac.special_values) {
    validate_finite(mac.accumulator, "accumulator");
    if (mac.product) validate_finite(*mac.product, "product");
    if (mac.chunk) validate_finite(mac.chunk->accumulator, "chunk accumulator");
  }
  if (mac.exact && (mac.chunk || mac.dot)) {
    throw Error(fmt::format("order 'exact' adds all products in one sum; found a {} beside it",
                            mac.chunk ? "chunk" : "dot"));
  }
  if (mac.dot) validate_dot(mac);
  if (mac.dot || mac.exact) validate_group_rounding(mac);
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
  if (!mac.special_values) text += " no-special-values";
  if (mac.exact) return text + ", exact";
  if (mac.dot) return text + ", " + describe_dot(*mac.dot);
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
  // Printed only where it matters, so that the text of older designs, and runs' hashes, stay.
  if (!mac.special_values) text += "special_values = false\n";
  if (mac.exact) text += "order = \"exact\"\n";
  if (mac.dot) {
    text += fmt::format(
        "\n[{}.dot]\nterms = {}\nfraction_bits = {}\naccumulator = \"{}\"\nalignment = \"{}\"\n",
        table_name, mac.dot->terms, mac.dot->fraction_bits, to_string(mac.dot->accumulator),
        to_string(mac.dot->alignment));
  }
  if (!mac.chunk) return text;
  const Conversion& second = mac.chunk->accumulator;
  text += fmt::format("\n[{}.chunk]\n", table_name);
  if (mac.chunk->length != 0) text += fmt::format("length = {}\n", mac.chunk->length);
  text += fmt::format("accumulator = \"{}\"\n", second.format.to_string());
  text += rules_to_toml(second, second.rounding.random_bits);
  return text;
}

}  // namespace narrowmac
