#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/experiment/json.h"

namespace narrowmac {

/// How results are printed.
enum class OutputFormat : std::uint8_t { Table, Csv, Json };

/// Rows under named columns, printed alike by every command. Cells are null, boolean, number or
/// text.
struct ResultTable {
  std::vector<std::string> columns;
  std::vector<std::vector<Json>> rows;
};

/// Json: a bare array of objects, each with "schema": 1 and the columns as members. Table: aligned,
/// numbers to the right, "-" for null.
std::string render(const ResultTable& table, OutputFormat format);
/// The same array as a value, to be part of a larger object; its elements carry no "schema".
Json to_json(const ResultTable& table);
/// A CSV text (RFC 4180) as a table of numbers and texts; empty fields are null.
ResultTable parse_csv(std::string_view text);
/// A number times `factor`, rounded to so many significant digits, for tables that people read;
/// null stays null.
Json rounded(const Json& number, int digits, double factor = 1);
/// A double as JSON, or as the text "inf", "-inf", "nan", which JSON numbers cannot express.
Json number_or_text(double value);

/// Writes to standard output and flushes. A reader that has gone is no error. Throws Error of kind
/// System if writing fails otherwise (disk full).
void print(std::string_view text);

}  // namespace narrowmac
