#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "models/quantizers/tensor_quantizer.h"

namespace narrowmac {

namespace {

const NumberFormat kFloat32{};

constexpr RoundingMode kModes[] = {RoundingMode::NearestEven, RoundingMode::NearestAway,
                                   RoundingMode::TowardZero, RoundingMode::Down,
                                   RoundingMode::Stochastic};
constexpr Overflow kOverflows[] = {Overflow::Infinity, Overflow::Saturate, Overflow::Wrap};
constexpr Scaling kScalings[] = {Scaling::None, Scaling::MaxAbs, Scaling::Sigma};

/// One of `values`, by its name; `fallback` if the key is missing.
template <typename Enum, std::size_t size>
Enum choice_or(const ConfigTable& table, std::string_view key, const Enum (&values)[size],
               Enum fallback) {
  if (!table.has(key)) {
    return fallback;
  }
  std::vector<std::string> names;
  for (const Enum value : values) {
    names.emplace_back(to_string(value));
  }
  return values[table.choice(key, names)];
}

NumberFormat parse_format(const ConfigTable& table, std::string_view key) {
  NumberFormat format;
  try {
    format = NumberFormat::parse(table.string(key));
  } catch (const Error& error) {
    const std::string text = error.what();
    // ConfigTable's own errors (a missing key, another type) already name the place.
    throw text.starts_with(table.source_name()) ? error : table.error(key, text);
  }
  if (!fits_tensor(format)) {
    throw table.error(key, fmt::format("{} has values beyond the range of fp32, which tensors are "
                                       "kept in; accepted: F up to 149 and W - F up to 128",
                                       format.to_string()));
  }
  return format;
}

void refuse(const ConfigTable& table, std::string_view key, bool meaningless,
            std::string_view message) {
  if (meaningless && table.has(key)) {
    throw table.error(key, message);
  }
}

Overflow parse_overflow(const ConfigTable& table, const NumberFormat& format) {
  const Overflow overflow = choice_or(table, "overflow", kOverflows, Overflow::Saturate);
  if (format.is_float() && overflow == Overflow::Wrap) {
    throw table.error("overflow", fmt::format("wrap with the float format {}; accepted: infinity, "
                                              "saturate",
                                              format.to_string()));
  }
  if (format.is_fixed() && overflow == Overflow::Infinity) {
    throw table.error("overflow", fmt::format("infinity with the fixed-point format {}; accepted: "
                                              "saturate, wrap",
                                              format.to_string()));
  }
  return overflow;
}

Rounding parse_rounding(const ConfigTable& table) {
  Rounding rounding;
  rounding.mode = choice_or(table, "rounding", kModes, RoundingMode::NearestEven);
  const bool stochastic = rounding.mode == RoundingMode::Stochastic;
  refuse(table, "random_bits", !stochastic, "only with rounding = \"stochastic\"");
  if (stochastic) {
    rounding.random_bits = static_cast<int>(table.integer("random_bits", 1, 24));
  }
  return rounding;
}

}  // namespace

bool fits_tensor(const NumberFormat& format) {
  return format.is_float() ||
         (format.smallest_value() >= std::numeric_limits<float>::denorm_min() &&
          format.max_value() <= std::numeric_limits<float>::max() &&
          -format.lowest_value() <= std::numeric_limits<float>::max());
}

std::string_view to_string(Scaling scaling) {
  switch (scaling) {
    case Scaling::None:
      return "none";
    case Scaling::MaxAbs:
      return "max-abs";
    case Scaling::Sigma:
      return "sigma";
  }
  return "";
}

bool TensorFormat::is_identity() const {
  return conversion.format == kFloat32 && conversion.subnormals && scaling == Scaling::None;
}

std::string TensorFormat::describe() const {
  std::string text = conversion.format.to_string();
  text += fmt::format(" {}", to_string(conversion.rounding.mode));
  if (conversion.rounding.mode == RoundingMode::Stochastic) {
    text += fmt::format("({} bits)", conversion.rounding.random_bits);
  }
  if (scaling == Scaling::Sigma) {
    text += fmt::format(", scaled to {} sigma", sigmas);
  } else if (scaling == Scaling::MaxAbs) {
    text += ", scaled to max-abs";
  }
  text += fmt::format(", overflow {}", to_string(conversion.overflow));
  return conversion.subnormals ? text : text + ", no subnormals";
}

TensorFormat parse_tensor_format(const ConfigTable& parent, std::string_view key,
                                 bool default_subnormals) {
  TensorFormat result;
  result.conversion.overflow = Overflow::Saturate;
  const auto default_scaling = [](const NumberFormat& format) {
    return format.is_float() ? Scaling::None : Scaling::MaxAbs;
  };
  if (!parent.is_table(key)) {
    result.conversion.format = parse_format(parent, key);
    result.scaling = default_scaling(result.conversion.format);
    if (result.conversion.format.is_float()) result.conversion.subnormals = default_subnormals;
    return result;
  }
  const ConfigTable table = parent.table(key);
  const NumberFormat format = parse_format(table, "format");
  result.conversion.format = format;
  result.conversion.rounding = parse_rounding(table);
  result.conversion.overflow = parse_overflow(table, format);
  refuse(table, "subnormals", format.is_fixed(), "only with a float format");
  if (format.is_float()) {
    result.conversion.subnormals = table.boolean_or("subnormals", default_subnormals);
  }
  result.scaling = choice_or(table, "scaling", kScalings, default_scaling(format));
  refuse(table, "sigmas", result.scaling != Scaling::Sigma, "only with scaling = \"sigma\"");
  result.sigmas = table.number_or("sigmas", result.sigmas);
  if (!(result.sigmas > 0) || !std::isfinite(result.sigmas)) {
    throw table.error("sigmas",
                      fmt::format("{} found; accepted: a positive number", result.sigmas));
  }
  return result;
}

std::string to_toml(const TensorFormat& format) {
  const Conversion& conversion = format.conversion;
  std::string text =
      fmt::format("{{ format = \"{}\", rounding = \"{}\"", conversion.format.to_string(),
                  to_string(conversion.rounding.mode));
  if (conversion.rounding.mode == RoundingMode::Stochastic) {
    text += fmt::format(", random_bits = {}", conversion.rounding.random_bits);
  }
  text += fmt::format(", scaling = \"{}\"", to_string(format.scaling));
  if (format.scaling == Scaling::Sigma) {
    const std::string sigmas = fmt::format("{}", format.sigmas);
    const bool is_integer = sigmas.find_first_of(".e") == std::string::npos;
    text += fmt::format(", sigmas = {}{}", sigmas, is_integer ? ".0" : "");
  }
  text += fmt::format(", overflow = \"{}\"", to_string(conversion.overflow));
  if (conversion.format.is_float()) {
    text += fmt::format(", subnormals = {}", conversion.subnormals);
  }
  return text + " }";
}

}  // namespace narrowmac
