#include "models/design/config_document.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <sstream>

namespace narrowmac {
namespace config_path {
namespace {

bool is_bare_key(std::string_view key) {
  const auto bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !key.empty() && std::all_of(key.begin(), key.end(), bare);
}

const toml::node* child(const toml::node& parent, const std::string& segment) {
  if (const auto* table = parent.as_table()) return table->get(segment);
  const auto* array = parent.as_array();
  if (array == nullptr) return nullptr;
  std::size_t index = 0;
  const char* end = segment.data() + segment.size();
  const auto [stop, status] = std::from_chars(segment.data(), end, index);
  return status == std::errc() && stop == end ? array->get(index) : nullptr;
}

}  // namespace

std::string join(std::string_view parent, std::string_view key) {
  std::string path(parent);
  if (!path.empty()) path.push_back('.');
  if (is_bare_key(key)) {
    path.append(key);
    return path;
  }
  path.push_back('"');
  for (const char c : key) {
    if (c == '"' || c == '\\') path.push_back('\\');
    path.push_back(c);
  }
  path.push_back('"');
  return path;
}

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> segments;
  if (path.empty()) return segments;
  segments.emplace_back();
  bool quoted = false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '"') {
      quoted = !quoted;
    } else if (quoted && path[i] == '\\' && i + 1 < path.size()) {
      segments.back() += path[++i];
    } else if (path[i] == '.' && !quoted) {
      segments.emplace_back();
    } else {
      segments.back() += path[i];
    }
  }
  return segments;
}

const toml::node* find(const toml::table& root, std::string_view path) {
  const toml::node* node = &root;
  for (const std::string& segment : split(path)) {
    node = child(*node, segment);
    if (node == nullptr) return nullptr;
  }
  return node;
}

toml::node* find(toml::table& root, std::string_view path) {
  return const_cast<toml::node*>(find(static_cast<const toml::table&>(root), path));
}

}  // namespace config_path

std::string describe_node(const toml::node& node) {
  const auto with_value = [](std::string_view type, const auto& value) {
    std::ostringstream text;
    text << value;
    return fmt::format("{} {}", type, text.str());
  };
  switch (node.type()) {
    case toml::node_type::string:
      return fmt::format("the string '{}'", node.as_string()->get());
    case toml::node_type::integer:
      return with_value("the integer", *node.as_integer());
    case toml::node_type::floating_point:
      return with_value("the float", *node.as_floating_point());
    case toml::node_type::boolean:
      return fmt::format("the boolean {}", node.as_boolean()->get());
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return node.is_array_of_tables() ? "an array of tables" : "an array";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

std::string node_to_toml(const toml::node& node) {
  std::ostringstream text;
  if (const toml::table* table = node.as_table()) {
    toml::table copy = *table;
    copy.is_inline(true);
    text << copy;
  } else {
    node.visit([&text](const auto& value) { text << value; });
  }
  return text.str();
}

}  // namespace narrowmac
