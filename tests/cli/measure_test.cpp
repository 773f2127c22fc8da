#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "tests/cli/program.h"

namespace narrowmac {
namespace {

using Row = std::map<std::string, std::string>;

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

Outcome measure(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "measure");
  return run_program(arguments);
}

/// `narrowmac measure ... --format csv`, row by row.
std::vector<Row> rows_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--format", "csv"});
  const Outcome outcome = measure(arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  std::istringstream stream(outcome.out);
  std::string line;
  std::getline(stream, line);
  const std::vector<std::string> columns = split(line);
  std::vector<Row> rows;
  while (std::getline(stream, line)) {
    const std::vector<std::string> fields = split(line);
    EXPECT_EQ(fields.size(), columns.size()) << line;
    Row row;
    for (std::size_t i = 0; i < fields.size(); ++i) row[columns[i]] = fields[i];
    rows.push_back(row);
  }
  return rows;
}

double number(const Row& row, const std::string& column) { return std::stod(row.at(column)); }

const std::string kMac = "e5m2-e6m9";

TEST(MeasureCommand, givesARowPerLengthAndMantissa) {
  const auto rows = rows_of({"--mac", shipped_mac(kMac), "--lengths", "256,64", "--mantissas",
                             "7,4,7", "--trials", "500"});
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(number(rows[0], "length"), 256);
  EXPECT_EQ(number(rows[0], "mantissa"), 4);
  EXPECT_EQ(number(rows[3], "length"), 64);
  EXPECT_EQ(number(rows[3], "mantissa"), 7);
  for (const Row& row : rows) {
    EXPECT_GE(number(row, "trials"), 500);
    for (const std::string metric : {"vrr", "nmse"}) {
      EXPECT_LT(number(row, metric + "_low"), number(row, metric));
      EXPECT_GT(number(row, metric + "_high"), number(row, metric));
    }
    EXPECT_GT(number(row, "full_swamping"), 0);
    EXPECT_GT(number(row, "partial_swamping"), 0);
    EXPECT_LT(number(row, "full_swamping") + number(row, "partial_swamping"), 1);
  }
  EXPECT_GT(number(rows[0], "nmse"), 10 * number(rows[1], "nmse"));
}

TEST(MeasureCommand, theoryStandsBesideWhereItApplies) {
  const auto rows = rows_of(
      {"--mac", shipped_mac(kMac), "--lengths", "256", "--mantissas", "4,5,8", "--trials", "64"});
  // 4 bits are below the product's mantissa: an extrapolation, in both commands.
  for (const auto& [mantissa, row] : {std::pair("4", 0), std::pair("8", 2)}) {
    const Outcome theory =
        run_program({"vrr", "--accumulator-mantissa", mantissa, "--product-mantissa", "5",
                     "--length", "256", "--format", "csv"});
    ASSERT_EQ(theory.exit_code, 0) << theory.err;
    EXPECT_NEAR(std::stod(split(theory.out.substr(theory.out.find('\n') + 1))[0]),
                number(rows[static_cast<std::size_t>(row)], "vrr_theory"), 1e-12);
  }
  EXPECT_GT(number(rows[1], "vrr_theory"), 0.5);
  const auto fixed =
      rows_of({"--mac", shipped_mac("int8-fx24.0"), "--lengths", "256", "--trials", "64"});
  EXPECT_EQ(fixed[0].at("vrr_theory"), "");
  EXPECT_EQ(fixed[0].at("mantissa"), "");
  EXPECT_EQ(number(fixed[0], "vrr"), 1);
}

TEST(MeasureCommand, findsTheSmallestWidthFromWhichAllWiderOnesSatisfy) {
  const auto rows = rows_of({"--mac", shipped_mac(kMac), "--lengths", "64,1024", "--find",
                             "vrr>=0.95", "--trials", "2048"});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].at("minimum_mantissa"), "3");
  EXPECT_EQ(rows[1].at("minimum_mantissa"), "5");
  EXPECT_GE(number(rows[1], "value"), 0.95);
  EXPECT_LT(number(rows[1], "value_one_narrower"), 0.95);
  const auto few = rows_of({"--mac", shipped_mac(kMac), "--lengths", "1024", "--find",
                            "nmse < 0.001", "--trials", "512", "--mantissas", "2,3,4"});
  EXPECT_EQ(few[0].at("minimum_mantissa"), "");
  const auto swamping = rows_of({"--mac", shipped_mac(kMac), "--lengths", "1024", "--find",
                                 "full_swamping<=0.2", "--trials", "512"});
  EXPECT_EQ(swamping[0].at("minimum_mantissa"), "6");
}

