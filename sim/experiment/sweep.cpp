#include "sim/experiment/sweep.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "models/design/error.h"
#include "sim/experiment/child_process.h"
#include "sim/experiment/csv.h"
#include "sim/experiment/files.h"
#include "sim/experiment/interrupt.h"
#include "sim/experiment/json.h"
#include "sim/experiment/plan.h"
#include "sim/experiment/progress.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;
using State = SweepPointReport::State;

constexpr const char* kTable = "sweep.csv";
/// Members of a run's hardware.cost, and columns.
constexpr const char* kCosts[] = {"mac_area_um2", "area_relative", "energy_step_uj",
                                  "energy_relative"};
constexpr auto kPause = std::chrono::milliseconds(20);
constexpr auto kLookAtSteps = std::chrono::seconds(2);

struct Job {
  std::size_t point = 0;
  ChildProcess process;
};

/// The points, the files of the sweep, and the processes that are running.
class Sweep {
 public:
  Sweep(const SweepOptions& options, const std::vector<SweepPoint>& points, SweepReport& report,
        std::vector<std::int64_t> steps)
      : options_(options),
        points_(points),
        report_(report),
        steps_(std::move(steps)),
        progress_(options.quiet) {}
  void run();

 private:
  void start(std::size_t index);
  void collect();
  void end(std::size_t index, const std::string& how);
  void write_table();
  void show_progress();
  [[nodiscard]] double work_done() const;

  const SweepOptions& options_;
  const std::vector<SweepPoint>& points_;
  SweepReport& report_;
  std::vector<std::int64_t> steps_;  ///< of each point, for the progress
  std::vector<Job> jobs_;
  std::size_t next_ = 0;
  Progress progress_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point looked_;
  double work_ = 0, work_at_start_ = 0;
};

bool is_finished(const SweepPointReport& point) {
  return fs::exists(point.directory / "summary.json");
}

/// The end of a log: its last lines that are not empty.
std::string tail_of(const fs::path& log) {
  std::ifstream file(log);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  std::string text;
  for (std::size_t i = lines.size() > 5 ? lines.size() - 5 : 0; i < lines.size(); ++i) {
    text += (text.empty() ? "" : "\n") + lines[i];
  }
  return text;
}

