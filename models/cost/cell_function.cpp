#include "models/cost/cell_function.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr std::size_t kDepth = 64;  ///< of the stack, and of parentheses

bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '[' || c == ']';
}

}  // namespace

/// From the weakest operator to the strongest: or, exclusive or, and, not.
class CellFunction::Parser {
 public:
  Parser(CellFunction& function, std::string_view text) : function_(function), text_(text) {}

  void parse() {
    any();
    if (peek() != '\0') throw error();
  }

 private:
  CellFunction& function_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;

  [[nodiscard]] Error error() const {
    return Error(fmt::format("'{}' is no function of a cell's pins", text_.substr(0, 80)));
  }
  char peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void emit(Kind kind, std::size_t pin = 0) { function_.operations_.push_back({kind, pin}); }

  void any() {
    if (++depth_ > kDepth) throw error();
    exclusive();
    while (peek() == '|' || peek() == '+') {
      ++at_;
      exclusive();
      emit(Kind::Or);
    }
    --depth_;
  }
  void exclusive() {
    all();
    while (peek() == '^') {
      ++at_;
      all();
      emit(Kind::Xor);
    }
  }
  void all() {
    inverted();
    for (;;) {
      const char c = peek();
      if (c == '&' || c == '*') {
        ++at_;
      } else if (c != '!' && c != '(' && !is_name(c)) {
        return;
      }
      inverted();
      emit(Kind::And);
    }
  }
  void inverted() {
    bool inverts = false;
    while (peek() == '!') {
      ++at_;
      inverts = !inverts;
    }
    atom();
    while (peek() == '\'') {
      ++at_;
      inverts = !inverts;
    }
    if (inverts) emit(Kind::Not);
  }
  void atom() {
    if (peek() == '(') {
      ++at_;
      any();
      if (peek() != ')') throw error();
      ++at_;
      return;
    }
    const std::size_t start = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    const std::string name(text_.substr(start, at_ - start));
    if (name.empty()) throw error();
    if (name == "0" || name == "1") {
      emit(name == "0" ? Kind::Zero : Kind::One);
      return;
    }
    auto& pins = function_.pins_;
    const auto known = std::find(pins.begin(), pins.end(), name);
    const auto pin = static_cast<std::size_t>(known - pins.begin());
    if (known == pins.end()) pins.push_back(name);
    emit(Kind::Pin, pin);
  }
};

CellFunction::CellFunction(std::string_view text) {
  Parser(*this, text).parse();
  std::size_t height = 0;
  for (const Operation& operation : operations_) {
    const bool pushes =
        operation.kind == Kind::Pin || operation.kind == Kind::Zero || operation.kind == Kind::One;
    if (pushes && ++height > kDepth) {
      throw Error(fmt::format("'{}' is too long for a cell's function", text.substr(0, 80)));
    }
    if (!pushes && operation.kind != Kind::Not) --height;
  }
}

std::uint64_t CellFunction::evaluate(const std::vector<std::uint64_t>& values) const {
  std::array<std::uint64_t, kDepth> stack{};
  std::size_t top = 0;
  for (const Operation& operation : operations_) {
    switch (operation.kind) {
      case Kind::Pin:
        stack[top++] = values[operation.pin];
        break;
      case Kind::Zero:
        stack[top++] = 0;
        break;
      case Kind::One:
        stack[top++] = ~std::uint64_t{0};
        break;
      case Kind::Not:
        stack[top - 1] = ~stack[top - 1];
        break;
      case Kind::And:
        --top;
        stack[top - 1] &= stack[top];
        break;
      case Kind::Or:
        --top;
        stack[top - 1] |= stack[top];
        break;
      case Kind::Xor:
        --top;
        stack[top - 1] ^= stack[top];
        break;
    }
  }
  return stack[0];
}

}  // namespace narrowmac
