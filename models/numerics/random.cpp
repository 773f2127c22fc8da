#include "models/numerics/random.h"

namespace narrowmac {
namespace {

/// The finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", 2014; constants of D. Stafford's variant 13).
std::uint64_t mix64(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  x ^= x >> 31;
  return x;
}

/// 2^64 divided by the golden ratio, made odd: SplitMix64's increment.
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;

}  // namespace

RandomRowKey random_row_key(std::uint64_t seed, std::uint64_t gemm_number, std::int64_t m,
                            RandomLevel level) {
  std::uint64_t key = mix64(seed + kGolden);
  key = mix64((key ^ gemm_number) + kGolden);
  key = mix64((key ^ static_cast<std::uint64_t>(level)) + kGolden);
  key = mix64((key ^ static_cast<std::uint64_t>(m)) + kGolden);
  return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

std::uint32_t random_word(std::uint64_t seed, std::uint64_t gemm_number, std::int64_t m,
                          std::int64_t n, RandomLevel level, std::int64_t k) {
  const RandomRowKey key = random_row_key(seed, gemm_number, m, level);
  return combine_random(random_column_word(key, n), random_step_word(key, k));
}

std::uint32_t random_bits_at(std::uint64_t seed, std::uint64_t gemm_number, std::int64_t m,
                             std::int64_t n, RandomLevel level, std::int64_t k, int random_bits) {
  if (random_bits == 0) return 0;
  const std::uint32_t word =
      random_word(seed, gemm_number, m, n, level, k / draws_per_word(random_bits));
  return random_bits_of_step(word, k, random_bits);
}

}  // namespace narrowmac