TEST(MeasureCommand, zeroProductsShortenTheSum) {
  const auto sparse = rows_of({"--mac", shipped_mac(kMac), "--lengths", "4096", "--mantissas", "6",
                               "--nzr", "0.25", "--trials", "2048"});
  const auto dense = rows_of(
      {"--mac", shipped_mac(kMac), "--lengths", "1024", "--mantissas", "6", "--trials", "2048"});
  EXPECT_NEAR(number(sparse[0], "nmse") / number(dense[0], "nmse"), 1, 0.15);
  EXPECT_EQ(sparse[0].at("vrr_theory"), dense[0].at("vrr_theory"));
}

TEST(MeasureCommand, numbersDependOnTheSeedAndNotOnThreads) {
  const std::vector<std::string> base = {
      "--mac", shipped_mac("e5m2-e6m3-stochastic"), "--lengths", "300", "--trials", "200"};
  const auto with = [&](const std::string& option, const std::string& value) {
    std::vector<std::string> arguments = base;
    arguments.insert(arguments.end(), {option, value});
    return rows_of(arguments)[0];
  };
  EXPECT_EQ(with("--threads", "1"), with("--threads", "3"));
  EXPECT_NE(with("--seed", "1").at("vrr"), with("--seed", "2").at("vrr"));
}

TEST(MeasureCommand, anArraysOrderIsMeasured) {
  const TemporaryFolder folder;
  const std::string mac = folder.write("mac.toml",
                                       "[mac]\na = \"e5m2\"\nb = \"e5m2\"\naccumulator = \"e6m3\"\n"
                                       "[array]\nrows = 64\ncolumns = 8\ndataflow = \"ws\"\n");
  const auto rows = rows_of({"--mac", mac, "--lengths", "64", "--trials", "64"});
  EXPECT_EQ(number(rows[0], "length"), 64);
  const Outcome longer = measure({"--mac", mac, "--lengths", "128"});
  EXPECT_EQ(longer.exit_code, 2);
  EXPECT_NE(longer.err.find("128"), std::string::npos) << longer.err;
}

TEST(MeasureCommand, aSumBeyondTheRangeIsSaidAndHasNoVrr) {
  const TemporaryFolder folder;
  const std::string mac =
      folder.write("mac.toml", "[mac]\na = \"e5m2\"\nb = \"e5m2\"\naccumulator = \"e3m3\"\n");
  const Outcome outcome =
      measure({"--mac", mac, "--lengths", "256", "--trials", "64", "--format", "json"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.out.find("\"vrr\": null"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find("left the accumulator's range"), std::string::npos) << outcome.err;
}

/// The message of a command line that is refused.
std::string refusal(const std::vector<std::string>& arguments) {
  const Outcome outcome = measure(arguments);
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  return outcome.err;
}

TEST(MeasureCommand, wrongInputIsRefusedByName) {
  const std::string mac = shipped_mac(kMac);
  const std::string fixed = shipped_mac("int8-fx24.0");
  const TemporaryFolder folder;
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--mac", mac}, "--lengths: missing"},
      {{"--lengths", "64"}, "--mac: missing"},
      {{"--mac", mac, "--lengths", "0"}, "--lengths: found 0; accepted: 1..4194304"},
      {{"--mac", mac, "--lengths", "64,-5"}, "-5"},
      {{"--mac", mac, "--lengths", "64,abc"}, "abc"},
      {{"--mac", mac, "--lengths", "64", "--mantissas", "0"}, "--mantissas: found 0"},
      {{"--mac", mac, "--lengths", "64", "--mantissas", "24"}, "accepted: 1..23"},
      {{"--mac", mac, "--lengths", "64", "--find", "vrr=0.95"}, "--find: found 'vrr=0.95'"},
      {{"--mac", mac, "--lengths", "64", "--find", "snr>=3"}, "vrr, nmse"},
      {{"--mac", mac, "--lengths", "64", "--find", "vrr>="}, "a number"},
      {{"--mac", mac, "--lengths", "64", "--find", "vrr>=nan"}, "a number"},
      {{"--mac", fixed, "--lengths", "64", "--mantissas", "4"}, "--mantissas: "},
      {{"--mac", fixed, "--lengths", "64", "--find", "vrr>=0.95"}, "has no mantissa"},
      {{"--mac", mac, "--lengths", "64", "--nzr", "0"}, "--nzr: found 0"},
      {{"--mac", mac, "--lengths", "64", "--nzr", "1.5"}, "above 0 and up to 1"},
      {{"--mac", mac, "--lengths", "64", "--trials", "10"}, "--trials: found 10"},
      {{"--mac", folder.file("none.toml"), "--lengths", "64"}, "none.toml"},
      {{"--run", folder.file("none")}, "no such folder"},
      {{"--run", folder.file("none"), "--nzr", "0.5"}, "--nzr: not with --run"},
  };
  for (const auto& [arguments, message] : cases) {
    EXPECT_NE(refusal(arguments).find(message), std::string::npos) << message << "\n"
                                                                   << refusal(arguments);
  }
}

}  // namespace
}  // namespace narrowmac
