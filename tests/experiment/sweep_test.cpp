#include "sim/experiment/sweep.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "sim/experiment/files.h"
#include "sim/experiment/json.h"
#include "sim/experiment/sweep_points.h"
#include "tests/experiment/expect_error.h"
#include "tests/experiment/tiny_run.h"

namespace narrowmac {
namespace {

namespace fs = std::filesystem;
using State = SweepPointReport::State;

constexpr const char* kPoints = R"([sweep]
base = "run.toml"
seeds = [1, 2]
[[sweep.point]]
label = "fp32"
mac = false
formats = false
[[sweep.point]]
mac.accumulator = "e6m3"
[[sweep.point]]
label = "chunked"
mac = { accumulator = "e6m3", chunk = { length = 8, accumulator = "e6m9" } }
)";

SweepOptions options_of(const TinyRun& run, const std::string& sweep) {
  SweepOptions options;
  options.config = run.write("sweep.toml", sweep);
  options.out = run / "sweep";
  options.quiet = true;
  options.jobs = 2;
  options.program = NARROWMAC_RUN_PROGRAM;
  return options;
}

TEST(SweepPoints, TablesGoOverTheBasesAndFalseRemovesOne) {
  const TinyRun run;
  const auto points = read_sweep(run.write("sweep.toml", kPoints), {});
  ASSERT_EQ(points.size(), 6U) << "three points with two seeds";
  EXPECT_EQ(points[0].label, "fp32");
  EXPECT_FALSE(points[0].config.mac.has_value());
  EXPECT_TRUE(points[0].config.training.formats.weight.is_identity());
  EXPECT_EQ(points[0].config.training.seed, 1U);
  EXPECT_EQ(points[1].config.training.seed, 2U);
  EXPECT_EQ(points[2].label, "mac.accumulator=e6m3");
  EXPECT_EQ(points[2].config.mac->accumulator.format, NumberFormat::parse("e6m3"));
  ASSERT_TRUE(points[4].config.mac->chunk.has_value());
  EXPECT_EQ(points[4].config.mac->chunk->length, 8);
  EXPECT_EQ(points[4].config.mac->a, NumberFormat::parse("e5m2")) << "from the base's formats";
}

TEST(SweepPoints, AGridHasAllCombinationsByNestedOrQuotedKey) {
  const TinyRun run;
  const auto points = read_sweep(run.write("sweep.toml", R"([sweep]
base = "run.toml"
[sweep.grid]
mac.accumulator = ["e6m3", "e6m5"]
"training.learning_rate" = [0.1, 0.05, 0.01]
)"),
                                 {"training.epochs=1"});
  ASSERT_EQ(points.size(), 6U);
  EXPECT_EQ(points[0].label, "mac.accumulator=e6m3, training.learning_rate=0.1");
  EXPECT_EQ(points[5].label, "mac.accumulator=e6m5, training.learning_rate=0.01");
  EXPECT_EQ(points[5].config.training.learning_rate, 0.01);
  EXPECT_EQ(points[5].config.training.epochs, 1);
  EXPECT_EQ(points[5].config.training.seed, 3U) << "the base's";
}

TEST(SweepPoints, APointIsNamedByWhatDeterminesItsResults) {
  const TinyRun run;
  const auto points = read_sweep(run.write("sweep.toml", kPoints), {});
  std::set<std::string> hashes;
  for (const SweepPoint& point : points) hashes.insert(point.hash);
  EXPECT_EQ(hashes.size(), points.size());
  const RunConfig alone =
      read_run_config(run / "run.toml", {"mac.accumulator=e6m3", "run.seed=2", "run.name=other"});
  EXPECT_EQ(points[3].hash, run_hash(alone));
}

TEST(SweepPoints, MistakesAreRefusedNamingThePlace) {
  const TinyRun run;
  const auto refuse = [&](const std::string& text, const std::vector<std::string>& parts) {
    expect_error([&] { (void)read_sweep(run.write("sweep.toml", text), {}); }, parts);
  };
  const std::string head = "[sweep]\nbase = \"run.toml\"\n";
  refuse("[sweep]\nbase = \"no.toml\"\n", {"sweep.base", "no.toml"});
  refuse(head, {"accepted: [sweep.grid] or at least one [[sweep.point]]"});
  refuse(head + "seed = [1]\n[[sweep.point]]\n", {"sweep.seed", "did you mean 'seeds'"});
  refuse(head + "[[sweep.point]]\nmac.acumulator = \"e6m3\"\n",
         {"sweep.toml:4", "mac.acumulator", "did you mean 'accumulator'"});
  refuse(head + "[sweep.grid]\nmac.accumulator = [\"e6m3\", \"e6m33\"]\n", {"sweep.toml", "e6m33"});
  refuse(head + "[sweep.grid]\nmac.accumulator = []\n", {"found an empty list"});
  refuse(head + "[[sweep.point]]\n[[sweep.point]]\nmac.accumulator = \"e6m5\"\n",
         {"are the same run"});
  refuse(head + "[sweep.grid]\nmac.accumulator = [\"e6m3\"]\n[[sweep.point]]\n",
         {"accepted: one of them"});
}

TEST(Sweep, RunsEveryPointAndTabulatesTheResults) {
  const TinyRun run;
  const SweepReport report = run_sweep(options_of(run, kPoints));
  EXPECT_EQ(report.failed, 0);
  for (const SweepPointReport& point : report.points) {
    EXPECT_EQ(point.state, State::Finished) << point.error;
    EXPECT_TRUE(fs::exists(point.directory / "summary.json"));
  }
  const std::string csv = read_file(run / "sweep/sweep.csv");
  EXPECT_EQ(csv.find(",,,,,,,,,,,,,,,,,,,,,,,"), std::string::npos) << "a point without results";
  EXPECT_EQ(csv, report.sweep_csv);
  EXPECT_TRUE(
      csv.starts_with("label,mac,formats,mac.accumulator,mac.chunk.length,"
                      "mac.chunk.accumulator,seed,run,test_accuracy,test_loss,train_loss,"
                      "diverged,full_swamping_FWD,"))
      << csv;
  EXPECT_NE(csv.find("\nfp32,false,false,,,,1," + report.points[0].hash + ","), std::string::npos)
      << csv;
  EXPECT_NE(csv.find(",cycles,mac_area_um2,area_relative,energy_step_uj,energy_relative,seconds\n"),
            std::string::npos)
      << csv;
  for (const std::size_t point : {0U, 2U, 4U}) {  // fp32, sequential, chunked
    const fs::path file = report.points[point].directory / "summary.json";
    const Json summary = Json::parse(read_file(file), file.string());
    const Json& area = summary.at("hardware").at("cost").at("mac_area_um2");
    EXPECT_EQ(area.is_null(), point == 0);
    const std::string cell =
        area.is_null() ? "0,,,,," : "," + fmt::format("{}", area.number()) + ",";
    EXPECT_NE(csv.find(cell), std::string::npos) << csv;
  }
  EXPECT_NE(csv.find("\nchunked,,,e6m3,8,e6m9,2," + report.points[5].hash + ","), std::string::npos)
      << csv;
}

TEST(Sweep, FinishedPointsAreNeverRunAgain) {
  const TinyRun run;
  SweepOptions options = options_of(run, kPoints);
  const SweepReport first = run_sweep(options);
  expect_error([&] { (void)run_sweep(options); }, {"found a sweep", "accepted: --resume"});
  options.resume = true;
  options.program = "/bin/false";  // whatever is started fails
  const SweepReport again = run_sweep(options);
  EXPECT_EQ(again.failed, 0);
  for (const auto& point : again.points) EXPECT_EQ(point.state, State::WasFinished);
  EXPECT_EQ(again.sweep_csv, first.sweep_csv);
}

TEST(Sweep, AFailedPointIsReportedWithItsLogAndTheOthersGoOn) {
  const TinyRun run;
  SweepOptions options = options_of(run, kPoints);
  // The first point's directory holds another run.
  options.dry_run = true;
  const SweepReport plan = run_sweep(options);
  EXPECT_FALSE(fs::exists(run / "sweep"));
  run.write("sweep/sweep.csv", "label\n");
  run.write("sweep/" + plan.points[0].hash + "/notes.txt", "in the way");
  options.dry_run = false;
  options.resume = true;
  const SweepReport report = run_sweep(options);
  EXPECT_EQ(report.failed, 1);
  EXPECT_EQ(report.points[0].state, State::Failed);
  for (const char* part : {"exit code 2: ", "error: --out", "notes.txt"}) {
    EXPECT_NE(report.points[0].error.find(part), std::string::npos) << report.points[0].error;
  }
  for (std::size_t i = 1; i < report.points.size(); ++i) {
    EXPECT_EQ(report.points[i].state, State::Finished);
  }
}

TEST(Sweep, ASweepThatIsKilledIsResumedWithoutComputingFinishedPointsAgain) {
  const TinyRun run;
  SweepOptions options = options_of(run, kPoints);
  options.jobs = 1;
  // This process has run nothing, so it has no threads that the fork would lack.
  const pid_t child = ::fork();
  if (child == 0) {
    (void)run_sweep(options);
    ::_exit(0);
  }
  const auto finished = [&] {
    std::int64_t count = 0;
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(run / "sweep", missing)) {
      count += fs::exists(entry.path() / "summary.json") ? 1 : 0;
    }
    return count;
  };
  while (finished() == 0) {
    ASSERT_EQ(::waitpid(child, nullptr, WNOHANG), 0)
        << "the sweep ended before a point was finished";
    ::usleep(1000);
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  options.resume = true;
  const SweepReport report = run_sweep(options);
  EXPECT_EQ(report.failed, 0);
  EXPECT_EQ(finished(), 6);
  EXPECT_EQ(report.points[0].state, State::WasFinished);
}

TEST(Sweep, AFolderThatIsNoSweepIsRefused) {
  const TinyRun run;
  run.write("sweep/thesis.tex", "text");
  expect_error([&] { (void)run_sweep(options_of(run, kPoints)); },
               {"thesis.tex", "no sweep directory"});
}

}  // namespace
}  // namespace narrowmac
