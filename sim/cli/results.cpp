#include "sim/cli/results.h"

#include <fmt/core.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <system_error>
#include <type_traits>

#include "models/design/error.h"
#include "sim/experiment/csv.h"

namespace narrowmac {
namespace {

struct CellText {
  std::string text;
  bool is_number = false;
};

CellText cell_text(const Json& cell, std::string_view null_text, int digits) {
  return cell.visit([&](const auto& value) -> CellText {
    using Type = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Type, bool>) {
      return {value ? "yes" : "no", false};
    } else if constexpr (std::is_same_v<Type, std::int64_t>) {
      return {std::to_string(value), true};
    } else if constexpr (std::is_same_v<Type, double>) {
      if (!std::isfinite(value)) return {std::string(null_text), true};
      return {digits == 0 ? fmt::format("{}", value) : fmt::format("{:.{}g}", value, digits), true};
    } else if constexpr (std::is_same_v<Type, std::string>) {
      return {value, false};
    } else {
      return {std::string(null_text), true};
    }
  });
}

std::string render_table(const ResultTable& table) {
  constexpr int kDigits = 10;  // for people; csv and json have all
  std::vector<std::size_t> widths;
  for (const std::string& column : table.columns) widths.push_back(column.size());
  std::vector<bool> right(table.columns.size(), true);
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const CellText cell = cell_text(row[i], "-", kDigits);
      widths[i] = std::max(widths[i], cell.text.size());
      if (!cell.is_number) right[i] = false;
    }
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      text += i == 0 ? "" : "  ";
      text += right[i] ? fmt::format("{:>{}}", cells[i], widths[i])
                       : fmt::format("{:<{}}", cells[i], widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };
  std::string text = line(table.columns);
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    cells.reserve(row.size());
    for (const Json& cell : row) cells.push_back(cell_text(cell, "-", kDigits).text);
    text += line(cells);
  }
  return text;
}

std::string render_csv(const ResultTable& table) {
  CsvWriter csv(table.columns);
  for (const auto& row : table.rows) {
    for (const Json& cell : row) csv << std::string_view(cell_text(cell, "", 0).text);
    csv.end_row();
  }
  return csv.text();
}

Json::Array to_objects(const ResultTable& table, bool with_schema) {
  Json::Array objects;
  for (const auto& row : table.rows) {
    Json::Object object;
    if (with_schema) object.emplace_back("schema", 1);
    for (std::size_t i = 0; i < row.size(); ++i) object.emplace_back(table.columns[i], row[i]);
    objects.emplace_back(std::move(object));
  }
  return objects;
}

Json parse_cell(const std::string& field) {
  if (field.empty()) return Json();
  const char* end = field.data() + field.size();
  std::int64_t integer = 0;
  if (const auto result = std::from_chars(field.data(), end, integer);
      result.ec == std::errc() && result.ptr == end) {
    return Json(integer);
  }
  double number = 0;
  if (const auto result = std::from_chars(field.data(), end, number);
      result.ec == std::errc() && result.ptr == end && std::isfinite(number)) {
    return Json(number);
  }
  return Json(field);
}

}  // namespace

std::string render(const ResultTable& table, OutputFormat format) {
  switch (format) {
    case OutputFormat::Csv:
      return render_csv(table);
    case OutputFormat::Json:
      return Json(to_objects(table, true)).to_text();
    case OutputFormat::Table:
      break;
  }
  return render_table(table);
}

Json to_json(const ResultTable& table) { return Json(to_objects(table, false)); }

ResultTable parse_csv(std::string_view text) {
  std::vector<std::vector<std::string>> lines;
  bool quoted = false;
  bool at_line_start = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (at_line_start) lines.push_back({std::string()});
    at_line_start = false;
    const char c = text[i];
    if (c == '"' && quoted && i + 1 < text.size() && text[i + 1] == '"') {
      lines.back().back() += text[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      lines.back().emplace_back();
    } else if (c == '\n' && !quoted) {
      at_line_start = true;
    } else if (c != '\r' || quoted) {
      lines.back().back() += c;
    }
  }
  ResultTable table;
  for (const auto& fields : lines) {
    if (table.columns.empty()) {
      table.columns = fields;
      continue;
    }
    std::vector<Json> row;
    row.reserve(fields.size());
    for (const std::string& field : fields) row.push_back(parse_cell(field));
    row.resize(table.columns.size());
    table.rows.push_back(std::move(row));
  }
  return table;
}

Json rounded(const Json& number, int digits, double factor) {
  if (number.is_null()) return Json();
  const std::string text = fmt::format("{:.{}g}", number.number() * factor, digits);
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return Json(value);
}

Json number_or_text(double value) {
  if (std::isnan(value)) return Json("nan");
  if (std::isinf(value)) return Json(value > 0 ? "inf" : "-inf");
  return Json(value);
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return;
  }
  if (errno == EPIPE) return;  // the reader has seen enough, as `head` has
  throw Error(fmt::format("standard output: {}", std::generic_category().message(errno)),
              Error::Kind::System);
}

}  // namespace narrowmac
