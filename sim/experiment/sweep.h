#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/experiment/sweep_points.h"

namespace narrowmac {

struct SweepOptions {
  std::filesystem::path config;
  std::vector<std::string> set;  ///< KEY=VALUE, applied in order to every point's run file
  std::filesystem::path out;  ///< empty: sweeps/NAME, NAME being the file's name without extension
  bool resume = false;        ///< goes on in a directory that already holds this sweep
  bool dry_run = false;       ///< lists the points, computes and writes nothing
  bool quiet = false;         ///< no progress on stderr
  int jobs = 0;       ///< points at a time; 0: one per core. Each point runs with one thread.
  std::string title;  ///< goes before the line of progress
  bool warns = true;  ///< says what is legal but unwise in a point
  std::filesystem::path program = "/proc/self/exe";  ///< what runs a point: `PROGRAM run ...`
};

/// One run of the sweep.
struct SweepPointReport {
  std::string label;
  std::vector<std::string> values;  ///< of SweepReport::keys, in that order
  std::int64_t seed = 1;
  std::string hash;  ///< names the run directory
  std::filesystem::path directory;
  enum class State : std::uint8_t {
    Planned,
    Finished,
    WasFinished,
    Failed,
    Interrupted
  } state = State::Planned;
  std::string error;  ///< Failed: the end of its log
  std::filesystem::path log;
};

struct SweepReport {
  std::filesystem::path out;
  std::vector<std::string> keys;  ///< the varied dotted keys: the label columns of sweep.csv
  std::vector<SweepPointReport> points;
  std::string sweep_csv;  ///< the contents of sweep.csv; empty for a dry run
  std::int64_t failed = 0;
  int signal = 0;  ///< not 0: stopped by this signal, --resume goes on
};

/// `narrowmac sweep`. Throws Error for everything that is wrong before any point is started; points
/// that fail later are reported, the others go on.
SweepReport run_sweep(const SweepOptions& options);
/// The same with points that no sweep file says; `config` and `set` are not read, `out` is needed.
SweepReport run_sweep(const SweepOptions& options, const std::vector<SweepPoint>& points);

}  // namespace narrowmac
