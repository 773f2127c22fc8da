#include "sim/experiment/run.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "models/design/error.h"
#include "sim/accelerators/make.h"
#include "sim/experiment/hardware_json.h"
#include "sim/experiment/interrupt.h"
#include "sim/experiment/plan.h"
#include "sim/experiment/precision_record.h"
#include "sim/experiment/progress.h"
#include "sim/experiment/run_config.h"
#include "sim/experiment/run_directory.h"
#include "sim/experiment/step_cost.h"
#include "sim/training/precision_statistics.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// One run between its start (or resumption) and its end (or interruption).
class Session {
 public:
  Session(const RunConfig& config, const Dataset& train, RunDirectory& directory,
          const RunOptions& options);
  /// False if a signal came first; then a checkpoint has been written.
  bool train();
  /// Evaluates, writes the results and returns the contents of summary.json.
  std::string finish(const Dataset& test, const RunPlan& plan);
  [[nodiscard]] const Trainer& trainer() const { return trainer_; }

 private:
  void save();
  /// Adds an epoch to the precision record, if the run has one.
  void record_precision();
  /// False if a signal came.
  bool save_statistics();
  [[nodiscard]] PrecisionProblem precision_problem() const;
  void show_progress(const StepReport& step);
  [[nodiscard]] std::map<std::string, double> host_seconds() const;
  [[nodiscard]] std::int64_t images_done() const;
  [[nodiscard]] Json hardware(const RunPlan& plan) const;
  [[nodiscard]] Json time(double evaluation_seconds) const;

  const RunConfig& config_;
  const Dataset& train_;
  RunDirectory& directory_;
  double checkpoint_seconds_;
  std::unique_ptr<Accelerator> accelerator_;
  Trainer trainer_;
  RunRecord record_;
  std::optional<PrecisionRecord> precision_;
  std::map<std::string, double> earlier_host_seconds_;  ///< of the sessions before this one
  double earlier_seconds_ = 0;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_save_ = start_;
  double training_seconds_ = 0;
  double checkpoint_total_ = 0;
  double precision_seconds_ = 0;
  std::int64_t first_step_ = 0;
  Progress progress_;
};

Session::Session(const RunConfig& config, const Dataset& train, RunDirectory& directory,
                 const RunOptions& options)
    : config_(config),
      train_(train),
      directory_(directory),
      checkpoint_seconds_(options.checkpoint_seconds),
      accelerator_(make_accelerator(config.array)),
      trainer_(config.network, config.training, train, *accelerator_),
      record_(config.training.quantization && config.training.quantization->gradient),
      progress_(options.quiet) {
  if (auto checkpoint = directory_.load()) {
    trainer_.restore(checkpoint->tensors, checkpoint->state);
    trainer_.restore_work(std::move(checkpoint->work));
    record_ = std::move(checkpoint->record);
    precision_ = std::move(checkpoint->precision);
    earlier_host_seconds_ = std::move(checkpoint->host_seconds);
    earlier_seconds_ = checkpoint->seconds;
  } else {
    if (config.precision) precision_.emplace();
    record_precision();
    save();
  }
  first_step_ = trainer_.state().step;
  checkpoint_total_ = 0;  // what came before the first step is no part of the training
  start_ = last_save_ = Clock::now();
}

bool Session::train() {
  while (trainer_.state().step < trainer_.total_steps() && !trainer_.state().diverged) {
    const StepReport step = trainer_.step();
    record_.add(step);
    record_.add(trainer_.take_observations());
    show_progress(step);
    const bool end_of_epoch = step.step % trainer_.steps_per_epoch() == 0;
    if (end_of_epoch && !trainer_.state().diverged) record_precision();
    const bool stop = InterruptGuard::signal() != 0;
    if (stop || end_of_epoch || seconds_since(last_save_) >= checkpoint_seconds_) save();
    if (stop) break;
  }
  if (trainer_.state().diverged) save();
  training_seconds_ = earlier_seconds_ + seconds_since(start_);
  progress_.clear();
  if (trainer_.state().diverged) return true;
  if (trainer_.state().step < trainer_.total_steps()) return false;
  return !precision_ || save_statistics();
}

