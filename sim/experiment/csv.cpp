#include "sim/experiment/csv.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

namespace narrowmac {

CsvWriter::CsvWriter(const std::vector<std::string>& columns) : columns_(columns.size()) {
  for (const std::string& column : columns) *this << column;
  end_row();
}

void CsvWriter::separate() {
  if (fields_++ > 0) text_ += ',';
}

CsvWriter& CsvWriter::operator<<(std::string_view text) {
  separate();
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    text_ += text;
    return *this;
  }
  text_ += '"';
  for (const char c : text) {
    if (c == '"') text_ += '"';
    text_ += c;
  }
  text_ += '"';
  return *this;
}

CsvWriter& CsvWriter::operator<<(std::int64_t value) {
  separate();
  text_ += std::to_string(value);
  return *this;
}

CsvWriter& CsvWriter::operator<<(double value) {
  separate();
  if (std::isfinite(value)) text_ += fmt::format("{}", value);
  return *this;
}

CsvWriter& CsvWriter::operator<<(const std::optional<double>& value) {
  if (value) return *this << *value;
  separate();
  return *this;
}

void CsvWriter::end_row() {
  if (fields_ != columns_) {
    throw std::logic_error(fmt::format("a row of {} fields under {} columns", fields_, columns_));
  }
  fields_ = 0;
  text_ += '\n';
}

}  // namespace narrowmac
