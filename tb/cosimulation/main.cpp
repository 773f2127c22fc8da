#include <fmt/core.h>

#include <charconv>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>
#include <string_view>

#include "models/design/error.h"
#include "sim/experiment/npy.h"
#include "tb/cosimulation/grid.h"

namespace narrowmac {
namespace {

constexpr std::string_view kUsage =
    "Usage: cosimulation write LIST.toml FOLDER [quick]\n"
    "       cosimulation run LIST.toml LIBRARY.so STEPS CYCLES [quick] [FILE.npy]...\n"
    "scripts/verify calls both, with Verilator in between.\n";

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || value == 0) {
    throw Error(fmt::format("found '{}'; accepted: a number above 0", text));
  }
  return value;
}

void append_values(const std::string& path, std::vector<double>& values) {
  const NpyArray array = read_npy(path);
  std::visit([&](const auto& all) { values.insert(values.end(), all.begin(), all.end()); },
             array.values);
}

/// One line per design and the sum of all. Returns the number of mismatches.
std::uint64_t report(const std::vector<GridCounts>& counts) {
  fmt::print("{:<34} {:>10} {:>9} {:>9} {:>10}  {}\n", "design", "steps", "2nd level", "cycles",
             "mismatches", "what it is");
  GridCounts all;
  for (const GridCounts& count : counts) {
    fmt::print("{:<34} {:>10} {:>9} {:>9} {:>10}  {}{}\n", count.name, count.steps,
               count.second_steps, count.cycles, count.mismatches, count.description,
               count.exhaustive ? "; every step there is" : "");
    if (count.mismatches > 0) fmt::print("  first: {}\n", count.first_mismatch);
    all.steps += count.steps;
    all.second_steps += count.second_steps;
    all.cycles += count.cycles;
    all.recorded += count.recorded;
    all.mismatches += count.mismatches;
  }
  fmt::print(
      "{} designs: {} steps ({} of them with recorded operands), {} steps of second "
      "accumulators, {} clock cycles, {} mismatches\n",
      counts.size(), all.steps, all.recorded, all.second_steps, all.cycles, all.mismatches);
  return all.mismatches;
}

int run(const std::vector<std::string>& arguments) {
  const std::string command = arguments.empty() ? "" : arguments[0];
  if (command == "write" && (arguments.size() == 3 || arguments.size() == 4)) {
    write_grid(read_grid(arguments[1], arguments.size() == 4), arguments[2]);
    return 0;
  }
  if (command != "run" || arguments.size() < 5) {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  bool quick = false;
  std::vector<double> recorded;
  for (std::size_t i = 5; i < arguments.size(); ++i) {
    if (arguments[i] == "quick") {
      quick = true;
    } else {
      append_values(arguments[i], recorded);
    }
  }
  const std::vector<GridCounts> counts =
      run_grid(read_grid(arguments[1], quick), arguments[2], number(arguments[3]),
               number(arguments[4]), recorded);
  return report(counts) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace narrowmac

int main(int argc, char** argv) {
  try {
    return narrowmac::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    fmt::print(stderr, "cosimulation: {}\n", error.what());
    return 2;
  }
}
