#pragma once

// Internal to config*.cpp: what the copies of a ConfigTable share. Includes toml++, so no public
// header includes this.

#include <toml++/toml.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "models/design/config.h"
#include "models/design/nearest_word.h"

namespace narrowmac {

/// A parsed document. Paths are dotted; a segment that is no bare TOML key is quoted, so that a key
/// with a dot in it (`"mac.accumulator" = ...`) stays one segment. Elements of arrays are addressed
/// by index.
struct ConfigTable::Document {
  toml::table root;
  std::string source;
  std::set<std::string, std::less<>> read;  ///< paths of keys that somebody has read
  /// Per table path: every key that was asked for, present or not. What a misspelt key could have
  /// meant.
  std::map<std::string, std::set<std::string>, std::less<>> asked;
  /// Where values came from that are not in `source` itself (--set, a sweep's point), by path.
  std::map<std::string, std::string, std::less<>> origins;
};

namespace config_path {

std::string join(std::string_view parent, std::string_view key);
std::vector<std::string> split(std::string_view path);
/// The node at a path below `root`, or null.
const toml::node* find(const toml::table& root, std::string_view path);
toml::node* find(toml::table& root, std::string_view path);

}  // namespace config_path

/// Marks a path and everything below it as read.
void mark_read(ConfigTable::Document& document, const std::string& path, const toml::node& node);
/// "a string", "the integer 5", "a table", ...: what was found, for messages.
std::string describe_node(const toml::node& node);
/// A value as TOML text on one line (tables inline).
std::string node_to_toml(const toml::node& node);
}  // namespace narrowmac
