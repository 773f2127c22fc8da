#pragma once

#include <cstdint>

namespace narrowmac {

/// Who draws a random word: stochastic rounding's address space (see docs/numerics.md for the function).
enum class RandomLevel : std::uint32_t { Accumulator = 0, SecondAccumulator = 1, Product = 2 };

/// The counter-based hash behind stochastic rounding: 32 random bits that depend on nothing but the arguments.
/// A rounding with r random bits takes the top r bits. Specified in docs/numerics.md with constants and packing.
std::uint32_t random_word(std::uint64_t seed, std::uint64_t gemm_number, std::int64_t m, std::int64_t n,
                          RandomLevel level, std::int64_t k);

}  // namespace narrowmac
