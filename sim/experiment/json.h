#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace narrowmac {

/// A JSON value for the files and the --format json output. Object members keep their order.
/// Numbers are written with as many digits as bring back the same double; what is undefined or not
/// finite is null.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;                                        ///< null
  Json(bool value) : value_(value) {}                      // NOLINT(google-explicit-constructor)
  Json(int value) : value_(std::int64_t{value}) {}         // NOLINT(google-explicit-constructor)
  Json(std::int64_t value) : value_(value) {}              // NOLINT(google-explicit-constructor)
  Json(double value);                                      // NOLINT(google-explicit-constructor)
  Json(std::optional<double> value);                       // NOLINT(google-explicit-constructor)
  Json(const char* value) : value_(std::string(value)) {}  // NOLINT(google-explicit-constructor)
  Json(std::string value) : value_(std::move(value)) {}    // NOLINT(google-explicit-constructor)
  Json(std::string_view value)
      : value_(std::string(value)) {}               // NOLINT(google-explicit-constructor)
  Json(Array value) : value_(std::move(value)) {}   // NOLINT(google-explicit-constructor)
  Json(Object value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)

  /// Text with two spaces of indentation and a newline at the end.
  [[nodiscard]] std::string to_text() const;
  /// Throws Error that names `source_name` and the position for text that is no JSON.
  static Json parse(std::string_view text, std::string_view source_name);

  [[nodiscard]] bool is_null() const { return value_.index() == 0; }
  /// The typed values; each throws Error naming what was found if the value has another type.
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::int64_t integer() const;
  [[nodiscard]] double number() const;                          ///< an integer is a number, too
  [[nodiscard]] std::optional<double> optional_number() const;  ///< null: no value
  [[nodiscard]] const std::string& string() const;
  [[nodiscard]] const Array& array() const;
  [[nodiscard]] const Object& object() const;
  /// A member of an object; throws Error naming the key if it is missing.
  [[nodiscard]] const Json& at(std::string_view key) const;
  /// Likewise; null if it is missing.
  [[nodiscard]] const Json* find(std::string_view key) const;

  /// Calls the visitor with std::monostate (null), bool, int64, double, string, Array or Object.
  template <typename Visitor>
  auto visit(Visitor&& visitor) const {
    return std::visit(visitor, value_);
  }

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

}  // namespace narrowmac
