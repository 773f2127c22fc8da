#include <fmt/core.h>

#include <fstream>
#include <sstream>

#include "models/design/config.h"
#include "models/design/error.h"
#include "tb/cosimulation/grid.h"

namespace narrowmac {
namespace {

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error("cannot read " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw Error("cannot write " + path.string(), Error::Kind::System);
}

std::string prefix_of(std::size_t field) { return fmt::format("d{}_", field); }

std::string instances_of(const std::vector<GridDesign>& designs,
                         const std::filesystem::path& templates) {
  const std::string step = read_text(templates / "instance.v.in");
  const std::string second = read_text(templates / "second_instance.v.in");
  std::string text;
  for (std::size_t field = 0; field < designs.size(); ++field) {
    const RtlDesign& design = designs[field].design;
    RtlTokens tokens = rtl_tokens(design, prefix_of(field));
    tokens["FIELD"] = std::to_string(field);
    tokens["AT"] = std::to_string(64 * field);
    tokens["SUM_WIDTH"] = std::to_string(design.sum_format().width);
    text += fill_template(step, tokens);
    text += design.mac.chunk ? fill_template(second, tokens)
                             : fmt::format("  assign second_next[{} +: 64] = 0;\n", 64 * field);
  }
  return text;
}

}  // namespace

std::vector<GridDesign> read_grid(const std::filesystem::path& list, bool quick_only) {
  const ConfigTable root = ConfigTable::read_file(list);
  std::vector<GridDesign> designs;
  for (const ConfigTable& table : root.tables("design")) {
    GridDesign entry;
    entry.name = table.string("name");
    entry.quick = table.boolean_or("quick", false);
    entry.design.mac = parse_mac(table);
    entry.design.multiplier_stages =
        static_cast<int>(table.integer_or("multiplier_latency", 0, 0, 3));
    entry.design.adder_stages = static_cast<int>(table.integer_or("adder_latency", 1, 1, 3));
    entry.design.interleave = static_cast<int>(table.integer_or("interleave", 1, 1, 16));
    check_rtl(entry.design);
    if (entry.quick || !quick_only) designs.push_back(entry);
  }
  root.reject_unknown();
  return designs;
}

void write_grid(const std::vector<GridDesign>& designs, const std::filesystem::path& folder) {
  const std::filesystem::path templates =
      std::filesystem::path(NARROWMAC_TB_FOLDER) / "cosimulation";
  std::filesystem::create_directories(folder);
  std::string list = "+incdir+" + folder.string() + "\n";
  for (const RtlFile& file : rtl_modules()) {
    write_text(folder / file.name, file.text);
    if (file.name.ends_with(".v")) list += (folder / file.name).string() + "\n";
  }
  for (std::size_t field = 0; field < designs.size(); ++field) {
    const std::filesystem::path path = folder / (prefix_of(field) + "mac.v");
    write_text(path, rtl_top(designs[field].design, prefix_of(field)));
    list += path.string() + "\n";
  }
  RtlTokens tokens;
  tokens["TOP"] = std::to_string(64 * designs.size() - 1);
  tokens["INSTANCES"] = instances_of(designs, templates);
  write_text(folder / "grid.v", fill_template(read_text(templates / "grid.v.in"), tokens));
  list += (folder / "grid.v").string() + "\n";
  write_text(folder / "model.cpp", read_text(templates / "model.cpp"));
  write_text(folder / "files.f", list);
}

}  // namespace narrowmac
