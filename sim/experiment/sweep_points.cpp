#include "sim/experiment/sweep_points.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>
#include <charconv>
#include <limits>
#include <map>
#include <optional>

#include "models/design/error.h"
#include "sim/experiment/json.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

/// A dotted key and its value as TOML text; no value: the key is a table that must exist.
struct Assignment {
  std::string key;
  std::string value;
  std::string origin;
  bool is_table = false;
};

struct Variation {
  std::string label;
  std::vector<Assignment> assignments;
};

std::string join(const std::string& prefix, const std::string& key) {
  return prefix.empty() ? key : prefix + "." + key;
}

/// A value that is no table, as TOML text.
std::string toml_of(const ConfigTable& table, const std::string& key) {
  if (table.is_string(key)) {
    // JSON's escapes are those of a basic TOML string.
    std::string text = Json(table.string(key)).to_text();
    text.pop_back();
    return text;
  }
  if (table.is_boolean(key)) return table.boolean(key) ? "true" : "false";
  try {
    return std::to_string(table.integer(key, std::numeric_limits<std::int64_t>::min(),
                                        std::numeric_limits<std::int64_t>::max()));
  } catch (const Error&) {  // no integer
  }
  try {
    return fmt::format("{}", table.number(key));
  } catch (const Error&) {  // no number
  }
  return fmt::format("[{}]", fmt::join(table.toml_values(key), ", "));
}

/// The place "FILE:LINE" of a key, for messages about what it sets.
std::string place_of(const ConfigTable& table, const std::string& key) {
  const std::string text = table.error(key, "").what();
  return text.substr(0, text.find(": "));
}

void collect(const ConfigTable& table, const std::string& prefix,
             std::vector<Assignment>& assignments) {
  for (const std::string& key : table.keys()) {
    if (prefix.empty() && key == "label") continue;
    const std::string path = join(prefix, key);
    if (table.is_table(key)) {
      assignments.push_back({path, "{}", place_of(table, key), true});
      collect(table.table(key), path, assignments);
    } else {
      assignments.push_back({path, toml_of(table, key), place_of(table, key), false});
    }
  }
}

/// A TOML value as people write it: strings without quotes, numbers with as few digits as say the
/// same.
std::string readable(const std::string& toml) {
  const bool quoted = toml.size() >= 2 && (toml.front() == '"' || toml.front() == '\'');
  if (quoted) return toml.substr(1, toml.size() - 2);
  double value = 0;
  const char* end = toml.data() + toml.size();
  const auto parsed = std::from_chars(toml.data(), end, value);
  const bool is_float = toml.find_first_of(".e") != std::string::npos;
  return is_float && parsed.ec == std::errc() && parsed.ptr == end ? fmt::format("{}", value)
                                                                   : toml;
}

std::string default_label(const std::vector<Assignment>& assignments) {
  std::vector<std::string> parts;
  for (const Assignment& assignment : assignments) {
    if (assignment.is_table) continue;
    parts.push_back(fmt::format("{}={}", assignment.key, readable(assignment.value)));
  }
  return parts.empty() ? "base" : fmt::format("{}", fmt::join(parts, ", "));
}

void collect_grid(const ConfigTable& table, const std::string& prefix,
                  std::vector<Variation>& variations) {
  for (const std::string& key : table.keys()) {
    const std::string path = join(prefix, key);
    if (table.is_table(key)) {
      collect_grid(table.table(key), path, variations);
      continue;
    }
    const std::vector<std::string> values = table.toml_values(key);
    if (values.empty()) throw table.error(key, "found an empty list; accepted: at least one value");
    std::vector<Variation> combined;
    for (const Variation& variation : variations) {
      for (const std::string& value : values) {
        combined.push_back(variation);
        combined.back().assignments.push_back({path, value, place_of(table, key), false});
      }
    }
    variations = std::move(combined);
  }
}

