#include "models/cost/liberty_syntax.h"

#include <fmt/core.h>

#include <cctype>

#include "models/design/error.h"

namespace narrowmac {
namespace {

/// Deeper nesting than any library has; a bound for the recursion.
constexpr int kMaxDepth = 64;

class Parser {
 public:
  Parser(std::string_view text, std::string_view source) : text_(text), source_(source) {}

  LibertyGroup parse() {
    skip();
    LibertyGroup library = group(word(), 0);
    skip();
    if (at_ != text_.size()) throw error("found more behind the library group");
    return library;
  }

 private:
  std::string_view text_;
  std::string_view source_;
  std::size_t at_ = 0;
  int line_ = 1;

  [[nodiscard]] Error error(const std::string& what) const {
    return Error(fmt::format("{}:{}: no liberty file: {}", source_, line_, what));
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char take() {
    const char c = peek();
    if (c == '\n') ++line_;
    ++at_;
    return c;
  }

  /// White space, comments, continued lines.
  void skip() {
    while (at_ < text_.size()) {
      const char c = peek();
      if (std::isspace(static_cast<unsigned char>(c)) != 0 || c == '\\') {
        take();
      } else if (text_.substr(at_, 2) == "/*") {
        const std::size_t end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) throw error("a comment does not end");
        while (at_ < end + 2) take();
      } else if (text_.substr(at_, 2) == "//") {
        while (at_ < text_.size() && peek() != '\n') take();
      } else {
        return;
      }
    }
  }

  std::string quoted() {
    take();
    std::string value;
    while (peek() != '"') {
      if (at_ >= text_.size()) throw error("a text in quotes does not end");
      const char c = take();
      if (c == '\\' && (peek() == '\n' || peek() == '\r')) continue;
      value += c;
    }
    take();
    return value;
  }

  static std::string shown(char c) {
    const auto code = static_cast<unsigned char>(c);
    return code >= 0x20 && code < 0x7f ? fmt::format("'{}'", c) : fmt::format("byte {:#04x}", code);
  }
  static bool ends_word(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0 || c == '\0' ||
           std::string_view("(){};:,\"\\").find(c) != std::string_view::npos;
  }

  std::string word() {
    if (peek() == '"') return quoted();
    std::string value;
    while (at_ < text_.size() && !ends_word(peek())) value += take();
    if (value.empty()) {
      throw error(at_ < text_.size() ? fmt::format("found {}, expected a name", shown(peek()))
                                     : std::string("it ends too early"));
    }
    return value;
  }

  void expect(char c) {
    skip();
    if (peek() != c) {
      throw error(at_ < text_.size() ? fmt::format("found {}, expected '{}'", shown(peek()), c)
                                     : fmt::format("it ends where '{}' is expected", c));
    }
    take();
  }

  std::vector<std::string> arguments() {
    expect('(');
    std::vector<std::string> values;
    for (skip(); peek() != ')'; skip()) {
      if (peek() == ',') {
        take();
        continue;
      }
      values.push_back(word());
    }
    take();
    return values;
  }

  /// What stands between a colon and the end of the statement: a word, a text or an expression.
  std::string simple_value() {
    skip();
    std::string value;
    while (at_ < text_.size() && peek() != ';' && peek() != '\n' && peek() != '}') {
      if (peek() == '"') {
        value += quoted();
      } else {
        value += take();
      }
    }
    if (peek() == ';') take();
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())) != 0) {
      value.pop_back();
    }
    return value;
  }

  LibertyGroup group(const std::string& kind, int depth) {
    LibertyGroup result;
    result.kind = kind;
    result.line = line_;
    result.names = arguments();
    body(result, depth);
    return result;
  }

  void body(LibertyGroup& group, int depth) {
    if (depth > kMaxDepth) throw error("groups are nested too deeply");
    expect('{');
    for (skip(); peek() != '}'; skip()) {
      if (peek() == ';') {
        take();
        continue;
      }
      statement(group, depth);
    }
    take();
  }

  void statement(LibertyGroup& group, int depth) {
    LibertyGroup::Attribute attribute;
    attribute.line = line_;
    attribute.name = word();
    skip();
    if (peek() == ':') {
      take();
      attribute.values.push_back(simple_value());
      group.attributes.push_back(std::move(attribute));
      return;
    }
    attribute.values = arguments();
    skip();
    if (peek() != '{') {
      group.attributes.push_back(std::move(attribute));
      return;
    }
    LibertyGroup inner;
    inner.kind = attribute.name;
    inner.line = attribute.line;
    inner.names = std::move(attribute.values);
    body(inner, depth + 1);
    group.groups.push_back(std::move(inner));
  }
};

}  // namespace

const LibertyGroup::Attribute* LibertyGroup::attribute(std::string_view name) const {
  for (const Attribute& candidate : attributes) {
    if (candidate.name == name) return &candidate;
  }
  return nullptr;
}

std::string LibertyGroup::value_or(std::string_view name, std::string_view fallback) const {
  const Attribute* const found = attribute(name);
  return std::string(found == nullptr || found->values.empty()
                         ? fallback
                         : std::string_view(found->values.front()));
}

LibertyGroup parse_liberty(std::string_view text, std::string_view source) {
  return Parser(text, source).parse();
}

}  // namespace narrowmac
