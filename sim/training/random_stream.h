#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace narrowmac {

/// Random numbers of the host, addressed by counters: the same on every platform and in every order
/// of drawing. Not the numbers of stochastic rounding, which models/numerics/random.h defines.

/// A bijection of 64-bit words: the output function of SplitMix64 (Steele, Lea, Flood: Fast
/// splittable pseudorandom number generators, 2014), and its counter's increment.
constexpr std::uint64_t split_mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
inline constexpr std::uint64_t kSplitMixStep = 0x9e3779b97f4a7c15ULL;

/// 64 random bits of (seed, stream, index): SplitMix64's finaliser over a hashed address.
std::uint64_t host_random(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);
/// A stream's number from its name (64-bit FNV-1a), so that adding a layer leaves other layers'
/// weights alone.
std::uint64_t stream_of(std::string_view name);
/// N(0, 1) by Box and Muller's transform.
double host_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t index);
/// A permutation of 0 .. size-1 by Fisher and Yates, without modulo bias beyond 2^-32.
std::vector<std::int64_t> host_permutation(std::uint64_t seed, std::uint64_t stream,
                                           std::int64_t size);

}  // namespace narrowmac
