#include "sim/cli/nonzero_ratios.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "models/design/error.h"
#include "sim/cli/results.h"
#include "sim/experiment/files.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

constexpr const char* kAccepted =
    "accepted: a number from 0 to 1, a CSV file with the columns layer, pass and nonzero_ratio, or "
    "a run directory";

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

bool is_ratio(double value) { return value >= 0 && value <= 1; }

std::size_t column_of(const ResultTable& table, const std::string& name, const fs::path& file) {
  const auto found = std::find(table.columns.begin(), table.columns.end(), name);
  if (found == table.columns.end()) {
    throw Error(
        fmt::format("{}:1: found no column {}; accepted: the columns layer, pass and "
                    "nonzero_ratio",
                    file.string(), name));
  }
  return static_cast<std::size_t>(found - table.columns.begin());
}

/// A layer's name may look like a number.
std::string text_of(const Json& cell) {
  return cell.visit([](const auto& value) -> std::string {
    using Type = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Type, std::string>) {
      return value;
    } else if constexpr (std::is_same_v<Type, std::int64_t>) {
      return std::to_string(value);
    } else if constexpr (std::is_same_v<Type, double>) {
      return fmt::format("{}", value);
    } else {
      return "";
    }
  });
}

}  // namespace

NonzeroRatios NonzeroRatios::parse(const std::string& text) {
  NonzeroRatios ratios;
  if (const std::optional<double> number = number_of(text)) {
    if (!is_ratio(*number)) throw Error(fmt::format("--nzr: found {}; {}", text, kAccepted));
    ratios.same_ = *number;
    return ratios;
  }
  std::error_code error;
  fs::path file = text;
  if (fs::is_directory(file, error)) file /= "layers.csv";
  if (!fs::exists(file, error)) {
    throw Error(fmt::format("--nzr: found no file {}; {}", file.string(), kAccepted));
  }
  ratios.file_ = file.string();
  const ResultTable table = parse_csv(read_file(file));
  const std::size_t layer = column_of(table, "layer", file);
  const std::size_t pass = column_of(table, "pass", file);
  const std::size_t ratio = column_of(table, "nonzero_ratio", file);
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const std::vector<Json>& cells = table.rows[row];
    if (cells[ratio].is_null()) continue;  // a pass that was not observed
    const std::optional<double> value = number_of(text_of(cells[ratio]));
    if (!value || !is_ratio(*value)) {
      throw Error(fmt::format("{}:{}: nonzero_ratio: found \"{}\"; accepted: a number from 0 to 1",
                              file.string(), row + 2, text_of(cells[ratio])));
    }
    if (!ratios.ratios_.insert({{text_of(cells[layer]), text_of(cells[pass])}, *value}).second) {
      throw Error(fmt::format("{}:{}: found layer {}, pass {} again; accepted: one row for each",
                              file.string(), row + 2, text_of(cells[layer]), text_of(cells[pass])));
    }
  }
  return ratios;
}

double NonzeroRatios::of(const std::string& layer, Pass pass) const {
  if (file_.empty()) return same_;
  const auto found = ratios_.find({layer, std::string(to_string(pass))});
  if (found == ratios_.end()) {
    throw Error(
        fmt::format("{}: found no nonzero_ratio for layer {}, pass {}; accepted: a row "
                    "for every layer and pass of the network",
                    file_, layer, to_string(pass)));
  }
  return found->second;
}

}  // namespace narrowmac
