#include "models/cost/tool.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "models/design/error.h"

namespace narrowmac {
namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error("cannot read " + path.string(), Error::Kind::System);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The last lines, for a message.
std::string end_of(const std::string& text) {
  constexpr std::size_t kShown = 600;
  return text.size() <= kShown ? text : "..." + text.substr(text.size() - kShown);
}

/// In the child: only calls that are safe after fork.
[[noreturn]] void become(const char* program, char* const* arguments, const char* folder,
                         const char* log) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int input = open("/dev/null", O_RDONLY);
  if (chdir(folder) == 0) {
    const int output = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (input >= 0 && output >= 0) {
      dup2(input, STDIN_FILENO);
      dup2(output, STDOUT_FILENO);
      dup2(output, STDERR_FILENO);
      execv(program, arguments);
    }
  }
  _exit(127);
}

}  // namespace

std::filesystem::path find_tool(const Tool& tool) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path candidate = std::filesystem::path(folder) / tool.program;
    if (access(candidate.c_str(), X_OK) == 0) return std::filesystem::absolute(candidate);
  }
  throw Error(
      fmt::format("needs the program {}, which is not installed; Debian's package {} has it "
                  "(scripts/setup installs it)",
                  tool.program, tool.package));
}

std::string run_tool(const Tool& tool, const std::vector<std::string>& arguments,
                     const std::filesystem::path& folder, const std::string& log) {
  const std::string program = find_tool(tool).string();
  std::vector<std::string> owned = arguments;
  owned.insert(owned.begin(), tool.program);
  std::vector<char*> pointers;
  pointers.reserve(owned.size() + 1);
  for (std::string& argument : owned) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) {
    throw Error(fmt::format("cannot start {}: {}", program, std::strerror(errno)),
                Error::Kind::System);
  }
  if (child == 0) become(program.c_str(), pointers.data(), folder.c_str(), log.c_str());
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  std::string text = text_of(folder / log);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error(fmt::format("{} failed:\n{}", tool.program, end_of(text)), Error::Kind::System);
  }
  return text;
}

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "narrowmac-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    throw Error(fmt::format("cannot create {}: {}", pattern, std::strerror(errno)),
                Error::Kind::System);
  }
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void ScratchFolder::write(const std::string& name, std::string_view text) const {
  std::ofstream file(path_ / name, std::ios::binary);
  file << text;
  if (!file.flush()) throw Error("cannot write " + (path_ / name).string(), Error::Kind::System);
}

std::string ScratchFolder::read(const std::string& name) const { return text_of(path_ / name); }

}  // namespace narrowmac
