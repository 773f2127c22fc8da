#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "models/design/config_document.h"

namespace narrowmac {
namespace {

using Segments = std::vector<std::string>;

/// The value of a command-line setting: TOML, or a bare word as a string. A copy, owned by a table
/// of one key.
toml::table parse_value(std::string_view key, std::string_view value, std::string_view origin) {
  try {
    toml::table parsed = toml::parse(fmt::format("value = {}\n", value));
    if (parsed.size() == 1 && parsed.contains("value")) return parsed;
  } catch (const toml::parse_error&) {  // not TOML: perhaps a bare word
  }
  const auto of_a_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-+./:%~@").find(c) != std::string_view::npos;
  };
  if (value.empty() || !std::all_of(value.begin(), value.end(), of_a_word)) {
    throw Error(
        fmt::format("{}: {}: found '{}'; accepted: a TOML value (5, 0.05, true, \"text\", [1, 2]) "
                    "or a bare word",
                    origin, key, value));
  }
  return toml::table{{"value", std::string(value)}};
}

std::string join_all(const Segments& segments, std::size_t count) {
  std::string path;
  for (std::size_t i = 0; i < count; ++i) path = config_path::join(path, segments[i]);
  return path;
}

/// The table or array that holds the last segment, created on the way if that is allowed.
toml::node& parent_of(ConfigTable::Document& document, const Segments& segments,
                      std::string_view origin, bool may_create) {
  toml::table& root = document.root;
  toml::node* node = &root;
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    const std::string path = join_all(segments, i + 1);
    toml::node* next = config_path::find(root, path);
    if (next == nullptr && may_create && node->is_table()) {
      node->as_table()->insert_or_assign(segments[i], toml::table{});
      next = node->as_table()->get(segments[i]);
      document.origins[path] = origin;
    }
    if (next == nullptr) {
      std::vector<std::string> present;
      if (const auto* table = node->as_table()) {
        for (auto&& [name, value] : *table) {
          if (value.is_table() || value.is_array_of_tables()) present.emplace_back(name.str());
        }
      } else if (const auto* array = node->as_array()) {
        for (std::size_t k = 0; k < array->size(); ++k) present.push_back(std::to_string(k));
      }
      std::string accepted;
      for (const std::string& name : present) {
        accepted += (accepted.empty() ? "" : ", ") + config_path::join(join_all(segments, i), name);
      }
      throw Error(fmt::format("{}: {}: there is no table '{}'{}", origin,
                              join_all(segments, segments.size()), path,
                              accepted.empty() ? "" : "; accepted: " + accepted));
    }
    if (!next->is_table() && !next->is_array()) {
      throw Error(fmt::format("{}: {}: '{}' is {}, not a table", origin,
                              join_all(segments, segments.size()), path, describe_node(*next)));
    }
    node = next;
  }
  return *node;
}

bool is_at_or_below(std::string_view path, std::string_view parent) {
  return path == parent ||
         (path.size() > parent.size() && path.starts_with(parent) && path[parent.size()] == '.');
}

void set_origin(std::map<std::string, std::string, std::less<>>& origins, const std::string& path,
                std::string_view origin) {
  for (auto entry = origins.begin(); entry != origins.end();) {
    entry = is_at_or_below(entry->first, path) ? origins.erase(entry) : std::next(entry);
  }
  origins[path] = origin;
}

}  // namespace

void mark_read(ConfigTable::Document& document, const std::string& path, const toml::node& node) {
  document.read.insert(path);
  if (const auto* table = node.as_table()) {
    for (auto&& [key, value] : *table) {
      mark_read(document, config_path::join(path, key.str()), value);
    }
  } else if (const auto* array = node.as_array()) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      mark_read(document, config_path::join(path, std::to_string(i)), *array->get(i));
    }
  }
}

void ConfigTable::set(std::string_view dotted_key, std::string_view value, std::string_view origin,
                      bool may_create) {
  if (!path_.empty()) throw error("values can be set from the root only");
  const Segments segments = config_path::split(dotted_key);
  if (segments.empty() ||
      std::any_of(segments.begin(), segments.end(), [](const auto& s) { return s.empty(); })) {
    throw Error(fmt::format("{}: '{}' is no key; accepted: a dotted key such as mac.accumulator",
                            origin, dotted_key));
  }
  const toml::table parsed = parse_value(dotted_key, value, origin);
  const toml::node& source = *parsed.get("value");
  toml::node& parent = parent_of(*document_, segments, origin, may_create);
  if (toml::table* table = parent.as_table()) {
    source.visit([&](const auto& typed) { table->insert_or_assign(segments.back(), typed); });
  } else {
    const std::string path = join_all(segments, segments.size());
    if (config_path::find(document_->root, path) == nullptr) {
      throw Error(fmt::format("{}: {}: the array has {} elements, counted from 0", origin, path,
                              parent.as_array()->size()));
    }
    auto& array = *parent.as_array();
    const auto position = array.begin() + std::stol(segments.back());
    source.visit([&](const auto& typed) { array.replace(position, typed); });
  }
  set_origin(document_->origins, join_all(segments, segments.size()), origin);
}

void ConfigTable::merge(const ConfigTable& other) {
  if (!path_.empty()) throw error("values can be merged into the root only");
  const toml::node* source = config_path::find(other.document_->root, other.path_);
  if (source == nullptr || !source->is_table()) throw other.error("expected a table");
  merge_below("", other);
}

void ConfigTable::merge_below(const std::string& path, const ConfigTable& other) {
  const toml::table& source = *config_path::find(other.document_->root, other.path_)->as_table();
  for (const std::string& key : other.keys()) {
    const std::string target_path = config_path::join(path, key);
    const std::string source_path = config_path::join(other.path_, key);
    const toml::node& value = *source.get(key);
    mark_read(*other.document_, source_path, value);
    toml::table& target = *config_path::find(document_->root, path)->as_table();
    const toml::node* present = target.get(key);
    if (value.is_table() && present != nullptr && present->is_table()) {
      merge_below(target_path, ConfigTable(other.document_, source_path));
      continue;
    }
    // The message without a text is the place alone: "FILE:LINE: key: ".
    const std::string place = other.error(key, "").what();
    value.visit([&](const auto& typed) { target.insert_or_assign(key, typed); });
    set_origin(document_->origins, target_path, place.substr(0, place.find(": ")));
  }
}

std::string ConfigTable::to_toml() const {
  const toml::node* node = config_path::find(document_->root, path_);
  std::ostringstream text;
  if (node != nullptr && node->is_table()) text << *node->as_table() << '\n';
  return text.str();
}

}  // namespace narrowmac
