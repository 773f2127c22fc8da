#pragma once

#include <cstdint>

namespace narrowmac {

/// Who draws a random word: stochastic rounding's address space (see docs/numerics.md for the
/// function).
enum class RandomLevel : std::uint32_t { Accumulator = 0, SecondAccumulator = 1, Product = 2 };

// The counter-based hash behind stochastic rounding is built so that a kernel evaluates little per
// step: a row key per (seed, gemm_number, m, level), one column word per (key, n), one step word
// per (key, k), and then for each (n, k) only combine_random(). random_word() is their composition
// and the definition.

/// Everything of a random word that depends on neither n nor k.
struct RandomRowKey {
  std::uint32_t column = 0;  ///< keys the column words
  std::uint32_t step = 0;    ///< keys the step words
};

/// The key of one row of outputs.
RandomRowKey random_row_key(std::uint64_t seed, std::uint64_t gemm_number, std::int64_t m,
                            RandomLevel level);

/// A bijection of 32-bit words: two multiplications, three xor-shifts ("lowbias32" of C. Wellons'
/// hash prospector).
constexpr std::uint32_t random_mix(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return x;
}

/// The part that depends on the output's column: constant over k.
constexpr std::uint32_t random_column_word(const RandomRowKey& key, std::int64_t n) {
  return random_mix(static_cast<std::uint32_t>(n) ^ key.column);
}

/// The part that depends on the step: the same for every column of the row.
constexpr std::uint32_t random_step_word(const RandomRowKey& key, std::int64_t k) {
  return random_mix(static_cast<std::uint32_t>(k) ^ key.step);
}

/// The random word of (n, k) from its column word and its step word: all that is left to do per
/// step. The last line leaves the top 16 bits as they are: up to 16 random bits do not need it.
constexpr std::uint32_t combine_random(std::uint32_t column_word, std::uint32_t step_word) {
  std::uint32_t x = column_word ^ step_word;
  x *= 0xed5ad4bbU;
  x ^= x >> 15;
  x *= 0xac4c1b51U;
  x ^= x >> 16;
  return x;
}

/// 32 random bits that depend on nothing but the arguments; n and k count modulo 2^32. Here k is
/// the counter of the word, which random_bits_at() makes of a step. Specified in docs/numerics.md
/// with constants and packing.
std::uint32_t random_word(std::uint64_t seed, std::uint64_t gemm_number, std::int64_t m,
                          std::int64_t n, RandomLevel level, std::int64_t k);

/// The random bits U of a rounding with `random_bits` bits (0: none): the top bits of a word.
constexpr std::uint32_t top_random_bits(std::uint32_t word, int random_bits) {
  return random_bits == 0 ? 0U : word >> (32 - random_bits);
}

/// How many consecutive steps share a word: a word is most of what a random bit costs.
constexpr int draws_per_word(int random_bits) {
  if (random_bits <= 8) return 4;
  return random_bits <= 16 ? 2 : 1;
}

/// U of step k, from the word whose counter is k / draws_per_word: steps take the word's bytes (or
/// halves) from the top, and U is the top of theirs.
constexpr std::uint32_t random_bits_of_step(std::uint32_t word, std::int64_t k, int random_bits) {
  const int draws = draws_per_word(random_bits);
  const auto draw = static_cast<int>(k % draws);
  return top_random_bits(word << (draw * (32 / draws)), random_bits);
}

/// U of (seed, gemm_number, m, n, level, k): the definition.
std::uint32_t random_bits_at(std::uint64_t seed, std::uint64_t gemm_number, std::int64_t m,
                             std::int64_t n, RandomLevel level, std::int64_t k, int random_bits);

}  // namespace narrowmac
