#include "tests/cli/program.h"

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/temporary_root.h"

namespace narrowmac {
namespace {

std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

Outcome run_program(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment, const std::string& out) {
  const TemporaryFolder folder;
  const std::string out_file = out.empty() ? folder.file("out") : out;
  std::string command = "env";
  for (const std::string& setting : environment) command += " " + shell_quoted(setting);
  command += " " + shell_quoted(NARROWMAC_PROGRAM);
  for (const std::string& argument : arguments) command += " " + shell_quoted(argument);
  command += " </dev/null >" + shell_quoted(out_file) + " 2>" + shell_quoted(folder.file("err"));
  const int status = std::system(command.c_str());
  Outcome outcome;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (out.empty()) outcome.out = contents(out_file);
  outcome.err = contents(folder.file("err"));
  return outcome;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (temporary_root() / "narrowmac-cli-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::write(const std::string& name, const std::string& bytes) const {
  std::ofstream(path_ / name, std::ios::binary) << bytes;
  return file(name);
}

std::string shipped_mac(const std::string& name) {
  return std::string(NARROWMAC_CONFIGS_FOLDER) + "/macs/" + name + ".toml";
}

}  // namespace narrowmac
