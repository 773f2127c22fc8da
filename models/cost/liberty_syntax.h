#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narrowmac {

/// A group of a liberty file: kind(names) { attributes and groups }. A simple attribute has one
/// value, a complex one has several.
struct LibertyGroup {
  struct Attribute {
    std::string name;
    std::vector<std::string> values;
    int line = 0;
  };
  std::string kind;
  std::vector<std::string> names;
  int line = 0;
  std::vector<Attribute> attributes;
  std::vector<LibertyGroup> groups;

  /// Null if there is none; the first of several.
  [[nodiscard]] const Attribute* attribute(std::string_view name) const;
  /// The first value of an attribute, or the fallback.
  [[nodiscard]] std::string value_or(std::string_view name, std::string_view fallback) const;
};

/// Parses a whole file: one library group. Throws Error naming `source` and line.
LibertyGroup parse_liberty(std::string_view text, std::string_view source);

}  // namespace narrowmac