std::vector<Variation> read_variations(const ConfigTable& sweep) {
  if (sweep.has("grid") && sweep.has("point")) {
    throw sweep.error("grid", "found with [[sweep.point]]; accepted: one of them");
  }
  std::vector<Variation> variations;
  if (sweep.has("grid")) {
    variations.emplace_back();
    collect_grid(sweep.table("grid"), "", variations);
  }
  for (const ConfigTable& point : sweep.tables("point")) {
    Variation variation;
    variation.label = point.string_or("label", "");
    collect(point, "", variation.assignments);
    variations.push_back(std::move(variation));
  }
  if (variations.empty())
    throw sweep.error("accepted: [sweep.grid] or at least one [[sweep.point]]");
  for (Variation& variation : variations) {
    if (variation.label.empty()) variation.label = default_label(variation.assignments);
  }
  return variations;
}

bool has_nested_table(const ConfigTable& root, const std::string& dotted) {
  const std::size_t dot = dotted.find('.');
  const std::string head = dotted.substr(0, dot);
  if (!root.is_table(head)) return false;
  return dot == std::string::npos || has_nested_table(root.table(head), dotted.substr(dot + 1));
}

void apply(ConfigTable& root, const Variation& variation) {
  for (const Assignment& assignment : variation.assignments) {
    if (assignment.is_table && has_nested_table(root, assignment.key)) continue;
    root.set(assignment.key, assignment.value, assignment.origin, true);
  }
}

/// A label as a run's name.
std::string name_of(const std::string& label) {
  std::string name;
  for (const char c : label) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.';
    if (plain && !(name.empty() && c == '.')) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "point" : name;
}

SweepPoint make_point(const fs::path& base, const std::vector<std::string>& set,
                      const Variation& variation, std::optional<std::int64_t> seed) {
  ConfigTable root = ConfigTable::read_file(base);
  apply_settings(root, set);
  apply(root, variation);
  if (seed) root.set("run.seed", std::to_string(*seed), "[sweep] seeds", true);
  root.set("run.name", "\"" + name_of(variation.label) + "\"", "the point's label", true);
  SweepPoint point;
  point.label = variation.label;
  for (const Assignment& assignment : variation.assignments) {
    if (!assignment.is_table) point.values.emplace_back(assignment.key, readable(assignment.value));
  }
  try {
    point.config = parse_run_config(root, base);
  } catch (const Error& failure) {
    throw Error(fmt::format("sweep point \"{}\": {}", variation.label, failure.what()),
                failure.kind());
  }
  point.hash = run_hash(point.config);
  return point;
}

std::vector<std::optional<std::int64_t>> read_seeds(const ConfigTable& sweep) {
  if (!sweep.has("seeds")) return {std::nullopt};
  std::vector<std::optional<std::int64_t>> seeds;
  for (const std::int64_t seed : sweep.integers("seeds")) {
    if (seed < 0) throw sweep.error("seeds", fmt::format("found {}; accepted: at least 0", seed));
    seeds.emplace_back(seed);
  }
  if (seeds.empty()) throw sweep.error("seeds", "found none; accepted: at least one");
  return seeds;
}

}  // namespace

std::vector<SweepPoint> read_sweep(const fs::path& path, const std::vector<std::string>& set) {
  const ConfigTable root = ConfigTable::read_file(path);
  const ConfigTable sweep = root.table("sweep");
  const fs::path beside = fs::absolute(path).parent_path() / sweep.string("base");
  const fs::path base = beside.lexically_normal();
  if (!fs::is_regular_file(base)) {
    throw sweep.error("base", fmt::format("found no file {}; accepted: a run file, relative to "
                                          "the sweep file",
                                          base.string()));
  }
  const std::vector<std::optional<std::int64_t>> seeds = read_seeds(sweep);
  const std::vector<Variation> variations = read_variations(sweep);
  root.reject_unknown();
  std::vector<SweepPoint> points;
  std::map<std::string, std::string> labels;
  for (const Variation& variation : variations) {
    for (const auto& seed : seeds) {
      points.push_back(make_point(base, set, variation, seed));
      const SweepPoint& point = points.back();
      const auto inserted = labels.emplace(point.hash, point.label);
      if (!inserted.second) {
        throw Error(fmt::format("{}: the points \"{}\" and \"{}\" are the same run (seed {})",
                                path.string(), inserted.first->second, point.label,
                                point.config.training.seed));
      }
    }
  }
  return points;
}

}  // namespace narrowmac
