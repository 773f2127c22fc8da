#pragma once

#include <cstdint>
#include <vector>

#include "models/design/mac_design.h"
#include "sim/experiment/operand_matrix.h"

namespace narrowmac {

/// Independent draws of N(0, 1) rounded to an operand format, as a MAC rounds its inputs, but to
/// the largest finite value where that overflows. For fixed point 4 sigma are the format's maximum
/// instead (negative draws of an unsigned format become 0). With `nonzero_ratio` below 1 a draw is
/// replaced by zero with the complementary probability.
/// The draws are addressed by counters: the same for any number of threads.
class GaussianOperands {
 public:
  GaussianOperands(const NumberFormat& format, const MacDesign& mac, double nonzero_ratio = 1);

  /// Fills a matrix of rows x length; row r is the stream split_mix(key + r), whatever the other
  /// dimensions are. The matrix's memory is used again.
  void fill_rows(std::int64_t rows, std::int64_t length, std::uint64_t key,
                 OperandMatrix& to) const;
  /// The transposed matrix of the same values, length x columns: column c is the stream
  /// split_mix(key + c).
  void fill_columns(std::int64_t length, std::int64_t columns, std::uint64_t key,
                    OperandMatrix& to) const;

 private:
  /// Walker's alias method ("An efficient method for generating discrete random variables with
  /// general distributions", 1977): one of two values, by a coin.
  struct Cell {
    double values[2] = {0, 0};
    std::uint32_t threshold = 0;  ///< a coin of 32 bits takes the second value from here on
  };
  void make_table(double nonzero_ratio);
  [[nodiscard]] double draw(std::uint64_t key, std::uint64_t index) const;
  template <typename Value>
  void fill(std::int64_t length, std::int64_t streams, bool transposed, std::uint64_t key,
            OperandMatrix& to) const;
  void fill_matrix(std::int64_t length, std::int64_t streams, bool transposed, std::uint64_t key,
                   OperandMatrix& to) const;

  Conversion conversion_;
  double sigma_;
  double nonzero_ratio_;
  std::vector<Cell> table_;  ///< formats of up to 16 bits; empty: each draw is rounded by itself
};

}  // namespace narrowmac
