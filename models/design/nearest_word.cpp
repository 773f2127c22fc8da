#include "models/design/nearest_word.h"

#include <algorithm>
#include <string_view>

namespace narrowmac {
namespace {

/// Levenshtein's distance.
std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  for (std::size_t j = 0; j <= right.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& accepted) {
  std::string best;
  std::size_t best_distance = 1 + word.size() / 3;  // a third of the letters may be wrong
  for (const std::string& candidate : accepted) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < std::max<std::size_t>(best_distance, 2) && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace narrowmac
