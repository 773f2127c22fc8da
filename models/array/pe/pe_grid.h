#pragma once

#include <memory>

#include "models/array/pe/fold.h"
#include "models/numerics/gemm.h"

namespace narrowmac {

/// The PEs of an array with the buffers at its edges, stepped clock by clock through one GEMM.
/// Every clock moves every register: operands go on by one PE, each PE adds its product, psums go
/// on or stay, and what is finished leaves.
class PeGrid {
 public:
  PeGrid(const GemmShape& shape, const ArrayDesign& array) : folds_(shape, array) {}
  PeGrid(const PeGrid&) = delete;
  PeGrid& operator=(const PeGrid&) = delete;
  virtual ~PeGrid() = default;

  /// One clock edge.
  void clock() {
    folds_.advance(clock_);
    step(folds_, clock_++);
  }
  /// Clock edges so far.
  [[nodiscard]] std::int64_t clocks() const { return clock_; }
  /// True if every output has left the array.
  [[nodiscard]] bool done() const { return folds_.done(clock_); }
  /// Writes all outputs of a GEMM that is done.
  virtual void write(const OutputView& out) const = 0;

 protected:
  virtual void step(const FoldSequence& folds, std::int64_t clock) = 0;

 private:
  FoldSequence folds_;
  std::int64_t clock_ = 0;
};

/// The fastest grid whose bits are proven to be those of reference_gemm: vector lanes where the
/// GEMM's plan allows them, else PEs with the exact step. `problem` stays valid as long as the
/// grid. Throws Error as gemm() does, and if the problem's order of accumulation is not the one of
/// its MAC and the array.
std::unique_ptr<PeGrid> make_pe_grid(const GemmProblem& problem, const ArrayDesign& array);
/// The grid with the exact step.
std::unique_ptr<PeGrid> make_exact_grid(const GemmProblem& problem, const ArrayDesign& array);

}  // namespace narrowmac
