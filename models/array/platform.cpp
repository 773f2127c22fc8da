#include "models/array/platform.h"

#include <exception>
#include <systemc>

#include "models/array/schedule.h"
#include "models/array/systemc/controller.h"
#include "models/array/systemc/cycle_array.h"
#include "models/array/systemc/dram.h"
#include "models/array/systemc/host_port.h"
#include "models/array/systemc/scratchpad.h"
#include "models/array/systemc/transaction_array.h"
#include "models/design/error.h"

namespace narrowmac {

/// The modules and their wires:
///
///   host ---> controller ---> dram
///     |         |    |
///     |         |    +------> a, b, psum scratchpads (DRAM side)
///     v         v                  ^
///   array <-----+                  |
///     +----------------------------+ (array side)
class Platform::Modules : public sc_core::sc_module {
 public:
  Modules(const sc_core::sc_module_name& name, Fidelity fidelity)
      : sc_core::sc_module(name),
        array_(make_array(fidelity)),
        array(*array_),
        a("a_scratchpad"),
        b("b_scratchpad"),
        psum("psum_scratchpad"),
        dram("dram"),
        controller("controller"),
        host("host", controller) {
    host.array.bind(array);
    controller.array.bind(array);
    controller.dram.bind(dram.socket);
    controller.a_fill.bind(a.memory_side);
    controller.b_fill.bind(b.memory_side);
    controller.psum_fill.bind(psum.memory_side);
    array.a_port.bind(a.array_side);
    array.b_port.bind(b.array_side);
    array.psum_port.bind(psum.array_side);
  }

  void configure(const std::optional<MemoryDesign>& memory) {
    const double speed = memory ? memory->scratchpad_bytes_per_cycle : 0;
    a.configure(memory ? memory->operand_scratchpad_bytes : 0, speed);
    b.configure(memory ? memory->operand_scratchpad_bytes : 0, speed);
    psum.configure(memory ? memory->psum_scratchpad_bytes : 0, speed);
    dram.configure(memory);
  }

  [[nodiscard]] Traffic traffic() const {
    return {a.bytes_read(),       b.bytes_read(),    psum.bytes_read(),
            psum.bytes_written(), dram.bytes_read(), dram.bytes_written()};
  }

  static std::unique_ptr<ArrayModule> make_array(Fidelity fidelity) {
    if (fidelity == Fidelity::Cycle) return std::make_unique<CycleArray>("array");
    return std::make_unique<TransactionArray>("array");
  }

  std::unique_ptr<ArrayModule> array_;
  ArrayModule& array;
  Scratchpad a, b, psum;
  Dram dram;
  Controller controller;
  HostPort host;
};

namespace {

constexpr const char* kTopName = "narrowmac_platform";

void check_no_other_simulation() {
  if (sc_core::sc_find_object(kTopName) != nullptr ||
      sc_core::sc_get_status() != sc_core::SC_ELABORATION) {
    throw Error(
        "this process already has a SystemC platform; a process can hold one: use one accelerator "
        "of array.fidelity = \"transaction\" or \"cycle\" per process",
        Error::Kind::System);
  }
}

}  // namespace

Platform::Platform(Fidelity fidelity) {
  check_no_other_simulation();
  // SystemC reports every pause on stdout, where results go.
  sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
  modules_ = std::make_unique<Modules>(kTopName, fidelity);
}

Platform::~Platform() = default;

PlatformResult Platform::run(const PlatformJob& job) {
  return simulate(job.problem.shape(), job.array, element_bytes(job.problem.mac, job.problem.order),
                  &job);
}

PlatformResult Platform::time(const GemmShape& shape, const ArrayDesign& array,
                              const ElementBytes& bytes) {
  return simulate(shape, array, bytes, nullptr);
}

PlatformResult Platform::simulate(const GemmShape& shape, const ArrayDesign& array,
                                  const ElementBytes& bytes, const PlatformJob* job) {
  validate(array);
  ArrayDesign without_memory = array;
  without_memory.memory.reset();
  PlatformResult result;
  result.timing = timing(shape, without_memory, bytes);  // refuses what is too large to count
  const Streamed stream = streamed(shape, bytes);
  const FoldSchedule schedule(stream.shape, array, stream.bytes);  // refuses small scratchpads

  modules_->configure(array.memory);
  modules_->host.post(stream.shape, array, stream.bytes, job);
  sc_core::sc_start();
  for (const auto& failure : {modules_->host.failure(), modules_->controller.failure()}) {
    if (failure) std::rethrow_exception(failure);
  }
  if (!modules_->host.done()) {
    throw Error("the SystemC simulation stopped before the GEMM was done", Error::Kind::System);
  }

  result.timing.folds = modules_->controller.folds();
  result.timing.cycles = modules_->array.cycles_spent();
  result.timing.stalls = modules_->controller.stalls();
  result.timing.stalls.scratchpad = modules_->array.port_stalls();
  result.timing.traffic = modules_->traffic();
  result.elapsed_cycles = modules_->controller.elapsed_cycles();
  result.statistics = modules_->array.statistics();
  return result;
}

}  // namespace narrowmac
