#include <fmt/core.h>

#include <charconv>
#include <cmath>

#include "models/design/config.h"
#include "sim/cli/commands.h"
#include "sim/cli/explain_trace.h"
#include "sim/cli/mac_argument.h"
#include "sim/experiment/files.h"

namespace narrowmac {
namespace {

/// Decimal numbers separated by commas (in a file also by white space), or those of the file after
/// '@'.
std::vector<double> parse_values(std::string_view option, const std::string& text) {
  std::string source(option);
  std::string list = text;
  if (text.starts_with('@')) {
    source = text.substr(1);
    list = read_file(source);
    for (char& c : list) {
      if (c == '\n' || c == '\r' || c == '\t') c = ' ';
    }
  }
  const bool in_file = text.starts_with('@');
  std::vector<double> values;
  std::size_t start = 0;
  while (start <= list.size()) {
    const std::size_t end = std::min(list.find_first_of(in_file ? ", " : ",", start), list.size());
    const std::string_view word = std::string_view(list).substr(start, end - start);
    start = end + 1;
    if (word.empty() && in_file) continue;
    double value = 0;
    const char* last = word.data() + word.size();
    const auto result = std::from_chars(word.data(), last, value);
    if (result.ec != std::errc() || result.ptr != last) {
      throw Error(fmt::format(
          "{}: value {} is '{}'; accepted: decimal numbers within double's range, inf, nan, "
          "separated by commas, or @FILE",
          source, values.size() + 1, word));
    }
    values.push_back(value);
  }
  return values;
}

ResultTable to_table(const ExplainedDotProduct& dot, bool show_inputs) {
  ResultTable table;
  table.columns = {"level", "k"};
  if (show_inputs) table.columns.insert(table.columns.end(), {"a_input", "b_input"});
  table.columns.insert(table.columns.end(),
                       {"a", "b", "exact_product", "addend", "before", "exact_sum", "after",
                        "before_bits", "exact_sum_bits", "after_bits", "bits_lost", "what"});
  for (const ExplainedStep& step : dot.steps) {
    const auto of_product = [&step](double value) {
      return step.has_product ? number_or_text(value) : Json();
    };
    const auto of_sum = [&step](double value) {
      return step.has_sum ? number_or_text(value) : Json();
    };
    const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
    std::vector<Json> row = {Json(step.level), Json(step.k)};
    if (show_inputs) {
      row.push_back(of_product(step.a_input));
      row.push_back(of_product(step.b_input));
    }
    for (Json cell : {of_product(step.a), of_product(step.b), text(step.exact_product),
                      number_or_text(step.addend), of_sum(step.before), text(step.exact_sum),
                      of_sum(step.after), text(step.before_bits), text(step.exact_sum_bits),
                      text(step.after_bits), Json(step.bits_lost), Json(step.what)}) {
      row.push_back(std::move(cell));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string totals(const ExplainedDotProduct& dot) {
  std::string text =
      fmt::format("result {}, exact {}", dot.result, dot.exact.empty() ? "-" : dot.exact);
  if (dot.error) text += fmt::format(", error {}", *dot.error);
  return text +
         fmt::format(
             "\n{} additions of something: {} fully swamped, {} partially swamped, {} overflowed, "
             "{} underflowed\n",
             dot.counted_steps, dot.full_swamped, dot.partial_swamped, dot.overflowed,
             dot.underflowed);
}

std::string explain_json(const std::string& design, const ExplainedDotProduct& dot) {
  return Json(Json::Object{{"schema", 1},
                           {"mac", design},
                           {"steps", to_json(to_table(dot, true))},
                           {"result", number_or_text(dot.result)},
                           {"exact", dot.exact.empty() ? Json() : Json(dot.exact)},
                           {"error", dot.error},
                           {"additions", dot.counted_steps},
                           {"full_swamping", dot.full_swamped},
                           {"partial_swamping", dot.partial_swamped},
                           {"overflow", dot.overflowed},
                           {"underflow", dot.underflowed}})
      .to_text();
}

bool any_rounded(const ExplainedDotProduct& dot) {
  for (const ExplainedStep& step : dot.steps) {
    const bool nan = std::isnan(step.a_input) || std::isnan(step.b_input);
    if (step.has_product && !nan && (step.a != step.a_input || step.b != step.b_input)) return true;
  }
  return false;
}

}  // namespace

int explain_command(const ExplainCommand& command, OutputFormat format) {
  const MacFile file = read_mac_argument(command.mac);
  const std::vector<double> a = parse_values("--a", command.a);
  const std::vector<double> b = parse_values("--b", command.b);
  if (a.size() != b.size()) {
    throw Error(
        fmt::format("--a has {} values and --b has {}; accepted: as many", a.size(), b.size()));
  }
  const AccumulationOrder order = checked_order(command.mac, file.mac, file.array);
  check_length(order, static_cast<std::int64_t>(a.size()));
  const ExplainedDotProduct dot = explain_dot_product(file.mac, order, a, b, command.seed);
  const std::string design = describe(file.mac);
  if (format == OutputFormat::Json) {
    print(explain_json(design, dot));
  } else if (format == OutputFormat::Csv) {
    print(render(to_table(dot, true), format));
  } else {
    print(design + "\n" + render(to_table(dot, any_rounded(dot)), format) + totals(dot));
  }
  return 0;
}

}  // namespace narrowmac
