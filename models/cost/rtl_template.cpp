#include "models/cost/rtl_template.h"

#include <stdexcept>

namespace narrowmac {

const std::string& embedded_rtl_file(std::string_view name) {
  for (const RtlFile& file : embedded_rtl_files()) {
    if (file.name == name) return file.text;
  }
  throw std::logic_error("no embedded Verilog file " + std::string(name));
}

std::string fill_template(std::string_view text, const RtlTokens& tokens) {
  std::string filled;
  std::size_t at = 0;
  for (;;) {
    const std::size_t open = text.find('@', at);
    if (open == std::string_view::npos) return filled + std::string(text.substr(at));
    const std::size_t close = text.find('@', open + 1);
    const std::string_view word = text.substr(open + 1, close - open - 1);
    // In Verilog an at sign without a partner opens a sensitivity list.
    const bool is_word =
        !word.empty() && close != std::string_view::npos &&
        word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == std::string_view::npos;
    if (!is_word) {
      filled += text.substr(at, open + 1 - at);
      at = open + 1;
      continue;
    }
    const auto token = tokens.find(word);
    if (token == tokens.end()) {
      throw std::logic_error("no value for @" + std::string(word) + "@");
    }
    filled += text.substr(at, open - at);
    filled += token->second;
    at = close + 1;
  }
}

}  // namespace narrowmac
