#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace narrowmac {

/// A mean over seeds with its standard error and a 95 % interval by Student's t with one degree of
/// freedom less than seeds; without them for a single seed.
struct SeedMean {
  double mean = 0;
  std::optional<double> standard_error, low, high;
};
SeedMean seed_mean(std::span<const double> values);

/// What is lost, seed by seed against the baseline's run with the same seed: initial weights and
/// the order of images are the same, so that their part of the spread cancels.
SeedMean paired_loss(std::span<const double> baseline, std::span<const double> candidate);

/// What the seeds tell of a loss and a budget.
enum class BudgetVerdict : std::uint8_t {
  Within,      ///< the whole interval is within the budget
  MeanWithin,  ///< the mean is, the interval reaches beyond it (or there is none)
  MeanBeyond,  ///< the mean is not, the interval reaches into it (or there is none)
  Beyond,      ///< the whole interval is beyond it
};
BudgetVerdict budget_verdict(const SeedMean& loss, double budget);
inline bool keeps_budget(BudgetVerdict verdict) {
  return verdict == BudgetVerdict::Within || verdict == BudgetVerdict::MeanWithin;
}

/// Seeds that would make the interval end at the budget if mean and spread stayed what they are;
/// absent for one seed, a mean at the budget, or more than 1000.
std::optional<int> seeds_to_tell(const SeedMean& loss, int seeds, double budget);

}  // namespace narrowmac
