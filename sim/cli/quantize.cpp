#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/design/error.h"
#include "models/quantizers/gradient_quantizer.h"
#include "sim/cli/commands.h"
#include "sim/experiment/npy.h"

namespace narrowmac {
namespace {

constexpr std::size_t kMostLines = 20;  // of a table for people

/// What the command found out.
struct Report {
  GradientPlan plan;
  std::optional<QuantizerNoise> noise;

  /// A number of the plan in the units of the matrix.
  [[nodiscard]] double unscaled(double value) const { return std::ldexp(value, plan.exponent); }
};

template <typename T>
Report quantize_values(const QuantizeCommand& command, const NpyArray& array,
                       const std::vector<T>& values) {
  const SampleMatrix<T> matrix{values, array.shape[0], array.shape[1]};
  Report report;
  try {
    report.plan = plan_gradient(matrix, command.scheme, command.bits);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", command.in.string(), error.what()), error.kind());
  }
  CodeDraw draw;
  draw.rounding = command.rounding;
  draw.seed = command.seed;
  std::vector<float> codes(values.size());
  encode(report.plan, matrix, draw, codes);
  std::vector<double> quantised(values.size());
  decode(report.plan, codes, std::span<double>(quantised));
  write_npy(command.out, array.shape, std::span<const double>(quantised));
  if (command.trials) report.noise = measure_noise(report.plan, matrix, draw, *command.trials);
  return report;
}

/// The scalars, in the order in which csv and json have them.
Json::Object fields_of(const QuantizeCommand& command, const Report& report) {
  const GradientPlan& plan = report.plan;
  Json::Object fields = {{"schema", 1},
                         {"scheme", to_string(plan.scheme)},
                         {"bits", plan.bits},
                         {"rounding", to_string(command.rounding)},
                         {"rows", plan.rows},
                         {"columns", plan.columns},
                         {"bound", plan.variance_bound()}};
  if (report.noise) {
    fields.emplace_back("trials", *command.trials);
    fields.emplace_back("variance", report.noise->variance);
    fields.emplace_back("bias_standard_errors", report.noise->bias_standard_errors);
  }
  fields.emplace_back("transform_macs", plan.transform_macs());
  return fields;
}

Json groups_json(const Report& report) {
  Json::Array groups;
  for (const HouseholderGroup& group : report.plan.groups) {
    Json::Array rows;
    for (const std::int64_t row : group.rows) rows.emplace_back(row);
    groups.emplace_back(Json::Object{{"rows", std::move(rows)},
                                     {"scale_ratio", group.big_scale / group.small_scale}});
  }
  return Json(std::move(groups));
}

Json ranges_json(const Report& report) {
  Json::Array ranges;
  for (const double range : report.plan.ranges) ranges.emplace_back(report.unscaled(range));
  return Json(std::move(ranges));
}

double range_of(const Report& report, std::int64_t row) {
  return report.unscaled(report.plan.ranges[static_cast<std::size_t>(row)]);
}

double step_of(const Report& report, std::int64_t row) {
  return report.unscaled(report.plan.coding[static_cast<std::size_t>(row)].slope);
}

ResultTable groups_table(const Report& report) {
  ResultTable table;
  table.columns = {"group", "rows", "big row", "its range", "next range", "s1/s2", "largest step"};
  for (const HouseholderGroup& group : report.plan.groups) {
    double step = 0;
    for (const std::int64_t row : group.rows) step = std::max(step, step_of(report, row));
    table.rows.push_back({static_cast<std::int64_t>(table.rows.size()), group.size(), group.rows[0],
                          rounded(range_of(report, group.rows[0]), 6),
                          rounded(range_of(report, group.rows[1]), 6),
                          rounded(group.big_scale / group.small_scale, 6), rounded(step, 6)});
  }
  return table;
}

/// By falling range.
ResultTable rows_table(const Report& report) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(report.plan.rows));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return range_of(report, a) > range_of(report, b);
  });
  ResultTable table;
  table.columns = {"row", "range", "step"};
  for (const std::int64_t row : order) {
    table.rows.push_back(
        {row, rounded(range_of(report, row), 6), rounded(step_of(report, row), 6)});
  }
  return table;
}

std::string tensor_text(const Report& report) {
  const AffineRow& coding = report.plan.coding.front();
  const double zero_code = coding.slope > 0 ? -coding.shift / coding.slope : 0;
  return fmt::format("one range for all rows: step {:.6g}, zero is code {:g}\n",
                     report.unscaled(coding.slope), zero_code);
}

std::string details_text(const Report& report) {
  if (report.plan.rows == 0) return "";
  if (report.plan.scheme == GradientScheme::PerTensor) return tensor_text(report);
  ResultTable table = report.plan.groups.empty() ? rows_table(report) : groups_table(report);
  const std::size_t all = table.rows.size();
  table.rows.resize(std::min(all, kMostLines));
  std::string text = "\n" + render(table, OutputFormat::Table);
  if (all > kMostLines) {
    text += fmt::format("... and {} more; --format json has them all\n", all - kMostLines);
  }
  return text;
}

std::string for_people(const QuantizeCommand& command, const Report& report) {
  const GradientPlan& plan = report.plan;
  std::string text =
      fmt::format("{}, {} bits, {} rounding: {} rows of {}\n", to_string(plan.scheme), plan.bits,
                  to_string(command.rounding), plan.rows, plan.columns);
  const double bound = plan.variance_bound();
  text += fmt::format("variance E ||Q(X) - X||^2: at most {:.6g}\n", bound);
  if (report.noise) {
    text += fmt::format("measured over {} trials: {:.6g}", *command.trials, report.noise->variance);
    if (bound > 0) {
      text += fmt::format(", {:.4f} of the bound", report.noise->variance / bound);
    }
    text += fmt::format("; bias of {:.3g} standard errors\n", report.noise->bias_standard_errors);
  }
  if (plan.scheme == GradientScheme::BlockHouseholder) {
    text += plan.groups.empty()
                ? std::string("no groups (fewer than 3 rows, or every row constant): as psq\n")
                : fmt::format("transform and its inverse: {} MACs, 6 per element\n",
                              plan.transform_macs());
  }
  return text + details_text(report);
}

std::string csv_of(const Json::Object& fields) {
  ResultTable table;
  table.rows.emplace_back();
  for (const auto& [name, value] : fields) {
    if (name == "schema") continue;
    table.columns.push_back(name);
    table.rows.front().push_back(value);
  }
  return render(table, OutputFormat::Csv);
}

}  // namespace

int quantize_command(const QuantizeCommand& command, OutputFormat format) {
  const NpyArray array = read_npy_matrix(command.in);
  const Report report = array.is_double() ? quantize_values(command, array, array.doubles())
                                          : quantize_values(command, array, array.floats());
  if (format == OutputFormat::Table) {
    print(for_people(command, report));
    return 0;
  }
  Json::Object fields = fields_of(command, report);
  if (format == OutputFormat::Csv) {
    print(csv_of(fields));
    return 0;
  }
  fields.emplace_back("groups", groups_json(report));
  fields.emplace_back("ranges", ranges_json(report));
  print(Json(std::move(fields)).to_text());
  return 0;
}

}  // namespace narrowmac
