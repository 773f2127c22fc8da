#include "models/design/scale_sim_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "models/design/error.h"
#include "models/design/nearest_word.h"

namespace narrowmac {
namespace {

/// Ports of SCALE-Sim's scratchpads are as fast as the array wants.
constexpr double kUnlimited = 1e9;
constexpr std::int64_t kMaxKilobytes = std::int64_t{1} << 40;

struct Entry {
  std::string value;
  std::int64_t line = 0;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\v\f";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

std::string lowercase(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string shown(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 40)) result += c >= ' ' && c <= '~' ? c : '?';
  return text.size() > 40 ? result + "..." : result;
}

const std::vector<std::string>& section_names() {
  static const std::vector<std::string> names = {
      "general", "architecture_presets", "layout", "sparsity", "run_presets", "network_presets"};
  return names;
}

/// Keys of SCALE-Sim 1 to 3, in lower case, as its reader compares them.
const std::vector<std::string>& mapped_keys() {
  static const std::vector<std::string> names = {
      "arrayheight",       "arraywidth",        "dataflow",           "ifmapsramszkb",
      "filtersramszkb",    "ofmapsramszkb",     "ifmapsramsz",        "filtersramsz",
      "ofmapsramsz",       "bandwidth",         "interfacebandwidth", "sparsitysupport",
      "useramulatortrace", "ifmapcustomlayout", "filtercustomlayout"};
  return names;
}

const std::vector<std::string>& harmless_keys() {
  static const std::vector<std::string> names = {"run_name",
                                                 "ifmapoffset",
                                                 "filteroffset",
                                                 "ofmapoffset",
                                                 "memorybanks",
                                                 "readrequestbuffer",
                                                 "writerequestbuffer",
                                                 "ifmapsrambankbandwidth",
                                                 "ifmapsrambanknum",
                                                 "ifmapsrambankport",
                                                 "filtersrambankbandwidth",
                                                 "filtersrambanknum",
                                                 "filtersrambankport",
                                                 "sparserep",
                                                 "optimizedmapping",
                                                 "blocksize",
                                                 "randomnumbergeneratorseed",
                                                 "timelinearmodel",
                                                 "topologycsvloc",
                                                 "sram_row_size",
                                                 "sram_bank_size",
                                                 "dram_row_size",
                                                 "dram_bank_size"};
  return names;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Reader {
 public:
  explicit Reader(std::string_view source) : source_(source) {}

  void line(std::string_view text) {
    ++line_;
    const std::string_view content = trimmed(text.substr(0, comment_start(text)));
    if (content.empty()) return;
    if (content.front() == '[') {
      section(content);
    } else {
      entry(content);
    }
  }

  ScaleSimConfig config() && {
    ScaleSimConfig config;
    if (entries_.empty()) {
      throw Error(
          fmt::format("{}:{}: found no key; accepted: a SCALE-Sim .cfg file, with "
                      "[architecture_presets]",
                      source_, std::max<std::int64_t>(1, line_)));
    }
    if (has("arrayheight")) config.rows = side("arrayheight");
    if (has("arraywidth")) config.columns = side("arraywidth");
    if (has("dataflow")) config.dataflow = dataflow();
    for (const char* key :
         {"sparsitysupport", "ifmapcustomlayout", "filtercustomlayout", "useramulatortrace"}) {
      refuse_if_on(key);
    }
    read_memory(config);
    return config;
  }

 private:
  [[nodiscard]] Error error(std::int64_t line, const std::string& message) const {
    return Error(fmt::format("{}:{}: {}", source_, line, message));
  }

  /// A comment begins a line, or follows a space.
  static std::size_t comment_start(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool may_start = i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t';
      if (may_start && (text[i] == '#' || text[i] == ';')) return i;
    }
    return text.size();
  }

  void section(std::string_view content) {
    const std::string_view name = trimmed(content.substr(1, content.size() - 2));
    if (content.size() < 2 || content.back() != ']' ||
        !contains(section_names(), std::string(name))) {
      throw error(line_, fmt::format("found '{}'; accepted: [{}]", shown(content),
                                     fmt::join(section_names(), "], [")));
    }
    in_section_ = true;
  }

  void entry(std::string_view content) {
    const auto separator = content.find_first_of("=:");
    if (separator == std::string_view::npos || !in_section_) {
      throw error(line_, fmt::format("found '{}'; accepted: [SECTION], then lines of KEY = VALUE "
                                     "or KEY : VALUE",
                                     shown(content)));
    }
    const std::string_view written = trimmed(content.substr(0, separator));
    const std::string key = lowercase(written);
    if (!contains(mapped_keys(), key) && !contains(harmless_keys(), key)) {
      std::vector<std::string> known = mapped_keys();
      known.insert(known.end(), harmless_keys().begin(), harmless_keys().end());
      const std::string close = nearest(key, known);
      throw error(line_, fmt::format("unknown key '{}'; {}", shown(written),
                                     close.empty() ? "accepted: the keys of SCALE-Sim's .cfg files"
                                                   : fmt::format("did you mean '{}'?", close)));
    }
    const Entry value{std::string(trimmed(content.substr(separator + 1))), line_};
    const auto [known, is_new] = entries_.emplace(key, value);
    if (!is_new) {
      throw error(line_, fmt::format("'{}' is set twice; first in line {}", shown(written),
                                     known->second.line));
    }
  }

  [[nodiscard]] bool has(const std::string& key) const { return entries_.count(key) != 0; }

  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t low,
                                     std::int64_t high) const {
    const Entry& entry = entries_.at(key);
    std::int64_t value = 0;
    const char* end = entry.value.data() + entry.value.size();
    const auto result = std::from_chars(entry.value.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end || value < low || value > high) {
      throw error(entry.line, fmt::format("{}: found '{}'; accepted: {}..{}", key,
                                          shown(entry.value), low, high));
    }
    return value;
  }

