#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "sim/experiment/npy.h"
#include "tests/cli/npy_text.h"
#include "tests/cli/program.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kRows = 12;
constexpr std::int64_t kColumns = 40;

/// Gaussian rows, one of them a thousand times as large.
std::vector<double> gradient() {
  std::mt19937 generator(4);
  std::normal_distribution<double> normal;
  std::vector<double> values;
  for (std::int64_t i = 0; i < kRows * kColumns; ++i) {
    values.push_back(normal(generator) * (i / kColumns == 5 ? 1000 : 1));
  }
  return values;
}

class QuantizeCommand : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string in_ = folder_.write("G.npy", matrix_bytes(kRows, kColumns, gradient()));
  std::string out_ = folder_.file("Q.npy");

  Outcome run(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"quantize", "--in", in_, "--out", out_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  nlohmann::json json(std::vector<std::string> more) const {
    more.insert(more.end(), {"--format", "json"});
    const Outcome outcome = run(std::move(more));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }
};

TEST_F(QuantizeCommand, ReportsBoundVarianceAndBias) {
  double last = std::numeric_limits<double>::infinity();
  for (const std::string scheme : {"ptq", "psq", "bhq"}) {
    const auto result = json({"--scheme", scheme, "--bits", "5", "--trials", "50"});
    EXPECT_EQ(result.at("schema"), 1);
    EXPECT_EQ(result.at("scheme"), scheme);
    EXPECT_EQ(result.at("bits"), 5);
    EXPECT_LE(result.at("variance"), result.at("bound"));
    EXPECT_LT(std::abs(result.at("bias_standard_errors").get<double>()), 5);
    EXPECT_EQ(result.at("ranges").size(), static_cast<std::size_t>(kRows));
    EXPECT_LT(result.at("variance"), last);  // each scheme improves on the one before
    last = result.at("variance");
  }
}

TEST_F(QuantizeCommand, WithoutTrialsNothingIsMeasured) {
  const auto result = json({"--scheme", "bhq", "--bits", "4"});
  EXPECT_FALSE(result.contains("variance"));
  EXPECT_FALSE(result.contains("bias_standard_errors"));
  EXPECT_EQ(result.at("groups").size(), 1U);
  EXPECT_EQ(result.at("groups").at(0).at("rows").at(0), 5);
  EXPECT_EQ(result.at("transform_macs"), 6 * kRows * kColumns);
}

TEST_F(QuantizeCommand, WritesWhatTheCodesStandFor) {
  json({"--scheme", "psq", "--bits", "2", "--seed", "3"});
  const NpyArray first = read_npy_matrix(out_);
  EXPECT_EQ(first.shape, (std::vector<std::int64_t>{kRows, kColumns}));
  for (std::int64_t row = 0; row < kRows; ++row) {
    const auto begin = first.doubles().begin() + row * kColumns;
    EXPECT_LE(std::set<double>(begin, begin + kColumns).size(), 4U);
  }
  json({"--scheme", "psq", "--bits", "2", "--seed", "3", "--threads", "1", "--trials", "3"});
  EXPECT_EQ(read_npy_matrix(out_).doubles(), first.doubles());
  json({"--scheme", "psq", "--bits", "2", "--seed", "4"});
  EXPECT_NE(read_npy_matrix(out_).doubles(), first.doubles());
}

TEST_F(QuantizeCommand, NearestNeedsNoSeed) {
  json({"--scheme", "bhq", "--bits", "6", "--rounding", "nearest-even"});
  const NpyArray first = read_npy_matrix(out_);
  json({"--scheme", "bhq", "--bits", "6", "--rounding", "nearest-even", "--seed", "9"});
  EXPECT_EQ(read_npy_matrix(out_).doubles(), first.doubles());
}

TEST_F(QuantizeCommand, ThePeoplesTableNamesGroupsAndRanges) {
  const Outcome bhq = run({"--scheme", "bhq", "--bits", "5", "--trials", "10"});
  EXPECT_NE(bhq.out.find("big row"), std::string::npos) << bhq.out;
  EXPECT_NE(bhq.out.find("of the bound"), std::string::npos) << bhq.out;
  EXPECT_NE(run({"--scheme", "ptq", "--bits", "5"}).out.find("zero is code"), std::string::npos);
  const Outcome csv = run({"--scheme", "psq", "--bits", "5", "--format", "csv"});
  EXPECT_EQ(csv.out.substr(0, csv.out.find('\n')),
            "scheme,bits,rounding,rows,columns,bound,transform_macs");
}

TEST_F(QuantizeCommand, AnElementThatIsNotFiniteIsNamed) {
  auto values = gradient();
  values[kColumns + 7] = std::numeric_limits<double>::quiet_NaN();
  const std::string bad = folder_.write("bad.npy", matrix_bytes(kRows, kColumns, values));
  const Outcome outcome =
      run_program({"quantize", "--scheme", "psq", "--bits", "4", "--in", bad, "--out", out_});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("bad.npy: element [1, 7] is NaN"), std::string::npos) << outcome.err;
}

TEST_F(QuantizeCommand, WrongOptionsAreRefused) {
  EXPECT_EQ(run({"--scheme", "qat", "--bits", "4"}).exit_code, 2);
  EXPECT_EQ(run({"--scheme", "psq", "--bits", "1"}).exit_code, 2);
  EXPECT_EQ(run({"--scheme", "psq", "--bits", "4", "--rounding", "down"}).exit_code, 2);
  EXPECT_EQ(run({"--scheme", "psq", "--bits", "4", "--trials", "1"}).exit_code, 2);
  EXPECT_EQ(run({"--scheme", "psq"}).exit_code, 2);
}

}  // namespace
}  // namespace narrowmac
