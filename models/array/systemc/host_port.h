#pragma once

#include <exception>
#include <systemc>

#include "models/array/platform.h"
#include "models/array/systemc/array_if.h"
#include "models/array/systemc/controller.h"

namespace narrowmac {

/// The door between the program and the simulation: post() from outside, then sc_start(); the port
/// hands the job to array and controller and calls sc_pause() when it is done.
///
/// All processes of the platform are methods, not threads: they run on the program's own stack, so
/// kernels, task scheduler and sanitizers find what they expect, and a slice costs no context
/// switch.
class HostPort : public sc_core::sc_module {
 public:
  sc_core::sc_port<ArrayIf> array;

  SC_HAS_PROCESS(HostPort);
  HostPort(const sc_core::sc_module_name& name, Controller& controller);

  /// A GEMM and, unless only its time is wanted, the job with its values; both stay valid until it
  /// is done.
  void post(const GemmShape& shape, const ArrayDesign& design, const ElementBytes& bytes,
            const PlatformJob* job);
  /// Of the last GEMM: whether it is done, and what was thrown when its values were computed or
  /// written.
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] const std::exception_ptr& failure() const { return failure_; }

 private:
  void serve();
  void finish();

  Controller& controller_;
  sc_core::sc_event posted_, failed_;
  GemmShape shape_;
  const ArrayDesign* design_ = nullptr;
  ElementBytes bytes_;
  const PlatformJob* job_ = nullptr;
  bool done_ = true;
  std::exception_ptr failure_;
};

}  // namespace narrowmac
