#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narrowmac {

/// The accepted word nearest to `word`, or "" if none is near: what a misspelt key could have
/// meant.
std::string nearest(std::string_view word, const std::vector<std::string>& accepted);

}  // namespace narrowmac
