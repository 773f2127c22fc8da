#include "sim/experiment/recommend_search.h"

#include <algorithm>

namespace narrowmac {
namespace {

using Known = std::function<std::optional<bool>(const Trial&)>;

/// The search from the beginning, on what is known, up to the first trial that is not.
class MantissaSearch {
 public:
  MantissaSearch(const SearchLimits& limits, const Known& known) : limits_(limits), known_(known) {}

  SearchStep step(const PassMantissas& start) {
    if (const std::optional<PassMantissas> found = search(start)) verify(*found);
    return step_;
  }

 private:
  /// Absent: a trial is missing, and has been put into step_.wanted.
  std::optional<bool> ask(const PassMantissas& mantissas, bool verifies) {
    const Trial trial{mantissas, verifies};
    const std::optional<bool> answer = known_(trial);
    if (!answer) step_.wanted.push_back(trial);
    return answer;
  }

  std::optional<PassMantissas> search(const PassMantissas& start) {
    PassMantissas current = start;
    for (int bits = 0;; ++bits) {
      current = shifted(start, bits, limits_);
      const std::optional<bool> kept = ask(current, false);
      if (!kept && bits == 0) look_ahead(widest_first(start).front(), start, 2);
      if (!kept) return std::nullopt;
      if (*kept) break;
      const bool is_last = shifted(start, bits + 1, limits_) == current || bits == limits_.bits;
      if (is_last) return current;  // the verification has the last word
    }
    for (const std::size_t pass : widest_first(start)) {
      if (!narrow(pass, current)) return std::nullopt;
    }
    return current;
  }

  /// Wants the design with `bits` less in a pass although it is not known yet whether it matters.
  void look_ahead(std::size_t pass, const PassMantissas& from, int bits) {
    PassMantissas narrower = from;
    narrower[pass] -= bits;
    if (limits_.ahead && narrower[pass] >= limits_.narrowest) ask(narrower, false);
  }

  /// False: a trial is missing.
  bool narrow(std::size_t pass, PassMantissas& current) {
    const int end = std::max(limits_.narrowest, current[pass] - limits_.bits);
    for (int step = 2; step > 0;) {
      PassMantissas narrower = current;
      narrower[pass] -= step;
      if (narrower[pass] < end) {
        --step;
        continue;
      }
      const std::optional<bool> kept = ask(narrower, false);
      if (!kept && step == 2) look_ahead(pass, current, 1);
      if (!kept) return false;
      if (*kept) current = narrower;
      // One bit that is kept ends it, too: two had not been.
      if (!*kept || step == 1) --step;
    }
    return true;
  }

  void verify(const PassMantissas& found) {
    const std::optional<bool> kept = ask(found, true);
    const PassMantissas below = shifted(found, -1, limits_);
    if (below != found) ask(below, true);
    if (!step_.wanted.empty()) return;
    if (*kept) {
      go_on_narrowing(found);
    } else {
      go_on_widening(found);
    }
  }

  void go_on_narrowing(const PassMantissas& found) {
    PassMantissas edge = found;
    for (int bits = 1; bits <= limits_.bits; ++bits) {
      const PassMantissas below = shifted(found, -bits, limits_);
      if (below == edge) break;
      const std::optional<bool> kept = ask(below, true);
      if (!kept) return;
      if (!*kept) {
        step_.one_bit_less = below;
        break;
      }
      edge = below;
    }
    step_.edge = edge;
  }

  void go_on_widening(const PassMantissas& found) {
    PassMantissas failed = found;
    for (int bits = 1; bits <= limits_.bits; ++bits) {
      const PassMantissas above = shifted(found, bits, limits_);
      if (above == failed) return;
      const std::optional<bool> kept = ask(above, true);
      if (!kept) return;
      if (*kept) {
        step_.edge = above;
        step_.one_bit_less = failed;
        return;
      }
      failed = above;
    }
  }

  static std::vector<std::size_t> widest_first(const PassMantissas& mantissas) {
    std::vector<std::size_t> passes;
    for (std::size_t pass = mantissas.size(); pass-- > 0;) {
      if (mantissas[pass] > 0) passes.push_back(pass);
    }
    std::stable_sort(passes.begin(), passes.end(), [&](std::size_t left, std::size_t right) {
      return mantissas[left] > mantissas[right];
    });
    return passes;
  }

  const SearchLimits& limits_;
  const Known& known_;
  SearchStep step_;
};

}  // namespace

PassMantissas shifted(const PassMantissas& mantissas, int bits, const SearchLimits& limits) {
  PassMantissas result = mantissas;
  for (int& mantissa : result) {
    if (mantissa > 0) mantissa = std::clamp(mantissa + bits, limits.narrowest, limits.widest);
  }
  return result;
}

SearchStep search_step(const PassMantissas& start, const SearchLimits& limits,
                       const Known& keeps_budget) {
  return MantissaSearch(limits, keeps_budget).step(start);
}

}  // namespace narrowmac
