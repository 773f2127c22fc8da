#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace narrowmac {

/// Mantissa bits of the accumulators of FWD, BWD and GRAD; 0: none to choose in this pass.
using PassMantissas = std::array<int, 3>;

/// A design that is to be trained, and how.
struct Trial {
  PassMantissas mantissas{};
  bool verifies = false;  ///< with every seed of the verification; else with the search's seed
  friend bool operator==(const Trial&, const Trial&) = default;
};

struct SearchLimits {
  int narrowest = 1;
  int widest = 23;
  int bits = 6;  ///< how far the search goes from the start, and the verification from its result
  /// The search also wants what it is likely to want next, so that two cores have work.
  bool ahead = false;
};

/// Where a search stands, given what is known.
struct SearchStep {
  std::vector<Trial> wanted;          ///< train these and ask again; empty: the search has ended
  std::optional<PassMantissas> edge;  ///< the narrowest verified one; absent: none keeps the budget
  std::optional<PassMantissas> one_bit_less;  ///< verified to lose more than the budget
};

/// All mantissas plus `bits`, inside the limits; those that are 0 stay.
PassMantissas shifted(const PassMantissas& mantissas, int bits, const SearchLimits& limits);

/// The next step of a search for the narrowest mantissas that keep a budget, in two parts.
///
/// Search, one seed: from `start` all passes get wider together until the budget is kept; then pass
/// by pass, widest first (that one decides the area), two bits at a time and one in the end, as
/// long as it is kept. Verification, all seeds: what was found and one bit less in every pass;
/// while one bit less also keeps the budget it goes on narrowing, while it is not kept it goes on
/// widening.
///
/// `keeps_budget` says what is known of a trial; the step depends on nothing else.
SearchStep search_step(const PassMantissas& start, const SearchLimits& limits,
                       const std::function<std::optional<bool>(const Trial&)>& keeps_budget);

}  // namespace narrowmac
