#include "sim/training/random_stream.h"

#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <utility>

namespace narrowmac {
namespace {

/// Uniform in (0, 1]: never 0, since its logarithm is taken.
double unit(std::uint64_t bits) { return (static_cast<double>(bits >> 11) + 1.0) * 0x1p-53; }

}  // namespace

std::uint64_t host_random(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  const std::uint64_t address =
      split_mix(split_mix(seed + kSplitMixStep) ^ (stream * kSplitMixStep));
  return split_mix(address + (index + 1) * kSplitMixStep);
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
