#include "sim/experiment/run_directory.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "models/design/error.h"
#include "sim/experiment/npy.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

constexpr const char* kConfig = "config.toml";
constexpr const char* kNetwork = "network.toml";
constexpr const char* kSummary = "summary.json";
constexpr const char* kSteps = "steps.csv";
constexpr const char* kObservations = "observations.csv";
constexpr const char* kLayers = "layers.csv";
constexpr const char* kTensors = "tensors.csv";
constexpr const char* kStatistics = "statistics.json";
constexpr const char* kState = "state.json";
constexpr std::string_view kStep = "step-";

/// What a run leaves behind that is killed before its config.toml is there.
bool is_of_a_beginning(const std::string& name) {
  return name == ".lock" || name == kNetwork || (name.front() == '.' && name.ends_with(".tmp"));
}

/// The steps of the checkpoints in a folder, ascending.
std::vector<std::int64_t> checkpoint_steps(const fs::path& folder) {
  std::vector<std::int64_t> steps;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kStep)) continue;
    std::int64_t step = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kStep.size(), end, step);
    if (parsed.ec == std::errc() && parsed.ptr == end) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

/// Where two run files first differ, for people.
std::string first_difference(const RunConfig& there, const RunConfig& here) {
  std::istringstream old_text(to_toml(there, kNetwork)), new_text(to_toml(here, kNetwork));
  std::string old_line, new_line;
  while (std::getline(old_text, old_line) && std::getline(new_text, new_line)) {
    const bool is_free = new_line.starts_with("name = ") || new_line.starts_with("path = ");
    if (old_line != new_line && !is_free) {
      return fmt::format("; first difference: {} there, {} here", old_line, new_line);
    }
  }
  return "";
}

Json seconds_to_json(const std::map<std::string, double>& seconds) {
  Json::Object object;
  for (const auto& entry : seconds) object.emplace_back(entry.first, entry.second);
  return object;
}

std::string state_text(const Checkpoint& checkpoint) {
  Json::Object state = {{"schema", 1},
                        {"step", checkpoint.state.step},
                        {"loss_scale", checkpoint.state.loss_scale},
                        {"good_steps", checkpoint.state.good_steps},
                        {"diverged", checkpoint.state.diverged},
                        {"seconds", checkpoint.seconds},
                        {"host_seconds", seconds_to_json(checkpoint.host_seconds)},
                        {"work", work_to_json(checkpoint.work)},
                        {"observed", checkpoint.record.to_json()}};
  if (checkpoint.precision) state.emplace_back("precision", checkpoint.precision->to_json());
  return Json(std::move(state)).to_text();
}

}  // namespace

RunDirectory::RunDirectory(const fs::path& path, const RunConfig& config, bool resume)
    : path_(path), macs_(config.training.macs), array_(config.array) {
  std::error_code missing;
  if (fs::exists(path_, missing) && !fs::is_directory(path_, missing)) {
    throw Error(fmt::format("--out {}: found a file; accepted: a folder", path_.string()));
  }
  if (!fs::exists(path_ / kConfig, missing)) {
    for (const auto& entry : fs::directory_iterator(path_, missing)) {
      const std::string name = entry.path().filename().string();
      if (is_of_a_beginning(name)) continue;
      throw Error(
          fmt::format("--out {}: found {} and no {}, so this is no run directory; accepted: "
                      "a new or empty folder, or the directory of this run",
                      path_.string(), name, kConfig));
    }
  }
  make_directories(path_);
  lock_.emplace(path_);
  remove_temporaries(path_);
  if (fs::exists(path_ / kConfig)) {
    check_contents(config, resume);
  } else {
    write_file(path_ / kNetwork, read_file(config.network_file));
    write_file(path_ / kConfig, to_toml(config, kNetwork));
  }
  make_directories(path_ / "checkpoint");
  remove_temporaries(path_ / "checkpoint");
}

void RunDirectory::check_contents(const RunConfig& config, bool resume) const {
  const RunConfig there = read_run_config(path_ / kConfig);
  if (run_hash(there) != run_hash(config)) {
    throw Error(
        fmt::format("--out {}: found another run, {} ({}); accepted: a new folder, or the "
                    "directory of this run ({}){}",
                    path_.string(), there.name, run_hash(there), run_hash(config),
                    first_difference(there, config)));
  }
  if (resume) return;
  throw Error(fmt::format("--out {}: found this run, {}; accepted: --resume to {}, or a new folder",
                          path_.string(), fs::exists(path_ / kSummary) ? "finished" : "unfinished",
                          fs::exists(path_ / kSummary) ? "see its results" : "go on"));
}

