#include "models/cost/rtl.h"

#include <fmt/core.h>
#include <unistd.h>

#include <system_error>

#include "models/design/config.h"
#include "models/design/error.h"
#include "sim/cli/commands.h"
#include "sim/cli/mac_argument.h"
#include "sim/experiment/files.h"

namespace narrowmac {
namespace {

/// A name without a file yet, or an empty folder, which renaming replaces.
void check_free(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder, ignored)) return;
  if (std::filesystem::is_directory(folder, ignored) &&
      std::filesystem::is_empty(folder, ignored)) {
    return;
  }
  throw Error(fmt::format(
      "--out {}: found something there already; accepted: a new or empty folder", folder.string()));
}

/// Writes all files or leaves nothing behind.
void write_folder(const std::filesystem::path& folder, const std::vector<RtlFile>& files) {
  std::filesystem::path target = folder.lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  check_free(target);
  std::filesystem::path temporary = target;
  temporary += fmt::format(".new-{}", getpid());
  make_directories(temporary);
  try {
    for (const RtlFile& file : files) write_into_new_folder(temporary / file.name, file.text);
    rename_durably(temporary, target);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove_all(temporary, ignored);
    throw;
  }
}

/// Between quotes that a shell takes as they are.
std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace

int rtl_command(const RtlCommand& command, OutputFormat format) {
  const MacFile file = read_mac_argument(command.mac);
  const RtlDesign design = RtlDesign::of(file.mac, file.array.value_or(ArrayDesign{}));
  std::vector<RtlFile> files;
  try {
    files = rtl_folder(design, command.seed);
  } catch (const Error& failure) {
    throw Error(fmt::format("{}: {}", command.mac.string(), failure.what()));
  }
  write_folder(command.out, files);
  const std::string folder = command.out.string();
  if (format == OutputFormat::Table) {
    print(
        fmt::format("{}: {}\n{} files; top module mac in mac.v; {} clock edges from operands to "
                    "their sum\n"
                    "check it: (cd {} && iverilog -g2001 -o mac_tb -c files.f mac_tb.v && vvp "
                    "mac_tb)\nmore: {}\n",
                    folder, describe(file.mac), files.size(), design.latency(), shell_word(folder),
                    (command.out / "README.txt").string()));
    return 0;
  }
  ResultTable table;
  table.columns = {"file", "bytes"};
  for (const RtlFile& emitted : files) {
    table.rows.push_back({Json((command.out / emitted.name).string()),
                          Json(static_cast<std::int64_t>(emitted.text.size()))});
  }
  print(render(table, format));
  return 0;
}

}  // namespace narrowmac
