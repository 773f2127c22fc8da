#include "sim/experiment/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <stdexcept>

#include "sim/experiment/csv.h"
#include "tests/experiment/expect_error.h"

namespace narrowmac {
namespace {

const double kAwkward[] = {
    0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -2.5e-9, 123456789012345680.0, 1000.0};

TEST(JsonText, NumbersComeBackExactly) {
  for (const double value : kAwkward) {
    const Json back = Json::parse(Json(Json::Array{Json(value)}).to_text(), "test");
    EXPECT_EQ(back.array().front().number(), value);
  }
  const std::int64_t large = (std::int64_t{1} << 62) + 1;
  EXPECT_EQ(Json::parse(Json(large).to_text(), "test").integer(), large);
}

TEST(JsonText, WhatIsUndefinedIsNull) {
  EXPECT_EQ(Json(std::nan("")).to_text(), "null\n");
  EXPECT_EQ(Json(std::numeric_limits<double>::infinity()).to_text(), "null\n");
  EXPECT_EQ(Json(std::optional<double>()).to_text(), "null\n");
  EXPECT_FALSE(Json::parse("null", "test").optional_number().has_value());
}

TEST(JsonText, MembersKeepTheirOrder) {
  const Json value = Json::Object{{"schema", 1}, {"b", "x"}, {"a", true}};
  EXPECT_EQ(value.to_text(), "{\n  \"schema\": 1,\n  \"b\": \"x\",\n  \"a\": true\n}\n");
}

TEST(JsonText, WrongTypesAndMissingMembersSaySo) {
  const Json value = Json::Object{{"steps", "many"}};
  expect_error([&] { (void)value.at("steps").integer(); }, {"expected an integer, found a string"});
  expect_error([&] { (void)value.at("loss"); }, {"\"loss\" is missing"});
  expect_error([] { (void)Json::parse("{\"a\": ", "state.json"); }, {"state.json", "no JSON"});
}

TEST(CsvText, NumbersComeBackExactlyAndUndefinedFieldsAreEmpty) {
  for (const double value : kAwkward) {
    CsvWriter csv({"x"});
    csv << value;
    csv.end_row();
    EXPECT_EQ(std::strtod(csv.text().c_str() + 2, nullptr), value);
  }
  CsvWriter csv({"a", "b", "c"});
  csv << std::optional<double>() << std::nan("") << std::int64_t{7};
  csv.end_row();
  EXPECT_EQ(csv.text(), "a,b,c\n,,7\n");
}

TEST(CsvText, FieldsWithCommasAndQuotesAreQuoted) {
  CsvWriter csv({"label"});
  csv << R"(e5m2, "wide")";
  csv.end_row();
  EXPECT_EQ(csv.text(), "label\n\"e5m2, \"\"wide\"\"\"\n");
}

TEST(CsvText, ARowHasAsManyFieldsAsThereAreColumns) {
  CsvWriter csv({"a", "b"});
  csv << std::int64_t{1};
  EXPECT_THROW(csv.end_row(), std::logic_error);
}

}  // namespace
}  // namespace narrowmac
