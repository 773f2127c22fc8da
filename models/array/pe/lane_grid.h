#pragma once

#include <cstdint>
#include <vector>

#include "models/array/pe/pe_grid.h"
#include "models/array/pe/plane_kernel.h"
#include "models/array/pe/random_planes.h"
#include "models/numerics/lane_operands.h"
#include "models/numerics/plan.h"

namespace narrowmac {

/// PEs whose registers are planes of vector lanes, with the step that the GEMM's plan proved. T is
/// float or double. PEs without work, and PEs before and after their stream, add zeros.
template <typename T>
class LaneGrid final : public PeGrid {
 public:
  LaneGrid(const GemmProblem& problem, const ArrayDesign& array, const GemmPlan& plan);
  void write(const OutputView& out) const override;

 protected:
  void step(const FoldSequence& folds, std::int64_t clock) override;

 private:
  void move_stationary(const ActiveFold& active, std::int64_t clock);
  void feed_stream(const ActiveFold& active, std::int64_t clock);
  void feed_sums(const ActiveFold& active, std::int64_t clock);
  void feed_psums(const ActiveFold& active, std::int64_t clock);
  void end_sums(const ActiveFold& active, std::int64_t clock);
  void end_diagonal(const Fold& fold, std::int64_t k, std::int64_t j, std::int64_t diagonal);
  void leave(const ActiveFold& active, std::int64_t clock);
  void add_to_totals(std::int64_t chunk);
  void add_at_random(int count, std::int64_t chunk);
  void store_row(const OutputView& out, std::int64_t m) const;

  const GemmProblem& problem_;
  GemmShape shape_;
  bool infinite_results_;
  double unscale_;
  LaneStep<T> first_, second_;
  PlaneKernel<T> kernel_;
  AddFunction<T> add_ = nullptr;
  std::int64_t chunk_length_;  ///< 0: no second accumulator
  std::vector<T> a_, b_;       ///< B scaled as the plan wants
  std::vector<T> out_;         ///< last-level accumulators of all outputs
  std::int64_t stride_;        ///< of the planes' rows
  int height_, columns_;
  std::int64_t plane_;  ///< elements of a plane
  std::int64_t planes_;
  LaneBuffer<T> storage_;
  T idle_;  ///< stationary operand of an idle row
  T* west_;
  T* north_;
  T* next_;        ///< ws, is: the next fold's stationary operand
  T* sums_;        ///< of the clock's stage
  T* first_sums_;  ///< os: a plane per sum that a PE interleaves; else per stage of the adder
  RandomPlanes<T> random_;
  RandomRows second_random_;
  LaneBuffer<T> leaving_sums_, leaving_totals_;
  LaneBuffer<LaneWord<T>> leaving_columns_, leaving_steps_;
  std::vector<std::size_t> leaving_;  ///< outputs that the two above belong to
};

}  // namespace narrowmac
