#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace narrowmac {

struct RtlFile {
  std::string name;
  std::string text;
};

/// The files of models/cost/rtl, in order of their names: modules (.v), functions (.vh) and
/// templates (.in).
const std::vector<RtlFile>& embedded_rtl_files();
/// The text of one of them. Throws std::logic_error for a name that is not there.
const std::string& embedded_rtl_file(std::string_view name);

/// Values of the words between at signs, such as KIND for @KIND@.
using RtlTokens = std::map<std::string, std::string, std::less<>>;
/// The text with every @WORD@ replaced. Throws std::logic_error for a word without a value.
std::string fill_template(std::string_view text, const RtlTokens& tokens);

}  // namespace narrowmac