  [[nodiscard]] int side(const std::string& key) const {
    return static_cast<int>(integer(key, 1, kMaxArraySide));
  }

  [[nodiscard]] Dataflow dataflow() const {
    const Entry& entry = entries_.at("dataflow");
    try {
      return parse_dataflow(lowercase(entry.value));
    } catch (const Error&) {
      throw error(entry.line,
                  fmt::format("dataflow: found '{}'; accepted: os, ws, is", shown(entry.value)));
    }
  }

  void refuse_if_on(const std::string& key) const {
    if (!has(key)) return;
    const Entry& entry = entries_.at(key);
    const std::string value = lowercase(entry.value);
    for (const char* off : {"false", "0", "no", "off"}) {
      if (value == off) return;
    }
    throw error(entry.line, fmt::format("{}: found '{}'; accepted: false (narrowmac has no such "
                                        "model, and it would change the cycles)",
                                        key, shown(entry.value)));
  }

  /// SramSzkB in bytes; version 1 wrote the key without its unit.
  [[nodiscard]] std::int64_t scratchpad_bytes(const std::string& key) const {
    const std::string name = has(key + "kb") ? key + "kb" : key;
    if (!has(name)) {
      throw error(entries_.at("bandwidth").line,
                  fmt::format("bandwidth: needs {}kb, the size of that scratchpad", key));
    }
    return integer(name, 1, kMaxKilobytes) * 1024;
  }

  /// One number, or one for each of ifmap, filter and ofmap, which here share a channel.
  [[nodiscard]] double bandwidth() const {
    const Entry& entry = entries_.at("bandwidth");
    double sum = 0;
    int count = 0;
    for (std::size_t start = 0; start <= entry.value.size(); ++count) {
      const auto stop = std::min(entry.value.find(',', start), entry.value.size());
      const std::string_view text =
          trimmed(std::string_view(entry.value).substr(start, stop - start));
      double value = 0;
      const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
      if (result.ec != std::errc() || result.ptr != text.data() + text.size() ||
          !(value >= 1e-6 && value <= kUnlimited)) {
        throw error(entry.line, fmt::format("bandwidth: found '{}'; accepted: words per cycle, "
                                            "1e-6..1e9, one number or three separated by commas",
                                            shown(entry.value)));
      }
      sum += value;
      start = stop + 1;
    }
    if (count != 1 && count != 3) {
      throw error(entry.line,
                  fmt::format("bandwidth: found {} numbers; accepted: one or three", count));
    }
    return sum;
  }

  [[nodiscard]] bool bandwidth_is_calculated(ScaleSimConfig& config) const {
    if (!has("interfacebandwidth")) return !has("bandwidth");
    const Entry& entry = entries_.at("interfacebandwidth");
    const std::string value = lowercase(entry.value);
    if (value != "calc" && value != "user") {
      throw error(entry.line, fmt::format("interfacebandwidth: found '{}'; accepted: CALC, USER",
                                          shown(entry.value)));
    }
    if (value == "user" && !has("bandwidth")) {
      throw error(entry.line,
                  "interfacebandwidth: USER needs a Bandwidth in "
                  "[architecture_presets]");
    }
    if (value == "user") return false;
    config.notes.push_back(
        fmt::format("{}: InterfaceBandwidth CALC means as much bandwidth as the array wants: no "
                    "stalls, and no DRAM bytes",
                    source_));
    return true;
  }

  void read_memory(ScaleSimConfig& config) const {
    for (const char* key : {"ifmapsramszkb", "filtersramszkb", "ofmapsramszkb"}) {
      if (has(key)) (void)integer(key, 1, kMaxKilobytes);
    }
    if (has("bandwidth")) (void)bandwidth();
    if (bandwidth_is_calculated(config)) return;
    MemoryDesign memory;
    const std::int64_t ifmap = scratchpad_bytes("ifmapsramsz");
    const std::int64_t filter = scratchpad_bytes("filtersramsz");
    memory.operand_scratchpad_bytes = std::min(ifmap, filter);
    memory.psum_scratchpad_bytes = scratchpad_bytes("ofmapsramsz");
    memory.scratchpad_bytes_per_cycle = kUnlimited;
    memory.dram_bytes_per_cycle = bandwidth();
    memory.dram_latency_cycles = 0;
    if (ifmap != filter) {
      config.notes.push_back(
          fmt::format("{}: the ifmap and filter scratchpads differ ({} and {} bytes); both count "
                      "as the smaller one",
                      source_, ifmap, filter));
    }
    config.memory = memory;
  }

  std::string source_;
  std::int64_t line_ = 0;
  bool in_section_ = false;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace

ScaleSimConfig parse_scale_sim_config(std::string_view text, std::string_view source_name) {
  Reader reader(source_name);
  for (std::size_t start = 0; start < text.size();) {
    const auto end = std::min(text.find('\n', start), text.size());
    reader.line(text.substr(start, end - start));
    start = end + 1;
  }
  return std::move(reader).config();
}

ScaleSimConfig read_scale_sim_config(const std::filesystem::path& path) {
  std::error_code status;
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path, status)) {
    throw Error(fmt::format("{}: cannot be read ({}); accepted: a SCALE-Sim .cfg file",
                            path.string(), std::generic_category().message(file ? EISDIR : errno)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return parse_scale_sim_config(text.str(), path.string());
}

}  // namespace narrowmac
