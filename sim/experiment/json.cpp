#include "sim/experiment/json.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "models/design/error.h"

namespace narrowmac {
namespace {

using Library = nlohmann::ordered_json;

constexpr const char* kTypes[] = {"null",     "a boolean", "an integer", "a number",
                                  "a string", "an array",  "an object"};

template <typename T, typename Variant>
const T& get(const Variant& value, std::string_view expected) {
  if (const T* found = std::get_if<T>(&value)) return *found;
  throw Error(fmt::format("JSON: expected {}, found {}", expected, kTypes[value.index()]));
}

struct Converter {
  Library operator()(const Json& value) const { return value.visit(*this); }
  Library operator()(std::monostate) const { return nullptr; }
  Library operator()(const Json::Array& array) const {
    Library result = Library::array();
    for (const Json& element : array) result.push_back((*this)(element));
    return result;
  }
  Library operator()(const Json::Object& object) const {
    Library result = Library::object();
    for (const auto& member : object) result[member.first] = (*this)(member.second);
    return result;
  }
  template <typename T>
  Library operator()(const T& value) const {
    return value;
  }
};

Json convert(const Library& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    Json::Array array;
    for (const Library& element : value) array.push_back(convert(element));
    return array;
  }
  if (value.is_object()) {
    Json::Object object;
    for (const auto& member : value.items())
      object.emplace_back(member.key(), convert(member.value()));
    return object;
  }
  return {};
}

}  // namespace

Json::Json(double value) {
  if (std::isfinite(value)) value_ = value;
}

Json::Json(std::optional<double> value) {
  if (value && std::isfinite(*value)) value_ = *value;
}

std::string Json::to_text() const {
  // Names of files may hold any bytes; JSON text is UTF-8.
  return Converter{}(*this).dump(2, ' ', false, Library::error_handler_t::replace) + "\n";
}

Json Json::parse(std::string_view text, std::string_view source_name) {
  try {
    return convert(Library::parse(text));
  } catch (const Library::parse_error& failure) {
    throw Error(fmt::format("{}: no JSON: {}", source_name, failure.what()));
  } catch (const Library::out_of_range& failure) {
    throw Error(
        fmt::format("{}: {}; accepted: numbers within double", source_name, failure.what()));
  }
}

bool Json::boolean() const { return get<bool>(value_, "a boolean"); }
std::int64_t Json::integer() const { return get<std::int64_t>(value_, "an integer"); }
const std::string& Json::string() const { return get<std::string>(value_, "a string"); }
const Json::Array& Json::array() const { return get<Array>(value_, "an array"); }
const Json::Object& Json::object() const { return get<Object>(value_, "an object"); }

double Json::number() const {
  if (const auto* integer = std::get_if<std::int64_t>(&value_)) {
    return static_cast<double>(*integer);
  }
  return get<double>(value_, "a number");
}

std::optional<double> Json::optional_number() const {
  if (is_null()) return std::nullopt;
  return number();
}

const Json* Json::find(std::string_view key) const {
  for (const auto& member : object()) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

const Json& Json::at(std::string_view key) const {
  if (const Json* const member = find(key)) return *member;
  throw Error(fmt::format("JSON: the member \"{}\" is missing", key));
}

}  // namespace narrowmac
