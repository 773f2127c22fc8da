#pragma once

#include <stdexcept>
#include <string>

namespace narrowmac {

/// The one error type of the project. Libraries throw it, `main` catches it once.
/// The message is for the user: it names file, line or key, the value found, and what is accepted.
class Error : public std::runtime_error {
 public:
  enum class Kind {
    Input,   ///< a command line, config or input that is wrong: exit code 2
    System,  ///< the machine refused (disk full, no permission, ...): exit code 1
  };
  explicit Error(const std::string& message, Kind kind = Kind::Input)
      : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

}  // namespace narrowmac
