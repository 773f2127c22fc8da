#include "sim/training/random_stream.h"

#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <utility>

namespace narrowmac {
namespace {

/// The output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, 2014).
std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;

/// Uniform in (0, 1]: never 0, since its logarithm is taken.
double unit(std::uint64_t bits) { return (static_cast<double>(bits >> 11) + 1.0) * 0x1p-53; }

}  // namespace

std::uint64_t host_random(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return mix(mix(mix(seed + kGolden) ^ (stream * kGolden)) + (index + 1) * kGolden);
}

std::uint64_t stream_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

double host_normal(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  const double radius = std::sqrt(-2.0 * std::log(unit(host_random(seed, stream, 2 * index))));
  const double angle = 2.0 * std::numbers::pi * unit(host_random(seed, stream, 2 * index + 1));
  return radius * std::cos(angle);
}

std::vector<std::int64_t> host_permutation(std::uint64_t seed, std::uint64_t stream,
                                           std::int64_t size) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = order.size(); i > 1; --i) {
    // The top 32 bits as a fraction of the i places: multiply and shift instead of a division's
    // remainder.
    const std::uint64_t word = host_random(seed, stream, i) >> 32;
    std::swap(order[i - 1], order[static_cast<std::size_t>((word * i) >> 32)]);
  }
  return order;
}

}  // namespace narrowmac
