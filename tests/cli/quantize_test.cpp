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

constexpr const char* kStatistics = R"({"learning_rate_min": 0.001, "layers": [
  {"name": "conv1", "activation_noise_gain": null, "weight_noise_gain": 2400,
   "weight_gradient_std_min": 1e-3, "weight_gradient_std_max": 0.1,
   "activation_gradient_std_max": 1e-4, "lambda_max": 2e4},
  {"name": "fc", "activation_noise_gain": 0.5, "weight_noise_gain": 8,
   "weight_gradient_std_min": 1e-4, "weight_gradient_std_max": 0.01,
   "activation_gradient_std_max": 1e-2, "lambda_max": 0.5}]})";

TEST(AssignCommand, ListsTheWidthsOfEveryLayer) {
  const TemporaryFolder folder;
  const std::string file = folder.write("stats.json", kStatistics);
  const Outcome outcome = run_program({"assign", file, "--bmin", "4", "--format", "json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto rows = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].at("layer"), "conv1");
  EXPECT_TRUE(rows[0].at("activation_bits").is_null());
  EXPECT_EQ(rows[0].at("weight_bits"), 10);               // log2 sqrt(4800) = 6.1
  EXPECT_EQ(rows[0].at("weight_gradient_bits"), 11);      // 2^-2 over 2^-12
  EXPECT_EQ(rows[0].at("activation_gradient_bits"), 10);  // 2^-11 over 2^-20
  EXPECT_EQ(rows[0].at("weight_residual_bits"), 13);      // 2^-10 over 2^-22
  EXPECT_EQ(rows[1].at("activation_bits"), 4);
  EXPECT_EQ(rows[1].at("weight_bits"), 6);
  EXPECT_EQ(rows[1].at("weight_gradient_range"), 0x1p-5);
  EXPECT_EQ(rows[1].at("weight_gradient_step"), 0x1p-16);
  const Outcome table = run_program({"assign", file, "--bmin", "4"});
  EXPECT_NE(table.out.find("10 [2^0, 2^-9]"), std::string::npos) << table.out;
}

TEST(AssignCommand, WrongStatisticsAreNamedWithFileAndKey) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& from, const std::string& to) {
    std::string text = kStatistics;
    text.replace(text.find(from), from.size(), to);
    const Outcome outcome =
        run_program({"assign", folder.write("stats.json", text), "--bmin", "4"});
    EXPECT_EQ(outcome.exit_code, 2);
    return outcome.err;
  };
  for (const auto& [from, to, expected] :
       {std::tuple("\"lambda_max\": 0.5", "\"lamda_max\": 0.5",
                   "layers[1]: unknown key \"lamda_max\""),
        std::tuple("\"name\": \"fc\"", "\"name\": 3", "layers[1]: name: "),
        std::tuple("\"weight_noise_gain\": 8", "\"weight_noise_gain\": -8",
                   "layer \"fc\": weight_noise_gain: found -8"),
        std::tuple("\"weight_noise_gain\": 8", "\"weight_noise_gain\": null",
                   "layers[1]: weight_noise_gain: JSON: expected a number, found null"),
        std::tuple("\"learning_rate_min\": 0.001, ", "", "learning_rate_min")}) {
    const std::string message = error_of(from, to);
    EXPECT_NE(message.find(expected), std::string::npos) << message;
    EXPECT_NE(message.find("stats.json"), std::string::npos) << message;
  }
  const Outcome without = run_program({"assign", folder.write("stats.json", kStatistics)});
  EXPECT_EQ(without.exit_code, 2);
  EXPECT_NE(without.err.find("--bmin"), std::string::npos) << without.err;
  const Outcome share =
      run_program({"assign", folder.write("stats.json", kStatistics), "--mismatch", "some"});
  EXPECT_EQ(share.exit_code, 2);
  EXPECT_NE(share.err.find("--mismatch: found 'some'"), std::string::npos) << share.err;
}

TEST(AssignCommand, WritesTheFormatsOfAStatisticsFile) {
  const TemporaryFolder folder;
  const std::string out = folder.file("formats.toml");
  const Outcome outcome =
      run_program({"assign", folder.write("stats.json", kStatistics), "--bmin", "4", "--out", out});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::ifstream stream(out);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  for (const char* part :
       {"[[formats.layer]]\nname = \"conv1\"\nactivation = { format = \"ufx8.8\"",
        "name = \"fc\"\nactivation = { format = \"ufx4.3\", rounding = \"nearest-away\"",
        "weight = { format = \"fx6.5\"", "weight_gradient = { format = \"fx12.16\"",
        "weight_residual = { format = \"fx21.26\""}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

}  // namespace
}  // namespace narrowmac
