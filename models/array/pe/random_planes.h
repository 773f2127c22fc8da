#pragma once

#include <cstdint>

#include "models/array/pe/fold.h"
#include "models/array/pe/plane_kernel.h"
#include "models/array/pe/random_rows.h"
#include "models/numerics/lane_operands.h"

namespace narrowmac {

/// The random words of stochastic rounding on their way through the array. A step's word belongs to
/// an element of A and moves, or stays, with it; a column word belongs to an output and goes where
/// its sum goes: so every PE has both parts of its word with its operands.
template <typename T>
class RandomPlanes {
 public:
  /// Planes like those of the other registers: rows `stride` apart, `height` of them; `stages`
  /// planes of sums. Without random bits there are none.
  RandomPlanes(const GemmProblem& problem, const ArrayDesign& array, int bits, std::int64_t stride,
               std::int64_t stages);

  [[nodiscard]] bool empty() const { return rows_.bits() == 0; }
  /// What the kernel needs in a clock whose sums are those of `stage`.
  [[nodiscard]] PlaneRandom<T> at_stage(std::int64_t stage) const;
  /// The words of a clock enter, or become the active ones.
  void feed(const ActiveFold& active, std::int64_t clock, std::int64_t stage);

 private:
  using Word = LaneWord<T>;
  void feed_sums(const ActiveFold& active, std::int64_t clock, std::int64_t stage);
  void feed_psums(const ActiveFold& active, std::int64_t clock, std::int64_t stage);
  void feed_moving(const ActiveFold& active, std::int64_t clock);
  void feed_held(const ActiveFold& active, std::int64_t clock);
  void put(Word* steps, Word* fields, std::int64_t at, const MacIndex& index) const;

  RandomRows rows_;
  bool held_;  ///< is: the elements of A stay
  std::int64_t stride_, plane_;
  LaneBuffer<Word> storage_;
  Word* steps_ = nullptr;
  Word* fields_ = nullptr;
  Word* next_steps_ = nullptr;  ///< of the next fold's stationary operand
  Word* next_fields_ = nullptr;
  Word* columns_ = nullptr;  ///< a plane per stage
};

}  // namespace narrowmac
