#pragma once

#include <vector>

#include "models/array/pe/exact_mac.h"
#include "models/array/pe/pe_grid.h"

namespace narrowmac {

/// PEs as plain structs with the exact step: any design.
class ExactGrid final : public PeGrid {
 public:
  ExactGrid(const GemmProblem& problem, const ArrayDesign& array);
  void write(const OutputView& out) const override;

 protected:
  void step(const FoldSequence& folds, std::int64_t clock) override;

 private:
  /// Operand registers of one PE.
  struct Pe {
    double west = 0;   ///< what moves east
    double north = 0;  ///< os: what moves south; else the stationary operand
    double next = 0;   ///< ws, is: the next fold's stationary operand
  };
  /// One of the sums of a PE, or a stage on a psum's way to the next row.
  struct Sum {
    double sum = 0;
    double total = 0;  ///< os with chunks: the second accumulator
  };

  void move_stationary(const ActiveFold& active, std::int64_t clock);
  void step_output_stationary(const ActiveFold& active, std::int64_t clock);
  void take_product(const Fold& fold, int row, int column, std::int64_t token, Sum& sum);
  void step_operand_stationary(const ActiveFold& active, std::int64_t clock);
  [[nodiscard]] double next_psum(const Fold& fold, int row, int column, std::int64_t element,
                                 std::int64_t stage);
  void leave(const Fold& fold, int column, std::int64_t element, double psum);
  [[nodiscard]] std::size_t at(std::int64_t row, std::int64_t column) const;
  [[nodiscard]] Sum& sum_at(std::int64_t stage, int row, int column);

  GemmShape shape_;
  ExactMac mac_;
  std::int64_t chunk_length_;  ///< 0: no second accumulator
  int columns_;
  std::vector<double> a_, b_, out_;
  std::vector<Pe> pes_;
  std::vector<Sum> sums_;
};

}  // namespace narrowmac
