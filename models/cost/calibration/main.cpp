// calibrate GRID.toml LIBERTY.lib OUT.toml: synthesises the grid and fits it. scripts/calibrate
// calls it.
#include <fmt/core.h>

#include <atomic>
#include <exception>
#include <fstream>
#include <mutex>
#include <thread>

#include "models/cost/fit.h"
#include "models/cost/liberty.h"
#include "models/design/config.h"

namespace narrowmac {
namespace {

std::vector<RtlDesign> read_designs(const std::filesystem::path& path) {
  const ConfigTable root = ConfigTable::read_file(path);
  std::vector<RtlDesign> designs;
  for (const ConfigTable& table : root.tables("design")) {
    RtlDesign design;
    design.mac = parse_mac(table);
    (void)fit_family(design);
    designs.push_back(design);
  }
  root.reject_unknown();
  return designs;
}

/// As many at a time as there are cores; the order of the samples is that of the grid.
std::vector<FitSample> synthesise_all(const std::vector<RtlDesign>& designs,
                                      const std::filesystem::path& liberty) {
  std::vector<FitSample> samples(designs.size());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    for (std::size_t i = next++; i < designs.size(); i = next++) {
      try {
        samples[i] = {designs[i],
                      estimate_by_synthesis(designs[i], liberty, normal_operands(designs[i].mac, 0),
                                            default_synthesis_cache())};
        const std::lock_guard<std::mutex> lock(mutex);
        fmt::print(stderr, "{:>3} of {}: {:.0f} um^2  {}\n", i + 1, designs.size(),
                   samples[i].record.area_um2, describe(designs[i].mac));
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        failure = std::current_exception();
        next = designs.size();
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back(work);
  }
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
  return samples;
}

int run(const std::filesystem::path& grid, const std::filesystem::path& liberty,
        const std::filesystem::path& out) {
  CostFit fit = fit_costs(synthesise_all(read_designs(grid), liberty));
  fit.register_bit = register_cost(read_liberty(liberty));
  std::ofstream file(out, std::ios::binary);
  file << to_toml(fit);
  if (!file.flush()) throw std::runtime_error("cannot write " + out.string());
  fmt::print("{} ({})\nheld-out errors, four-fold:\n", fit.library, fit.tools);
  for (const auto& [name, family] : fit.families) {
    for (const auto& [line, coefficients] : family.lines) {
      fmt::print("{:<8} {:>3} designs  {:<26} mean {:>5.1f} %  largest {:>5.1f} %{}\n", name,
                 family.designs, line, 100 * coefficients.mean_error,
                 100 * coefficients.largest_error, line.starts_with("part:") ? " of the area" : "");
    }
  }
  return 0;
}

}  // namespace
}  // namespace narrowmac

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "Usage: calibrate GRID.toml LIBERTY.lib OUT.toml (see scripts/calibrate)\n");
    return 2;
  }
  try {
    return narrowmac::run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "calibrate: {}\n", error.what());
    return 1;
  }
}