void Session::save() {
  const Clock::time_point start = Clock::now();
  Checkpoint checkpoint;
  checkpoint.state = trainer_.state();
  checkpoint.tensors = trainer_.tensors();
  checkpoint.record = record_;
  checkpoint.work = trainer_.work();
  checkpoint.precision = precision_;
  checkpoint.host_seconds = host_seconds();
  checkpoint.seconds = earlier_seconds_ + seconds_since(start_);
  directory_.save(checkpoint);
  last_save_ = Clock::now();
  checkpoint_total_ += std::chrono::duration<double>(last_save_ - start).count();
}

PrecisionProblem Session::precision_problem() const {
  return {config_.network, config_.training, train_, *accelerator_};
}

void Session::record_precision() {
  if (!precision_) return;
  const Clock::time_point start = Clock::now();
  precision_->add(gradient_deviations(precision_problem(), trainer_.tensors()));
  const Clock::duration elapsed = Clock::now() - start;
  precision_seconds_ += std::chrono::duration<double>(elapsed).count();
  start_ += elapsed;  // the time is no part of the training's
}

bool Session::save_statistics() {
  const Clock::time_point start = Clock::now();
  const auto go_on = [&](std::int64_t done, std::int64_t images) {
    if (progress_.due()) {
      progress_.show(fmt::format("{}  noise gains  image {}/{}", config_.name, done, images));
    }
    return InterruptGuard::signal() == 0;
  };
  const std::vector<PrecisionGains> gains =
      precision_gains(precision_problem(), trainer_.tensors(), go_on);
  progress_.clear();
  if (gains.empty()) return false;
  const double rate =
      final_learning_rate(config_.training, trainer_.steps_per_epoch(), trainer_.state().step);
  directory_.save_statistics(precision_->statistics_json(gains, rate));
  precision_seconds_ += seconds_since(start);
  return true;
}

void Session::show_progress(const StepReport& step) {
  if (!progress_.due()) return;
  const std::int64_t done = step.step - first_step_;
  const double per_step = seconds_since(start_) / static_cast<double>(done);
  progress_.show(fmt::format(
      "{}  epoch {}/{}  step {}/{}  loss {:.4f}  {:.0f} images/s  {} left", config_.name,
      step.epoch, config_.training.epochs, step.step, trainer_.total_steps(), step.loss,
      static_cast<double>(config_.training.batch) / per_step,
      duration_text(per_step * static_cast<double>(trainer_.total_steps() - step.step))));
}

std::map<std::string, double> Session::host_seconds() const {
  std::map<std::string, double> total = earlier_host_seconds_;
  for (const auto& entry : trainer_.host_seconds()) total[entry.first] += entry.second;
  total["checkpoint"] += checkpoint_total_;
  if (precision_) total["precision"] += precision_seconds_;
  return total;
}

std::int64_t Session::images_done() const {
  const std::int64_t step = trainer_.state().step, per_epoch = trainer_.steps_per_epoch();
  return step / per_epoch * train_.size() +
         std::min(step % per_epoch * config_.training.batch, train_.size());
}

Json Session::hardware(const RunPlan& plan) const {
  CycleParts cycles;
  StallCauses stalls;
  Traffic traffic;
  for (const auto& layer : trainer_.work()) {
    for (const LayerWork& work : layer.second) {
      cycles += work.cycles;
      stalls += work.stalls;
      traffic += work.traffic;
    }
  }
  return Json::Object{{"fidelity", to_string(config_.array.fidelity)},
                      {"array", describe(config_.array)},
                      {"cycles", cycles.total()},
                      {"stall_cycles", stalls.total()},
                      {"parts", to_json(cycles)},
                      {"stalls", to_json(stalls)},
                      {"traffic", to_json(traffic)},
                      {"cost", to_json(price_run(config_, plan))}};
}

