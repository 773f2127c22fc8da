#pragma once

#include <cstdint>
#include <exception>
#include <systemc>

#include "models/array/platform.h"
#include "models/array/systemc/array_if.h"
#include "models/array/systemc/controller.h"

namespace narrowmac {

/// The door between the program and the simulation: post() from outside, then sc_start(); the port
/// hands the job to controller and array and calls sc_pause() when it is done.
class HostPort : public sc_core::sc_module {
 public:
  sc_core::sc_port<ArrayIf> array;

  SC_HAS_PROCESS(HostPort);
  HostPort(const sc_core::sc_module_name& name, Controller& controller);

  void post(const PlatformJob& job, const ElementBytes& bytes);
  /// Of the last job: how long it took, and what was thrown inside the simulation.
  [[nodiscard]] std::int64_t elapsed_cycles() const { return elapsed_cycles_; }
  [[nodiscard]] const std::exception_ptr& failure() const { return failure_; }
  [[nodiscard]] bool idle() const { return job_ == nullptr; }

 private:
  void serve();
  void execute();

  Controller& controller_;
  sc_core::sc_event posted_;
  const PlatformJob* job_ = nullptr;
  ElementBytes bytes_;
  std::int64_t elapsed_cycles_ = 0;
  std::exception_ptr failure_;
};

}  // namespace narrowmac
