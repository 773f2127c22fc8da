#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace narrowmac {

/// Random numbers of the host, addressed by counters: the same on every platform and in every order
/// of drawing. Not the numbers of stochastic rounding, which models/numerics/random.h defines.

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