std::string RunDirectory::summary() const {
  return fs::exists(path_ / kSummary) ? read_file(path_ / kSummary) : "";
}

std::optional<Checkpoint> read_checkpoint(const fs::path& run_directory, bool first) {
  const std::vector<std::int64_t> steps = checkpoint_steps(run_directory / "checkpoint");
  if (steps.empty()) return std::nullopt;
  const std::int64_t wanted = first ? steps.front() : steps.back();
  const fs::path folder = run_directory / "checkpoint" / fmt::format("{}{}", kStep, wanted);
  try {
    const Json json = Json::parse(read_file(folder / kState), (folder / kState).string());
    Checkpoint checkpoint;
    checkpoint.state.step = json.at("step").integer();
    checkpoint.state.loss_scale = json.at("loss_scale").number();
    checkpoint.state.good_steps = json.at("good_steps").integer();
    checkpoint.state.diverged = json.at("diverged").boolean();
    checkpoint.seconds = json.at("seconds").number();
    for (const auto& entry : json.at("host_seconds").object()) {
      checkpoint.host_seconds[entry.first] = entry.second.number();
    }
    checkpoint.work = work_from_json(json.at("work"));
    checkpoint.record =
        RunRecord::restore(json.at("observed"), read_file(run_directory / kSteps),
                           read_file(run_directory / kObservations), checkpoint.state.step);
    if (const Json* precision = json.find("precision")) {
      checkpoint.precision = PrecisionRecord::from_json(*precision);
    }
    checkpoint.tensors = read_tensors(folder);
    return checkpoint;
  } catch (const Error& failure) {
    throw Error(fmt::format("{}: cannot resume: {}", folder.string(), failure.what()),
                failure.kind());
  }
}

void RunDirectory::save(const Checkpoint& checkpoint) {
  // The tables first: a checkpoint must never be ahead of them, since resuming cuts them to its
  // step.
  write_file(path_ / kSteps, checkpoint.record.steps_csv());
  write_file(path_ / kObservations, checkpoint.record.observations_csv());
  write_file(path_ / kLayers, checkpoint.record.layers_csv(checkpoint.work, macs_, array_));
  if (checkpoint.precision) write_file(path_ / kTensors, checkpoint.precision->tensors_csv());
  const fs::path folder = path_ / "checkpoint";
  const std::string name = fmt::format("{}{}", kStep, checkpoint.state.step);
  if (!fs::exists(folder / name)) {
    const fs::path temporary = folder / fmt::format(".{}.{}.tmp", name, ::getpid());
    make_directories(temporary);
    try {
      for (const NamedTensor& tensor : checkpoint.tensors) {
        write_into_new_folder(temporary / (tensor.name + ".npy"),
                              npy_bytes(tensor.shape, std::span(tensor.values)));
      }
      write_into_new_folder(temporary / kState, state_text(checkpoint));
    } catch (...) {  // on a full disk half a checkpoint would only be in the way
      std::error_code ignored;
      fs::remove_all(temporary, ignored);
      throw;
    }
    rename_durably(temporary, folder / name);
  }
  const std::vector<std::int64_t> steps = checkpoint_steps(folder);
  for (std::size_t i = 0; i + 2 < steps.size(); ++i) {
    if (steps[i] == 0) continue;
    const std::string old = fmt::format("{}{}", kStep, steps[i]);
    const fs::path doomed = folder / fmt::format(".{}.{}.tmp", old, ::getpid());
    rename_durably(folder / old, doomed);  // never a checkpoint with half of its files
    std::error_code ignored;               // what stays is removed at the next start
    fs::remove_all(doomed, ignored);
  }
}

void RunDirectory::save_statistics(const std::string& statistics) {
  write_file(path_ / kStatistics, statistics);
}

void RunDirectory::finish(const std::string& summary) { write_file(path_ / kSummary, summary); }

std::vector<NamedTensor> read_tensors(const fs::path& folder) {
  std::vector<NamedTensor> tensors;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".npy") continue;
    const NpyArray array = read_npy(entry.path());
    if (array.is_double()) {
      throw Error(fmt::format("{}: found float64; accepted: float32", entry.path().string()));
    }
    tensors.push_back({entry.path().stem().string(), array.shape, array.floats()});
  }
  std::sort(tensors.begin(), tensors.end(), [](const NamedTensor& left, const NamedTensor& right) {
    return left.name < right.name;
  });
  return tensors;
}

}  // namespace narrowmac
