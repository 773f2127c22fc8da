#include "models/design/config.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "models/design/config_document.h"

namespace narrowmac {
namespace {

std::string range_text(std::int64_t low, std::int64_t high) {
  const bool unbounded = high == std::numeric_limits<std::int64_t>::max();
  if (unbounded && low == std::numeric_limits<std::int64_t>::min()) return "any integer";
  return unbounded ? fmt::format("at least {}", low) : fmt::format("{}..{}", low, high);
}

}  // namespace

ConfigTable::ConfigTable(std::shared_ptr<Document> document, std::string path)
    : document_(std::move(document)), path_(std::move(path)) {}

ConfigTable ConfigTable::read_file(const std::filesystem::path& path) {
  std::error_code status;
  if (std::filesystem::is_directory(path, status)) {
    throw Error(fmt::format("{}: is a directory; accepted: a TOML file", path.string()));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw Error(fmt::format("{}: cannot be read ({}); accepted: a TOML file", path.string(),
                            std::generic_category().message(errno)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return parse(text.str(), path.string());
}

ConfigTable ConfigTable::parse(std::string_view text, std::string_view source_name) {
  auto document = std::make_shared<Document>();
  document->source = source_name;
  try {
    document->root = toml::parse(text, source_name);
  } catch (const toml::parse_error& failure) {
    throw Error(fmt::format("{}:{}:{}: not TOML: {}", source_name, failure.source().begin.line,
                            failure.source().begin.column, failure.description()));
  }
  return ConfigTable(std::move(document), "");
}

namespace {

/// Line of a key (its own, not its value's), or of the table if the key is missing; 0 if unknown.
std::uint32_t line_of(const toml::table& table, std::string_view key) {
  for (auto&& [name, node] : table) {
    if (name.str() == key) return name.source().begin.line;
  }
  return table.source().begin.line;
}

}  // namespace

Error ConfigTable::error(std::string_view key, std::string_view message) const {
  const std::string path = config_path::join(path_, key);
  std::string place;
  for (std::string prefix = path; place.empty();) {  // the nearest enclosing value with an origin
    const auto origin = document_->origins.find(prefix);
    if (origin != document_->origins.end()) place = origin->second;
    const auto dot = prefix.rfind('.');
    if (dot == std::string::npos) break;
    prefix.resize(dot);
  }
  if (place.empty()) {
    place = document_->source;
    const auto* node = config_path::find(document_->root, path_);
    const std::uint32_t line =
        node != nullptr && node->is_table() ? line_of(*node->as_table(), key) : 0;
    const bool missing_in_root = path_.empty() && !document_->root.contains(key);
    if (line != 0 && !missing_in_root) place += fmt::format(":{}", line);
  }
  return Error(fmt::format("{}: {}: {}", place, path, message));
}

Error ConfigTable::error(std::string_view message) const {
  if (path_.empty()) return Error(fmt::format("{}: {}", document_->source, message));
  const auto segments = config_path::split(path_);
  std::string parent;
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    parent = config_path::join(parent, segments[i]);
  }
  const auto* node = config_path::find(document_->root, path_);
  const auto origin = document_->origins.find(path_);
  if (origin == document_->origins.end() && node != nullptr && node->source().begin.line != 0) {
    return Error(
        fmt::format("{}:{}: {}: {}", document_->source, node->source().begin.line, path_, message));
  }
  return ConfigTable(document_, parent).error(segments.back(), message);
}

namespace {

/// The node of a key or null, remembered as asked for.
const toml::node* look(ConfigTable::Document& document, std::string_view table,
                       std::string_view key) {
  document.asked[std::string(table)].emplace(key);
  return config_path::find(document.root, config_path::join(table, key));
}

/// The node of a required key, remembered as read. `accepted` goes into the message if it is
/// missing.
const toml::node& need(const ConfigTable& table, ConfigTable::Document& document,
                       std::string_view path, std::string_view key,
                       const std::string& accepted = {}) {
  const toml::node* node = look(document, path, key);
  if (node == nullptr) {
    const std::string misspelt = nearest(key, table.keys());
    std::string message = "is missing";
    if (!misspelt.empty() && document.read.count(config_path::join(path, misspelt)) == 0) {
      message += fmt::format("; is '{}' meant?", misspelt);
    } else if (!accepted.empty()) {
      message += fmt::format("; accepted: {}", accepted);
    }
    throw table.error(key, message);
  }
  document.read.insert(config_path::join(path, key));
  return *node;
}

Error wrong_type(const ConfigTable& table, std::string_view key, std::string_view expected,
                 const toml::node& found) {
  return table.error(key, fmt::format("expected {}, found {}", expected, describe_node(found)));
}

}  // namespace

bool ConfigTable::has(std::string_view key) const {
  return look(*document_, path_, key) != nullptr;
}

std::vector<std::string> ConfigTable::keys() const {
  std::vector<std::pair<toml::source_position, std::string>> found;
  const auto* node = config_path::find(document_->root, path_);
  if (node != nullptr && node->is_table()) {
    for (auto&& [name, value] : *node->as_table()) {
      found.emplace_back(name.source().begin, std::string(name.str()));
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& left, const auto& right) {
    const auto order = [](const toml::source_position& position) {  // later additions come last
      return position.line == 0 ? std::numeric_limits<std::uint32_t>::max() : position.line;
    };
    return std::pair(order(left.first), left.first.column) <
           std::pair(order(right.first), right.first.column);
  });
  std::vector<std::string> names;
  names.reserve(found.size());
  for (const auto& entry : found) names.push_back(entry.second);
  return names;
}

std::string ConfigTable::string(std::string_view key) const {
  const toml::node& node = need(*this, *document_, path_, key);
  if (!node.is_string()) throw wrong_type(*this, key, "a string", node);
  return node.as_string()->get();
}

std::int64_t ConfigTable::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const std::string accepted = range_text(low, high);
  const toml::node& node = need(*this, *document_, path_, key, accepted);
  if (!node.is_integer()) throw wrong_type(*this, key, "an integer", node);
  const std::int64_t value = node.as_integer()->get();
  if (value < low || value > high) {
    throw error(key, fmt::format("found {}; accepted: {}", value, accepted));
  }
  return value;
}

double ConfigTable::number(std::string_view key) const {
  const toml::node& node = need(*this, *document_, path_, key);
  if (node.is_integer()) return static_cast<double>(node.as_integer()->get());
  if (!node.is_floating_point() || std::isnan(node.as_floating_point()->get())) {
    throw wrong_type(*this, key, "a number", node);
  }
  return node.as_floating_point()->get();
}

bool ConfigTable::boolean(std::string_view key) const {
  const toml::node& node = need(*this, *document_, path_, key);
  if (!node.is_boolean()) throw wrong_type(*this, key, "true or false", node);
  return node.as_boolean()->get();
}

ConfigTable ConfigTable::table(std::string_view key) const {
  const toml::node& node = need(*this, *document_, path_, key);
  if (!node.is_table()) throw wrong_type(*this, key, "a table", node);
  return ConfigTable(document_, config_path::join(path_, key));
}

std::vector<ConfigTable> ConfigTable::tables(std::string_view key) const {
  if (!has(key)) return {};
  const toml::node& node = need(*this, *document_, path_, key);
  const toml::array* array = node.as_array();
  if (array == nullptr || (!array->empty() && !array->is_array_of_tables())) {
    throw wrong_type(*this, key, fmt::format("an array of tables ([[{}]])", key), node);
  }
  const std::string path = config_path::join(path_, key);
  std::vector<ConfigTable> found;
  for (std::size_t i = 0; i < array->size(); ++i) {
    found.push_back(ConfigTable(document_, config_path::join(path, std::to_string(i))));
  }
  return found;
}

namespace {

const toml::array& need_array(const ConfigTable& table, std::string_view key,
                              std::string_view expected, const toml::node& node) {
  if (!node.is_array()) throw wrong_type(table, key, expected, node);
  return *node.as_array();
}

}  // namespace

std::vector<std::int64_t> ConfigTable::integers(std::string_view key) const {
  constexpr std::string_view kExpected = "an array of integers";
  std::vector<std::int64_t> values;
  for (const toml::node& element :
       need_array(*this, key, kExpected, need(*this, *document_, path_, key))) {
    if (!element.is_integer()) throw wrong_type(*this, key, kExpected, element);
    values.push_back(element.as_integer()->get());
  }
  return values;
}

std::vector<std::string> ConfigTable::strings(std::string_view key) const {
  constexpr std::string_view kExpected = "an array of strings";
  std::vector<std::string> values;
  for (const toml::node& element :
       need_array(*this, key, kExpected, need(*this, *document_, path_, key))) {
    if (!element.is_string()) throw wrong_type(*this, key, kExpected, element);
    values.push_back(element.as_string()->get());
  }
  return values;
}

std::vector<std::string> ConfigTable::toml_values(std::string_view key) const {
  std::vector<std::string> values;
  const toml::array& array =
      need_array(*this, key, "an array", need(*this, *document_, path_, key));
  for (const toml::node& element : array) values.push_back(node_to_toml(element));
  mark_read(*document_, config_path::join(path_, key), array);  // tables have keys
  return values;
}

std::string ConfigTable::string_or(std::string_view key, std::string_view fallback) const {
  return has(key) ? string(key) : std::string(fallback);
}

std::int64_t ConfigTable::integer_or(std::string_view key, std::int64_t fallback, std::int64_t low,
                                     std::int64_t high) const {
  return has(key) ? integer(key, low, high) : fallback;
}

double ConfigTable::number_or(std::string_view key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool ConfigTable::boolean_or(std::string_view key, bool fallback) const {
  return has(key) ? boolean(key) : fallback;
}

bool ConfigTable::is_string(std::string_view key) const {
  const toml::node* node = look(*document_, path_, key);
  return node != nullptr && node->is_string();
}

bool ConfigTable::is_boolean(std::string_view key) const {
  const toml::node* node = look(*document_, path_, key);
  return node != nullptr && node->is_boolean();
}

bool ConfigTable::is_table(std::string_view key) const {
  const toml::node* node = look(*document_, path_, key);
  return node != nullptr && node->is_table();
}

std::size_t ConfigTable::choice(std::string_view key,
                                const std::vector<std::string>& accepted) const {
  const std::string found = string(key);
  const auto match = std::find(accepted.begin(), accepted.end(), found);
  if (match != accepted.end()) return static_cast<std::size_t>(match - accepted.begin());
  throw error(key, fmt::format("found '{}'; accepted: {}", found, fmt::join(accepted, ", ")));
}

void ConfigTable::reject_unknown() const {
  const toml::node* node = config_path::find(document_->root, path_);
  if (node == nullptr || !node->is_table()) return;
  for (const std::string& key : keys()) {
    const std::string path = config_path::join(path_, key);
    if (document_->read.count(path) == 0) {
      const auto& asked = document_->asked[path_];
      const std::vector<std::string> accepted(asked.begin(), asked.end());
      const std::string near = nearest(key, accepted);
      std::string message = "unknown key;";
      if (!near.empty()) message += fmt::format(" did you mean '{}'?", near);
      message +=
          fmt::format(" accepted: {}",
                      accepted.empty() ? "none" : fmt::format("{}", fmt::join(accepted, ", ")));
      throw error(key, message);
    }
    const toml::node* value = config_path::find(document_->root, path);
    if (value->is_table()) ConfigTable(document_, path).reject_unknown();
    if (!value->is_array_of_tables()) continue;
    for (const ConfigTable& element : tables(key)) element.reject_unknown();
  }
}

std::string ConfigTable::source_name() const { return document_->source; }

}  // namespace narrowmac
