#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace narrowmac {

/// A cell's output as a function of its pins, evaluated for 64 cases at once.
class CellFunction {
 public:
  /// Parses liberty's notation: ! and ' (not), & * and juxtaposition (and), | + (or), ^ (exclusive
  /// or), 0, 1, parentheses. Throws Error with the text that is none.
  explicit CellFunction(std::string_view text);

  /// The pins in order of their first appearance: the order of evaluate()'s arguments.
  [[nodiscard]] const std::vector<std::string>& pins() const { return pins_; }
  /// Bit i of the result belongs to bit i of every pin.
  [[nodiscard]] std::uint64_t evaluate(const std::vector<std::uint64_t>& values) const;

 private:
  enum class Kind : std::uint8_t { Pin, Zero, One, Not, And, Or, Xor };
  struct Operation {
    Kind kind;
    std::size_t pin = 0;
  };
  class Parser;

  std::vector<std::string> pins_;
  std::vector<Operation> operations_;  ///< in reverse Polish notation
};

}  // namespace narrowmac
