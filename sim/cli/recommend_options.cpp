#include "sim/cli/recommend_options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kMostSeeds = 64;
constexpr std::int64_t kLargestSeed = std::int64_t{1} << 48;
constexpr std::int64_t kLongestChunk = std::int64_t{1} << 30;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::int64_t integer(const std::string& option, const std::string& text, std::int64_t low,
                     std::int64_t high, const std::string& accepted) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < low || value > high) {
    throw Error(fmt::format("{}: found '{}'; accepted: {}", option, text, accepted));
  }
  return value;
}

void read_seeds(const std::string& text, RecommendOptions& options) {
  const std::string accepted =
      fmt::format("how many, 1..{}, or a list of different ones, e.g. 1,2,7", kMostSeeds);
  if (text.find(',') == std::string::npos) {
    options.seed_count = static_cast<int>(integer("--seeds", text, 1, kMostSeeds, accepted));
    return;
  }
  options.seeds.clear();
  for (const std::string& part : split(text)) {
    const std::int64_t seed = integer("--seeds", part, 0, kLargestSeed, accepted);
    if (std::find(options.seeds.begin(), options.seeds.end(), seed) != options.seeds.end()) {
      throw Error(fmt::format("--seeds: found {} twice; accepted: {}", seed, accepted));
    }
    options.seeds.push_back(seed);
  }
  if (static_cast<std::int64_t>(options.seeds.size()) > kMostSeeds) {
    throw Error(fmt::format("--seeds: found {}; accepted: {}", options.seeds.size(), accepted));
  }
}

void read_chunks(const std::string& text, RecommendOptions& options) {
  options.chunks.clear();
  for (const std::string& part : split(text)) {
    const std::int64_t chunk =
        part == "none" ? 0
                       : integer("--chunks", part, 1, kLongestChunk,
                                 "chunk lengths, and none for sums in sequence, e.g. none,16,64");
    options.chunks.push_back(chunk);
  }
  std::sort(options.chunks.begin(), options.chunks.end());
  options.chunks.erase(std::unique(options.chunks.begin(), options.chunks.end()),
                       options.chunks.end());
}

}  // namespace

void add_recommend_options(CLI::App& command, RecommendCommand& recommend) {
  RecommendOptions& options = recommend.options;
  command.add_option("CONFIG", options.config, "Run file with [mac]")->required();
  command
      .add_option_function<std::string>(
          "--budget", [&options](const std::string& text) { options.budget = parse_budget(text); },
          "Test accuracy that may be lost against fp32 accumulators: 0.5% or 0.005, half a point")
      ->required();
  command
      .add_option("--set", options.set,
                  "KEY=VALUE: replaces a value of the run file; may be repeated")
      ->allow_extra_args(false);
  command
      .add_option_function<std::string>(
          "--seeds", [&options](const std::string& text) { read_seeds(text, options); },
          "How many seeds verify a design, or a list of them; one more searches")
      ->default_str("3");
  command.add_option_function<std::string>(
      "--chunks", [&options](const std::string& text) { read_chunks(text, options); },
      "Chunk lengths that are looked at, none for sums in sequence (default: none,16,64,256 and "
      "the "
      "run's own, as far as the array can add so)");
  command.add_option("--out", options.out, "Folder (default: recommendations/NAME)");
  command.add_option("--jobs", options.jobs, "Runs at a time (default: one per core)")
      ->check(CLI::Range(1, 4096));
  command.add_flag("--resume", options.resume,
                   "Go on in a folder that holds a recommendation; finished runs are kept");
}

}  // namespace narrowmac