void Sweep::run() {
  const std::size_t at_a_time = static_cast<std::size_t>(
      options_.jobs > 0 ? options_.jobs
                        : std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  work_at_start_ = work_done();
  write_table();
  bool stopping = false;
  for (;;) {
    collect();
    if (InterruptGuard::signal() != 0 && !stopping) {
      stopping = true;
      report_.signal = InterruptGuard::signal();
      for (const Job& job : jobs_) job.process.terminate();
    }
    while (!stopping && jobs_.size() < at_a_time && next_ < points_.size()) start(next_++);
    if (jobs_.empty()) break;
    show_progress();
    std::this_thread::sleep_for(kPause);
  }
  progress_.clear();
  for (; next_ < points_.size(); ++next_) {
    const bool finished = is_finished(report_.points[next_]);
    report_.points[next_].state = finished ? State::WasFinished : State::Interrupted;
  }
  write_table();
}

void Sweep::start(std::size_t index) {
  SweepPointReport& point = report_.points[index];
  if (is_finished(point)) {
    point.state = State::WasFinished;
    return;
  }
  const fs::path config = report_.out / "points" / (point.hash + ".toml");
  write_file(config, to_toml(points_[index].config, points_[index].config.network_file));
  jobs_.push_back({index, ChildProcess(options_.program,
                                       {"run", config.string(), "--out", point.directory.string(),
                                        "--resume", "--threads", "1", "--quiet"},
                                       point.log)});
}

void Sweep::collect() {
  bool changed = false;
  for (std::size_t i = 0; i < jobs_.size();) {
    const auto how = jobs_[i].process.ended();
    if (!how) {
      ++i;
      continue;
    }
    end(jobs_[i].point, *how);
    changed = true;
    std::vector<Job> rest;
    for (std::size_t k = 0; k < jobs_.size(); ++k) {
      if (k != i) rest.push_back(std::move(jobs_[k]));
    }
    jobs_.swap(rest);
  }
  if (changed) write_table();
}

void Sweep::end(std::size_t index, const std::string& how) {
  SweepPointReport& point = report_.points[index];
  if (is_finished(point)) {
    point.state = State::Finished;
  } else if (report_.signal != 0) {
    point.state = State::Interrupted;
  } else {
    point.state = State::Failed;
    const std::string tail = tail_of(point.log);
    point.error = tail.empty() ? how : how + ": " + tail;
    ++report_.failed;
    progress_.clear();
    if (!options_.quiet) spdlog::error("point \"{}\" failed: {}", point.label, point.error);
  }
}

/// Steps done, as a fraction of all steps of all points.
double Sweep::work_done() const {
  double done = 0, total = 0;
  for (std::size_t i = 0; i < points_.size(); ++i) {
    const auto steps = static_cast<double>(steps_[i]);
    total += steps;
    if (is_finished(report_.points[i])) {
      done += steps;
      continue;
    }
    std::ifstream file(report_.points[i].directory / "steps.csv");
    std::int64_t lines = 0;
    for (std::string line; std::getline(file, line);) ++lines;
    done += static_cast<double>(std::max<std::int64_t>(0, lines - 1));
  }
  return total > 0 ? done / total : 1;
}

void Sweep::show_progress() {
  if (!progress_.due()) return;
  const auto now = Clock::now();
  if (now - looked_ > kLookAtSteps) {
    looked_ = now;
    work_ = work_done();
  }
  const auto done = std::count_if(report_.points.begin(), report_.points.end(), is_finished);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = (work_ - work_at_start_) / seconds;
  const std::string left =
      rate > 0 ? duration_text((1 - work_) / rate) + " left" : "time left not known yet";
  std::string running;
  for (const Job& job : jobs_) {
    running += (running.empty() ? "" : " | ") + report_.points[job.point].label;
  }
  progress_.show(fmt::format("{}{}/{} points  {:.0f} %  {}  running: {}", options_.title, done,
                             points_.size(), 100 * work_, left, running));
}

/// The columns after label, keys, seed and run; each point's come from its summary.json.
std::vector<std::string> result_columns() {
  std::vector<std::string> columns = {"test_accuracy", "test_loss", "train_loss", "diverged"};
  for (const char* metric :
       {"full_swamping", "partial_swamping", "overflow", "underflow", "vrr", "nmse"}) {
    for (const Pass pass : kPasses)
      columns.push_back(fmt::format("{}_{}", metric, to_string(pass)));
  }
  columns.emplace_back("gradient_nmse_BWD");
  columns.emplace_back("gradient_nmse_GRAD");
  columns.emplace_back("cycles");
  for (const char* cost : kCosts) columns.emplace_back(cost);
  columns.emplace_back("seconds");
  return columns;
}

void write_results(CsvWriter& csv, const SweepPointReport& point) {
  if (!is_finished(point)) {
    for (std::size_t i = 0; i < result_columns().size(); ++i) csv << "";
    return;
  }
  const fs::path file = point.directory / "summary.json";
  const Json summary = Json::parse(read_file(file), file.string());
  const Json& results = summary.at("results");
  for (const char* key : {"test_accuracy", "test_loss", "train_loss"}) {
    csv << results.at(key).optional_number();
  }
  csv << (results.at("diverged").boolean() ? "true" : "false");
  for (const char* metric :
       {"full_swamping", "partial_swamping", "overflow", "underflow", "vrr", "nmse"}) {
    for (const Pass pass : kPasses) {
      csv << results.at("passes").at(to_string(pass)).at(metric).optional_number();
    }
  }
  for (const Pass pass : {Pass::Backward, Pass::Gradient}) {  // earlier versions have none
    const Json* const nmse = results.at("passes").at(to_string(pass)).find("gradient_nmse");
    csv << (nmse != nullptr ? nmse->optional_number() : std::nullopt);
  }
  csv << summary.at("hardware").at("cycles").integer();
  // Runs of earlier versions have no costs.
  const Json* const costs = summary.at("hardware").find("cost");
  for (const char* cost : kCosts) {
    csv << (costs != nullptr ? costs->at(cost).optional_number() : std::nullopt);
  }
  const Json& time = summary.at("time");
  csv << time.at("training").number() + time.at("evaluation").number();
}

void Sweep::write_table() {
  std::vector<std::string> columns = {"label"};
  columns.insert(columns.end(), report_.keys.begin(), report_.keys.end());
  columns.emplace_back("seed");
  columns.emplace_back("run");
  for (const std::string& column : result_columns()) columns.push_back(column);
  CsvWriter csv(columns);
  for (const SweepPointReport& point : report_.points) {
    csv << point.label;
    for (const std::string& value : point.values) csv << value;
    csv << point.seed << point.hash;
    write_results(csv, point);
    csv.end_row();
  }
  report_.sweep_csv = csv.text();
  write_file(report_.out / kTable, report_.sweep_csv);
}

/// The keys that any point sets, in the order of their first appearance.
std::vector<std::string> varied_keys(const std::vector<SweepPoint>& points) {
  std::vector<std::string> keys;
  for (const SweepPoint& point : points) {
    for (const auto& value : point.values) {
      if (std::find(keys.begin(), keys.end(), value.first) == keys.end())
        keys.push_back(value.first);
    }
  }
  return keys;
}

/// Why points have no price, each reason once with the first point that gives it.
std::vector<std::string> reasons_without_price(const SweepReport& report) {
  std::vector<std::string> sentences;
  std::set<std::string> said;
  for (const SweepPointReport& point : report.points) {
    if (!is_finished(point)) continue;
    const fs::path file = point.directory / "summary.json";
    const Json summary = Json::parse(read_file(file), file.string());
    const Json* const cost = summary.at("hardware").find("cost");
    if (cost == nullptr || cost->at("reason").is_null()) continue;
    const std::string& reason = cost->at("reason").string();
    if (said.insert(reason).second) {
      sentences.push_back(fmt::format("\"{}\" has no area and energy: {}", point.label, reason));
    }
  }
  return sentences;
}

SweepReport describe_points(const SweepOptions& options, const std::vector<SweepPoint>& points) {
  SweepReport report;
  report.out = options.out.empty() ? fs::path("sweeps") / options.config.stem() : options.out;
  report.keys = varied_keys(points);
  for (const SweepPoint& point : points) {
    SweepPointReport entry;
    entry.label = point.label;
    entry.seed = static_cast<std::int64_t>(point.config.training.seed);
    entry.hash = point.hash;
    entry.directory = report.out / point.hash;
    entry.log = report.out / "logs" / (point.hash + ".log");
    for (const std::string& key : report.keys) {
      const auto found = std::find_if(point.values.begin(), point.values.end(),
                                      [&](const auto& value) { return value.first == key; });
      entry.values.push_back(found == point.values.end() ? "" : found->second);
    }
    report.points.push_back(std::move(entry));
  }
  return report;
}

/// Checks every point as its run would; returns its steps. Data are read once per source.
std::vector<std::int64_t> check_points(const std::vector<SweepPoint>& points, bool warns) {
  std::vector<std::int64_t> steps;
  std::set<std::string> warned;
  Dataset train;
  const DataSource* source = nullptr;
  for (const SweepPoint& point : points) {
    const DataSource& data = point.config.data;
    if (source == nullptr || !(*source == data)) {
      train = read_dataset(data.kind, data.folder, Split::Train, data.train_images);
      (void)read_dataset(data.kind, data.folder, Split::Test, data.test_images);
      source = &data;
    }
    try {
      const RunPlan plan = make_plan(point.config, train);
      steps.push_back(plan.steps);
      for (const std::string& warning : plan.warnings) {
        if (warns && warned.insert(warning).second)
          spdlog::warn("point \"{}\": {}", point.label, warning);
      }
    } catch (const Error& failure) {
      throw Error(fmt::format("sweep point \"{}\": {}", point.label, failure.what()),
                  failure.kind());
    }
  }
  return steps;
}

void check_directory(const fs::path& out, bool resume) {
  std::error_code missing;
  if (fs::exists(out, missing) && !fs::is_directory(out, missing)) {
    throw Error(fmt::format("--out {}: found a file; accepted: a folder", out.string()));
  }
  const bool is_sweep = fs::exists(out / kTable, missing);
  if (is_sweep && !resume) {
    throw Error(fmt::format(
        "--out {}: found a sweep; accepted: --resume to go on with it (finished points are "
        "kept), or a new folder",
        out.string()));
  }
  if (is_sweep) return;
  for (const auto& entry : fs::directory_iterator(out, missing)) {
    const std::string name = entry.path().filename().string();
    if (name.front() == '.' || name == "points" || name == "logs") continue;
    throw Error(fmt::format(
        "--out {}: found {} and no {}, so this is no sweep directory; accepted: a new or "
        "empty folder, or a sweep's",
        out.string(), name, kTable));
  }
}

}  // namespace

SweepReport run_sweep(const SweepOptions& options) {
  return run_sweep(options, read_sweep(options.config, options.set));
}

SweepReport run_sweep(const SweepOptions& options, const std::vector<SweepPoint>& points) {
  std::vector<std::int64_t> steps = check_points(points, options.warns && !options.quiet);
  SweepReport report = describe_points(options, points);
  if (options.dry_run) return report;
  check_directory(report.out, options.resume);
  make_directories(report.out / "points");
  make_directories(report.out / "logs");
  const InterruptGuard interrupt;
  const DirectoryLock lock(report.out);
  remove_temporaries(report.out);
  Sweep sweep(options, points, report, std::move(steps));
  sweep.run();
  if (options.warns && !options.quiet) {
    for (const std::string& sentence : reasons_without_price(report)) spdlog::info(sentence);
  }
  return report;
}

}  // namespace narrowmac
