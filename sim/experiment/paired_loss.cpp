#include "sim/experiment/paired_loss.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <vector>

namespace narrowmac {
namespace {

constexpr int kMostSeeds = 1000;

double half_interval(double deviation, int count) {
  const boost::math::students_t student(count - 1);
  return boost::math::quantile(student, 0.975) * deviation / std::sqrt(count);
}

}  // namespace

SeedMean seed_mean(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  SeedMean result;
  for (const double value : values) result.mean += value / count;
  if (values.size() < 2) return result;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  const double deviation = std::sqrt(squares / (count - 1));
  const double half = half_interval(deviation, static_cast<int>(values.size()));
  result.standard_error = deviation / std::sqrt(count);
  result.low = result.mean - half;
  result.high = result.mean + half;
  return result;
}

SeedMean paired_loss(std::span<const double> baseline, std::span<const double> candidate) {
  std::vector<double> losses;
  for (std::size_t i = 0; i < candidate.size(); ++i) losses.push_back(baseline[i] - candidate[i]);
  return seed_mean(losses);
}

BudgetVerdict budget_verdict(const SeedMean& loss, double budget) {
  if (loss.mean <= budget) {
    return loss.high && *loss.high <= budget ? BudgetVerdict::Within : BudgetVerdict::MeanWithin;
  }
  return loss.low && *loss.low > budget ? BudgetVerdict::Beyond : BudgetVerdict::MeanBeyond;
}

std::optional<int> seeds_to_tell(const SeedMean& loss, int seeds, double budget) {
  if (!loss.standard_error) return std::nullopt;
  const double deviation = *loss.standard_error * std::sqrt(seeds);
  const double distance = std::fabs(budget - loss.mean);
  for (int count = 2; count <= kMostSeeds; ++count) {
    if (half_interval(deviation, count) < distance) return count;
  }
  return std::nullopt;
}

}  // namespace narrowmac