Json Session::time(double evaluation_seconds) const {
  Json::Object passes, phases;
  Json::Array layers;
  double gemms = 0;
  for (const Pass pass : kPasses) {
    double seconds = 0;
    for (const auto& layer : trainer_.work()) {
      seconds += layer.second[static_cast<std::size_t>(pass)].seconds;
    }
    gemms += seconds;
    passes.emplace_back(std::string(to_string(pass)), seconds);
  }
  for (const auto& layer : trainer_.work()) {
    for (const Pass pass : kPasses) {
      const LayerWork& work = layer.second[static_cast<std::size_t>(pass)];
      if (work.gemms == 0) continue;
      layers.push_back(Json::Object{
          {"layer", layer.first}, {"pass", to_string(pass)}, {"seconds", work.seconds}});
    }
  }
  const std::map<std::string, double> host = host_seconds();
  for (const auto& entry : host) phases.emplace_back(entry.first, entry.second);
  return Json::Object{
      {"training", training_seconds_},
      {"evaluation", evaluation_seconds},
      {"passes", std::move(passes)},
      {"layers", std::move(layers)},
      {"phases", std::move(phases)},
      {"gemm_share", gemms / (training_seconds_ - host.at("checkpoint"))},
      {"images_per_second", static_cast<double>(images_done()) / training_seconds_}};
}

std::string Session::finish(const Dataset& test, const RunPlan& plan) {
  const Clock::time_point start = Clock::now();
  const Evaluation evaluation = trainer_.evaluate(test);
  const double evaluation_seconds = seconds_since(start);
  Json::Object results = {{"test_accuracy", evaluation.accuracy},
                          {"test_loss", evaluation.loss},
                          {"train_loss", record_.last_epoch_loss()},
                          {"diverged", trainer_.state().diverged},
                          {"steps", trainer_.state().step}};
  for (auto& member : record_.results(trainer_.work())) results.push_back(std::move(member));
  std::string summary = Json(Json::Object{{"schema", 1},
                                          {"results", std::move(results)},
                                          {"hardware", hardware(plan)},
                                          {"time", time(evaluation_seconds)}})
                            .to_text();
  directory_.finish(summary);
  return summary;
}

void read_results(RunReport& report) {
  const Json summary = Json::parse(report.summary_json, (report.out / "summary.json").string());
  const Json& results = summary.at("results");
  report.test_accuracy = results.at("test_accuracy").number();
  report.test_loss = results.at("test_loss").optional_number();
  report.train_loss = results.at("train_loss").optional_number();
  report.diverged = results.at("diverged").boolean();
  report.steps = results.at("steps").integer();
}

}  // namespace

RunReport run_experiment(const RunOptions& options) {
  const RunConfig config = read_run_config(options.config, options.set);
  RunReport report;
  report.name = config.name;
  report.hash = run_hash(config);
  report.out = options.out.empty()
                   ? fs::path("runs") / fmt::format("{}-{}", config.name, report.hash.substr(0, 8))
                   : options.out;
  const DataSource& data = config.data;
  const Dataset train = read_dataset(data.kind, data.folder, Split::Train, data.train_images);
  const Dataset test = read_dataset(data.kind, data.folder, Split::Test, data.test_images);
  report.plan = make_plan(config, train);
  if (!options.quiet) {
    for (const std::string& warning : report.plan.warnings) spdlog::warn(warning);
  }
  if (options.dry_run) {
    report.outcome = RunOutcome::Planned;
    return report;
  }

  std::unique_ptr<tbb::global_control> threads;
  if (options.threads > 0) {
    threads = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                    static_cast<std::size_t>(options.threads));
  }
  const InterruptGuard interrupt;
  RunDirectory directory(report.out, config, options.resume);
  report.summary_json = directory.summary();
  if (!report.summary_json.empty()) {
    report.outcome = RunOutcome::WasFinished;
    read_results(report);
    return report;
  }
  Session session(config, train, directory, options);
  if (!session.train()) {
    report.outcome = RunOutcome::Interrupted;
    report.signal = InterruptGuard::signal();
    report.steps = session.trainer().state().step;
    return report;
  }
  report.summary_json = session.finish(test, report.plan);
  read_results(report);
  return report;
}

}  // namespace narrowmac
