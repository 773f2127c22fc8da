#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <systemc>

#include "models/array/pe/pe_grid.h"
#include "models/array/systemc/array_module.h"

namespace narrowmac {

/// The array cycle by cycle: while a slice runs, every clock edge moves every register of every PE.
/// Between slices, when the controller waits for memory, the clock stands still.
class CycleArray : public ArrayModule {
 public:
  SC_HAS_PROCESS(CycleArray);
  explicit CycleArray(const sc_core::sc_module_name& name);

  void begin(const PlatformJob* job) override;
  std::int64_t start(const Slice& slice, std::uint64_t half) override;
  void end() override;

 private:
  void clock();

  sc_core::sc_event started_;
  const PlatformJob* job_ = nullptr;
  std::unique_ptr<PeGrid> grid_;
  std::int64_t edges_left_ = 0;  ///< of the slice
  std::exception_ptr failure_;
};

}  // namespace narrowmac
