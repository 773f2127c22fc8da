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

/// Keys of SCALE-Sim 1 to 3, whose reader ignores their case.
const std::vector<std::string>& mapped_keys() {
  static const std::vector<std::string> names = {
      "ArrayHeight",       "ArrayWidth",        "Dataflow",           "IfmapSramSzkB",
      "FilterSramSzkB",    "OfmapSramSzkB",     "IfmapSramSz",        "FilterSramSz",
      "OfmapSramSz",       "Bandwidth",         "InterfaceBandwidth", "SparsitySupport",
      "UseRamulatorTrace", "IfmapCustomLayout", "FilterCustomLayout"};
  return names;
}

const std::vector<std::string>& harmless_keys() {
  static const std::vector<std::string> names = {"run_name",
                                                 "IfmapOffset",
                                                 "FilterOffset",
                                                 "OfmapOffset",
                                                 "MemoryBanks",
                                                 "OnChipMemoryBanks",
                                                 "OnChipMemoryBankPorts",
                                                 "ReadRequestBuffer",
                                                 "WriteRequestBuffer",
                                                 "IfmapSRAMBankBandwidth",
                                                 "IfmapSRAMBankNum",
                                                 "IfmapSRAMBankPort",
                                                 "FilterSRAMBankBandwidth",
                                                 "FilterSRAMBankNum",
                                                 "FilterSRAMBankPort",
                                                 "SparseRep",
                                                 "OptimizedMapping",
                                                 "BlockSize",
                                                 "RandomNumberGeneratorSeed",
                                                 "TimeLinearModel",
                                                 "TopologyCsvLoc",
                                                 "SRAM_row_size",
                                                 "SRAM_bank_size",
                                                 "DRAM_row_size",
                                                 "DRAM_bank_size"};
  return names;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The known key that is closest to `written`: itself if its case alone differs.
std::string closest_key(std::string_view written) {
  std::vector<std::string> known;
  for (const auto* names : {&mapped_keys(), &harmless_keys()}) {
    for (const std::string& name : *names) {
      if (lowercase(name) == lowercase(written)) return name;
      known.push_back(name);
    }
  }
  return nearest(std::string(written), known);
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
    if (has("ArrayHeight")) config.rows = side("ArrayHeight");
    if (has("ArrayWidth")) config.columns = side("ArrayWidth");
    if (has("Dataflow")) config.dataflow = dataflow();
    for (const char* key :
         {"SparsitySupport", "IfmapCustomLayout", "FilterCustomLayout", "UseRamulatorTrace"}) {
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
    const std::string key = closest_key(written);
    if (lowercase(key) != lowercase(written)) {
      throw error(line_, fmt::format("unknown key '{}'; {}", shown(written),
                                     key.empty() ? "accepted: the keys of SCALE-Sim's .cfg files"
                                                 : fmt::format("did you mean '{}'?", key)));
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
    const Entry& entry = entries_.at("Dataflow");
    try {
      return parse_dataflow(lowercase(entry.value));
    } catch (const Error&) {
      throw error(entry.line,
                  fmt::format("Dataflow: found '{}'; accepted: os, ws, is", shown(entry.value)));
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
    const std::string name = has(key + "kB") ? key + "kB" : key;
    if (!has(name)) {
      throw error(entries_.at("Bandwidth").line,
                  fmt::format("Bandwidth: needs {}kB, the size of that scratchpad", key));
    }
    return integer(name, 1, kMaxKilobytes) * 1024;
  }

  /// One number, or one for each of ifmap, filter and ofmap, which here share a channel.
  [[nodiscard]] double bandwidth() const {
    const Entry& entry = entries_.at("Bandwidth");
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
        throw error(entry.line, fmt::format("Bandwidth: found '{}'; accepted: words per cycle, "
                                            "1e-6..1e9, one number or three separated by commas",
                                            shown(entry.value)));
      }
      sum += value;
      start = stop + 1;
    }
    if (count != 1 && count != 3) {
      throw error(entry.line,
                  fmt::format("Bandwidth: found {} numbers; accepted: one or three", count));
    }
    return sum;
  }

  [[nodiscard]] bool bandwidth_is_calculated(ScaleSimConfig& config) const {
    if (!has("InterfaceBandwidth")) return !has("Bandwidth");
    const Entry& entry = entries_.at("InterfaceBandwidth");
    const std::string value = lowercase(entry.value);
    if (value != "calc" && value != "user") {
      throw error(entry.line, fmt::format("InterfaceBandwidth: found '{}'; accepted: CALC, USER",
                                          shown(entry.value)));
    }
    if (value == "user" && !has("Bandwidth")) {
      throw error(entry.line,
                  "InterfaceBandwidth: USER needs a Bandwidth in [architecture_presets]");
    }
    if (value == "user") return false;
    config.notes.push_back(
        fmt::format("{}: InterfaceBandwidth CALC means as much bandwidth as the array wants: no "
                    "stalls, and no DRAM bytes",
                    source_));
    return true;
  }

  void read_memory(ScaleSimConfig& config) const {
    for (const char* key : {"IfmapSramSzkB", "FilterSramSzkB", "OfmapSramSzkB"}) {
      if (has(key)) (void)integer(key, 1, kMaxKilobytes);
    }
    if (has("Bandwidth")) (void)bandwidth();
    if (bandwidth_is_calculated(config)) return;
    MemoryDesign memory;
    const std::int64_t ifmap = scratchpad_bytes("IfmapSramSz");
    const std::int64_t filter = scratchpad_bytes("FilterSramSz");
    memory.operand_scratchpad_bytes = std::min(ifmap, filter);
    memory.psum_scratchpad_bytes = scratchpad_bytes("OfmapSramSz");
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
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    text.remove_prefix(kByteOrderMark.size());
  }
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
