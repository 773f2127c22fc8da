#include "models/cost/synthesis.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "models/cost/area_parts.h"
#include "models/cost/cache.h"
#include "models/cost/gate_netlist.h"
#include "models/cost/liberty.h"
#include "models/cost/tool.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr std::string_view kOsu018 = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib";
/// Longer than any path; the clock that slack is measured against, in nanoseconds.
constexpr double kPeriod = 100000;

const Tool& yosys() {
  static const Tool tool{"yosys", "yosys"};
  return tool;
}
const Tool& sta() {
  static const Tool tool{"sta", "opensta"};
  return tool;
}

std::string first_line(std::string text) {
  text.erase(std::min(text.find('\n'), text.size()));
  return text;
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(fmt::format("{}: no such file, or not readable", path.string()));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

double slack_of(const std::string& log) {
  const std::string_view label = "worst slack ";
  const std::size_t at = log.find(label);
  double slack = 0;
  if (at != std::string::npos) {
    const char* const begin = log.data() + at + label.size();
    if (std::from_chars(begin, log.data() + log.size(), slack).ec == std::errc()) return slack;
  }
  throw Error("OpenSTA found no path:\n" + log.substr(0, 1000), Error::Kind::System);
}

std::string script_of(const std::vector<RtlFile>& modules) {
  std::string files;
  for (const RtlFile& module : modules) {
    if (module.name.ends_with(".v")) files += module.name + " ";
  }
  return fill_template(embedded_rtl_file("synthesis.ys.in"), {{"FILES", files + "mac.v"}});
}

std::string timing_script() {
  return fill_template(embedded_rtl_file("timing.tcl.in"),
                       {{"PERIOD", fmt::format("{}", kPeriod)}});
}

/// The cache's file: a line per number and part, an empty line, the netlist.
std::string to_text(const Synthesis& result) {
  std::string text = fmt::format("narrowmac synthesis 1\n{}\n{:.17g}\n{:.17g}\n{}\n", result.tools,
                                 result.area_um2, result.delay_ns, result.parts.size());
  for (const AreaPart& part : result.parts) {
    text += fmt::format("{:.17g} {}\n", part.area_um2, part.name);
  }
  return text + result.netlist_json;
}

/// False for a file that is none of ours, or of another version.
bool read_cached(const std::filesystem::path& path, Synthesis& result) {
  const std::optional<std::string> text = read_cached_text(path);
  if (!text) return false;
  std::istringstream file(*text);
  std::string line;
  if (!std::getline(file, line) || line != "narrowmac synthesis 1") return false;
  std::size_t parts = 0;
  if (!std::getline(file, result.tools)) return false;
  if (!(file >> result.area_um2 >> result.delay_ns >> parts) || parts > 100) return false;
  for (std::size_t i = 0; i < parts; ++i) {
    AreaPart part;
    if (!(file >> part.area_um2) || file.get() != ' ' || !std::getline(file, part.name))
      return false;
    result.parts.push_back(part);
  }
  if (parts == 0) file.get();
  result.netlist_json = text->substr(static_cast<std::size_t>(file.tellg()));
  return !result.netlist_json.empty();
}

Synthesis run_tools(const std::vector<RtlFile>& modules, const std::string& top,
                    const std::string& cells, const Liberty& library, const std::string& tools) {
  const ScratchFolder folder;
  for (const RtlFile& module : modules) folder.write(module.name, module.text);
  folder.write("mac.v", top);
  folder.write("cells.lib", cells);
  folder.write("synthesis.ys", script_of(modules));
  folder.write("timing.tcl", timing_script());
  (void)run_tool(yosys(), {"-q", "-s", "synthesis.ys"}, folder.path(), "yosys.log");
  const std::string log =
      run_tool(sta(), {"-no_splash", "-exit", "timing.tcl"}, folder.path(), "sta.log");
  Synthesis result;
  result.tools = tools;
  result.netlist_json = folder.read("netlist.json");
  result.area_um2 = GateNetlist(result.netlist_json, "mac", library).area();
  result.delay_ns = kPeriod - slack_of(log);
  result.parts = area_parts(folder.read("parts.json"), library, result.area_um2);
  return result;
}

}  // namespace

std::filesystem::path default_liberty() {
  std::filesystem::path path(kOsu018);
  if (!std::filesystem::exists(path)) {
    throw Error(
        fmt::format("{} is not installed; Debian's package qflow-tech-osu018 has it "
                    "(scripts/setup installs it), or name a library with --liberty",
                    kOsu018));
  }
  return path;
}

std::filesystem::path default_synthesis_cache() {
  const char* const own = std::getenv("XDG_CACHE_HOME");
  if (own != nullptr && *own == '/') return std::filesystem::path(own) / "narrowmac/synthesis";
  const char* const home = std::getenv("HOME");
  if (home != nullptr && *home == '/') {
    return std::filesystem::path(home) / ".cache/narrowmac/synthesis";
  }
  return {};
}

Synthesis synthesise(const RtlDesign& design, const std::filesystem::path& liberty,
                     const std::filesystem::path& cache) {
  const std::string top = rtl_top(design);
  const std::vector<RtlFile> modules = rtl_modules();
  const std::string cells = read_bytes(liberty);
  const ScratchFolder folder;
  const std::string tools =
      fmt::format("{}, OpenSTA {}", first_line(run_tool(yosys(), {"-V"}, folder.path(), "log")),
                  first_line(run_tool(sta(), {"-version"}, folder.path(), "log")));
  const std::string script = script_of(modules), timing = timing_script();
  std::vector<std::string_view> texts = {tools, script, timing, cells, top};
  for (const RtlFile& module : modules) texts.emplace_back(module.text);
  const std::filesystem::path cached = cache.empty() ? cache : cache / hash_of(texts);
  Synthesis result;
  if (!cached.empty() && read_cached(cached, result)) return result;
  result = run_tools(modules, top, cells, read_liberty(liberty), tools);
  if (!cached.empty()) write_cached_text(cached, to_text(result));
  return result;
}

}  // namespace narrowmac
