#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "models/array/timing.h"
#include "models/design/array_design.h"
#include "models/numerics/gemm.h"

namespace narrowmac {

/// One GEMM for the platform; shape, dataflow, memory and design may differ from job to job.
struct PlatformJob {
  GemmProblem problem;  ///< views stay valid until run() returns
  OutputView out;
  std::optional<Observation> observe;
  ArrayDesign array;
};

/// What the simulation measured. Cycles, stalls and traffic are counted by the modules that spend
/// them.
struct PlatformResult {
  Timing timing;
  std::int64_t elapsed_cycles = 0;  ///< simulated time from start to the last byte written
  std::optional<GemmStatistics> statistics;
};

/// The array and its memory in SystemC: host port, controller, double-buffered scratchpads, DRAM,
/// and an array at transaction level or cycle by cycle. Elaborated once; every run() continues the
/// same simulation until its job is done. SystemC holds one simulation per process: a second
/// platform throws Error, also after the first one's end.
class Platform {
 public:
  /// `fidelity` is the array's: transaction or cycle; that of the jobs' arrays does not matter.
  explicit Platform(Fidelity fidelity = Fidelity::Transaction);
  ~Platform();
  Platform(const Platform&) = delete;
  Platform& operator=(const Platform&) = delete;

  /// Throws Error as gemm() and timing() do; the platform stays usable.
  PlatformResult run(const PlatformJob& job);
  /// The time of a GEMM without its values. Throws Error as timing() does, and under fidelity
  /// cycle.
  PlatformResult time(const GemmShape& shape, const ArrayDesign& array, const ElementBytes& bytes);

 private:
  class Modules;
  PlatformResult simulate(const GemmShape& shape, const ArrayDesign& array,
                          const ElementBytes& bytes, const PlatformJob* job);
  std::unique_ptr<Modules> modules_;
};

}  // namespace narrowmac
