#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/experiment/files.h"
#include "tests/cli/program.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

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
  const std::string text = read_file(out);
  for (const char* part :
       {"[[formats.layer]]\nname = \"conv1\"\nactivation = { format = \"ufx8.8\"",
        "name = \"fc\"\nactivation = { format = \"ufx4.3\", rounding = \"nearest-away\"",
        "weight = { format = \"fx6.5\"", "weight_gradient = { format = \"fx12.16\"",
        "weight_residual = { format = \"fx21.26\""}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(AssignCommand, OfARunPrintsWidthsCostsAndAccumulators) {
  const TinyRun folder;
  const auto path = [&](const char* name) { return (folder / name).string(); };
  const Outcome trained = run_program(
      {"run", path("run.toml"), "--quiet", "--out", path("full"), "--set", "mac=false", "--set",
       "formats=false", "--set", "observe.precision=true", "--set", "training.loss_scale=1000"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const std::string run = path("full");
  const std::string out = path("fixed.toml");
  const Outcome json = run_program({"assign", run, "--mismatch", "10%", "--format", "json", "--out",
                                    out, "--accumulators", "theory"});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_NE(json.err.find("weight_clip"), std::string::npos) << json.err;
  const auto rows = nlohmann::json::parse(json.out);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_TRUE(rows[0].at("activation_bits").is_null());
  EXPECT_TRUE(rows[0].at("accumulator_BWD_theory").is_null());
  EXPECT_TRUE(rows[1].at("accumulator_BWD_measured").is_string());
  EXPECT_EQ(rows[1].at("communication_bits"), 1440 * rows[1].at("weight_gradient_bits").get<int>());
  EXPECT_EQ(rows[1].at("full_precision_communication_bits"), 1440 * 32);
  EXPECT_EQ(rows[0].at("minimum_bits"), rows[1].at("minimum_bits"));

  const Outcome table = run_program({"assign", run, "--mismatch", "0.1", "--quiet"});
  for (const char* part : {"B_min", "mismatch %", "bits [range, step]", "1-bit full adders",
                           "communication, bits", "GRAD theory"}) {
    EXPECT_NE(table.out.find(part), std::string::npos) << part << "\n" << table.out;
  }
  // The gradients' scale was for floats; the formats are for gradients without one.
  const Outcome fixed = run_program({"run", out, "--quiet", "--out", path("fixed")});
  EXPECT_EQ(fixed.exit_code, 0) << fixed.err;
  EXPECT_NE(read_file(path("fixed/config.toml")).find("loss_scale = 1\n"), std::string::npos);
}

TEST(AssignCommand, OptionsThatWouldDoNothingAreRefused) {
  const TemporaryFolder folder;
  const std::string stats = folder.write("stats.json", kStatistics);
  const auto error_of = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"assign", stats, "--bmin", "4"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  };
  EXPECT_NE(error_of({"--mismatch", "1%"}).find("--mismatch"), std::string::npos);
  EXPECT_NE(error_of({"--accumulators", "theory"}).find("--accumulators"), std::string::npos);
  EXPECT_NE(error_of({"--out", "/none/such/f.toml"}).find("/none/such"), std::string::npos);
}

TEST(AssignCommand, StatisticsBeyondWhatFormatsHoldAreRefused) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& from, const std::string& to,
                            const std::string& bits) {
    std::string text = kStatistics;
    text.replace(text.find(from), from.size(), to);
    const Outcome outcome = run_program({"assign", folder.write("stats.json", text), "--bmin", bits,
                                         "--out", folder.file("f.toml")});
    EXPECT_EQ(outcome.exit_code, 2) << outcome.out;
    return outcome.err;
  };
  EXPECT_NE(error_of("2400", "1e-300", "4").find("weight_noise_gain: found 1e-300"),
            std::string::npos);
  EXPECT_NE(error_of("2400", "1e999", "4").find("stats.json"), std::string::npos);
  EXPECT_NE(error_of("\"fc\"", "\"conv1\"", "4").find("layers[1]: name"), std::string::npos);
  EXPECT_NE(error_of("2400", "2400", "30").find("weight: found"), std::string::npos);
}

}  // namespace
}  // namespace narrowmac
