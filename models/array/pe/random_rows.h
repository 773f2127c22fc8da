#pragma once

#include <cstdint>
#include <vector>

#include "models/numerics/gemm.h"
#include "models/numerics/random.h"

namespace narrowmac {

/// The random words of one level of a GEMM, by their place.
class RandomRows {
 public:
  /// `bits` 0: nothing is drawn.
  RandomRows(const GemmProblem& problem, RandomLevel level, int bits) : bits_(bits) {
    const std::int64_t rows = bits == 0 ? 0 : problem.shape().m;
    keys_.reserve(static_cast<std::size_t>(rows));
    for (std::int64_t m = 0; m < rows; ++m) {
      keys_.push_back(random_row_key(problem.seed, problem.gemm_number, m, level));
    }
  }

  [[nodiscard]] int bits() const { return bits_; }
  [[nodiscard]] std::uint32_t column_word(std::int64_t m, std::int64_t n) const {
    return random_column_word(keys_[static_cast<std::size_t>(m)], n);
  }
  /// Of the word that step k shares with its neighbours.
  [[nodiscard]] std::uint32_t step_word(std::int64_t m, std::int64_t k) const {
    return random_step_word(keys_[static_cast<std::size_t>(m)], k / draws_per_word(bits_));
  }
  /// Bits of the word above those that step k draws.
  [[nodiscard]] std::uint32_t field(std::int64_t k) const {
    const int draws = draws_per_word(bits_);
    return static_cast<std::uint32_t>(k % draws * (32 / draws));
  }
  /// What step k of output (m, n) draws.
  [[nodiscard]] std::uint32_t draw(std::int64_t m, std::int64_t n, std::int64_t k) const {
    if (bits_ == 0) return 0;
    return random_bits_of_step(combine_random(column_word(m, n), step_word(m, k)), k, bits_);
  }

 private:
  std::vector<RandomRowKey> keys_;
  int bits_ = 0;
};

}  // namespace narrowmac
