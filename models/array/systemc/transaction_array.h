#pragma once

#include <systemc>

#include "models/array/systemc/array_module.h"

namespace narrowmac {

/// The array at transaction level: one kernel call for the values, one delay per slice for the
/// time.
class TransactionArray : public ArrayModule {
 public:
  explicit TransactionArray(const sc_core::sc_module_name& name) : ArrayModule(name) {}

  void begin(const PlatformJob* job) override {
    reset();
    if (job != nullptr) statistics_ = gemm(job->problem, job->out, job->observe);
  }
  void end() override {}
};

}  // namespace narrowmac
