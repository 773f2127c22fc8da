#include "models/array/waveform.h"

#include <fmt/core.h>

#include <fstream>
#include <memory>
#include <system_error>
#include <systemc>

#include "models/array/systemc/structural/structural_array.h"
#include "models/design/error.h"

namespace narrowmac {
namespace {

/// SystemC's writer puts ".vcd" behind the name it is given.
std::filesystem::path unfinished(const std::filesystem::path& file) {
  std::filesystem::path path = file;
  path += ".unfinished";
  return path;
}

void check(const ArrayDesign& array, const std::filesystem::path& file) {
  validate(array);
  const std::int64_t pes = std::int64_t{array.rows} * array.columns;
  if (pes > kMaxWaveformPes) {
    throw Error(fmt::format("array {} x {}: {} PEs; accepted for a waveform: at most {}",
                            array.rows, array.columns, pes, kMaxWaveformPes));
  }
  if (sc_core::sc_get_status() != sc_core::SC_ELABORATION) {
    throw Error("this process already has a SystemC simulation; a process can hold one",
                Error::Kind::System);
  }
  // SystemC only warns on a file that it cannot open.
  if (!std::ofstream(unfinished(file).string() + ".vcd")) {
    throw Error(fmt::format("{}: cannot be written", file.string()), Error::Kind::System);
  }
}

/// The open trace file; closed and taken away unless kept.
class TraceFile {
 public:
  explicit TraceFile(const std::filesystem::path& file)
      : path_(file), file_(sc_core::sc_create_vcd_trace_file(unfinished(file).c_str())) {
    file_->set_time_unit(1, sc_core::SC_NS);
  }
  ~TraceFile() {
    if (file_ == nullptr) return;
    sc_core::sc_close_vcd_trace_file(file_);
    std::error_code ignored;
    std::filesystem::remove(written(), ignored);
  }
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  [[nodiscard]] sc_core::sc_trace_file* get() const { return file_; }
  void keep() {
    sc_core::sc_close_vcd_trace_file(file_);
    file_ = nullptr;
    std::error_code failed;
    std::filesystem::rename(written(), path_, failed);
    if (failed) {
      throw Error(fmt::format("{}: cannot be written: {}", path_.string(), failed.message()),
                  Error::Kind::System);
    }
  }

 private:
  [[nodiscard]] std::filesystem::path written() const {
    return unfinished(path_).string() + ".vcd";
  }
  std::filesystem::path path_;
  sc_core::sc_trace_file* file_;
};

}  // namespace

std::int64_t write_waveform(const GemmProblem& problem, const ArrayDesign& array,
                            const std::filesystem::path& file, const OutputView& out) {
  check(array, file);
  sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
  const sc_core::sc_time half(kWaveformNanoseconds / 2.0, sc_core::SC_NS);
  // Falls first: the falling edge before clock edge u drives what that edge takes.
  sc_core::sc_clock clock("clock", 2 * half, 0.5, half, false);
  StructuralArray structure("array", array);
  structure.clock(clock);
  TraceFile trace(file);
  structure.begin(problem, array.psum, true);
  sc_trace(trace.get(), clock, "clock");
  structure.trace(trace.get());
  while (!structure.done()) sc_core::sc_start(2 * half);
  structure.write(out);
  trace.keep();
  return structure.cycles();
}

}  // namespace narrowmac
