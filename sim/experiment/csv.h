#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace narrowmac {

/// Rows of comma-separated values (RFC 4180, lines end with a newline).
class CsvWriter {
 public:
  explicit CsvWriter(const std::vector<std::string>& columns);

  /// Appends a field to the row; text is quoted where it must be. Numbers are written with as many
  /// digits as bring back the same value; what is undefined or not finite is an empty field.
  CsvWriter& operator<<(std::string_view text);
  CsvWriter& operator<<(std::int64_t value);
  CsvWriter& operator<<(double value);
  CsvWriter& operator<<(const std::optional<double>& value);
  /// Ends the row. Throws std::logic_error if it has not as many fields as there are columns.
  void end_row();

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void separate();
  std::size_t columns_;
  std::size_t fields_ = 0;
  std::string text_;
};

}  // namespace narrowmac
