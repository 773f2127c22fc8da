#include "sim/cli/find_condition.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <utility>

#include "models/design/error.h"

namespace narrowmac {
namespace {

using Metric = FindCondition::Metric;
using Relation = FindCondition::Relation;

constexpr std::pair<std::string_view, Metric> kMetrics[] = {
    {"vrr", Metric::Vrr},
    {"nmse", Metric::Nmse},
    {"full_swamping", Metric::FullSwamping},
    {"partial_swamping", Metric::PartialSwamping}};
// The longer ones first: ">" begins ">=".
constexpr std::pair<std::string_view, Relation> kRelations[] = {{">=", Relation::AtLeast},
                                                                {"<=", Relation::AtMost},
                                                                {">", Relation::Above},
                                                                {"<", Relation::Below}};

/// Takes the first of `names` that `text` begins with off it; false if none does.
template <typename Names, typename Value>
bool take(std::string_view& text, const Names& names, Value& value) {
  for (const auto& named : names) {
    if (!text.starts_with(named.first)) continue;
    text.remove_prefix(named.first.size());
    value = named.second;
    return true;
  }
  return false;
}

}  // namespace

FindCondition FindCondition::parse(std::string_view text) {
  std::string compact;
  for (const char c : text) {
    if (c != ' ') compact += c;
  }
  std::string_view rest = compact;
  FindCondition condition;
  bool good = take(rest, kMetrics, condition.metric) && take(rest, kRelations, condition.relation);
  if (good) {
    const char* const end = rest.data() + rest.size();
    const auto number = std::from_chars(rest.data(), end, condition.bound);
    good = number.ec == std::errc() && number.ptr == end && std::isfinite(condition.bound);
  }
  if (good) return condition;
  throw Error(
      fmt::format("--find: found '{}'; accepted: vrr, nmse, full_swamping or partial_swamping, "
                  "then >=, <=, > or <, then a number, e.g. \"vrr>=0.95\"",
                  text));
}

bool FindCondition::is_met_by(double value) const {
  switch (relation) {
    case Relation::AtLeast:
      return value >= bound;
    case Relation::AtMost:
      return value <= bound;
    case Relation::Above:
      return value > bound;
    case Relation::Below:
      return value < bound;
  }
  return false;
}

std::optional<Estimate> FindCondition::estimate_of(const Measurement& measurement) const {
  if (metric == Metric::Vrr) return measurement.vrr;
  return metric == Metric::Nmse ? measurement.nmse : std::nullopt;
}

std::optional<double> FindCondition::value_of(const Measurement& measurement) const {
  if (metric == Metric::FullSwamping) return measurement.full_swamping;
  if (metric == Metric::PartialSwamping) return measurement.partial_swamping;
  const std::optional<Estimate> estimate = estimate_of(measurement);
  return estimate ? std::optional<double>(estimate->value) : std::nullopt;
}

}  // namespace narrowmac
