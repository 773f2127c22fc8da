#include "sim/training/image_pipeline.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "sim/training/parallel.h"

namespace narrowmac {
namespace {

/// Floats of all steps together that a group of images may touch: they stay in a 512 KB cache.
constexpr std::int64_t kFloatsPerGroup = std::int64_t{96} * 1024;
/// Floats that are worth a task of their own.
constexpr std::int64_t kSmallestGroup = std::int64_t{8} * 1024;

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

}  // namespace

void ImagePipeline::add(const char* phase, std::int64_t floats, Step step) {
  steps_.push_back({phase, std::move(step)});
  floats_ += floats;
}

void ImagePipeline::run(std::int64_t images, std::map<std::string, double>* seconds) {
  if (steps_.empty()) return;
  const Clock::time_point start = Clock::now();
  const std::vector<Entry> steps = std::exchange(steps_, {});
  const std::int64_t floats = std::max<std::int64_t>(1, std::exchange(floats_, 0));
  std::int64_t group = std::max<std::int64_t>(1, kFloatsPerGroup / floats);
  // Small images: fewer and larger tasks, but enough of them for several threads.
  group = std::min(group, std::max<std::int64_t>((images + 15) / 16, kSmallestGroup / floats));
  const std::int64_t groups = (images + group - 1) / group;
  std::vector<double> laps(static_cast<std::size_t>(groups) * steps.size());
  for_blocks(images, group, [&](std::int64_t begin, std::int64_t end) {
    double* lap = laps.data() + static_cast<std::size_t>(begin / group) * steps.size();
    Clock::time_point last = Clock::now();
    for (const Entry& entry : steps) {
      entry.step({begin, end});
      const Clock::time_point now = Clock::now();
      *lap++ = seconds_between(last, now);
      last = now;
    }
  });
  if (seconds == nullptr) return;
  // Threads work at the same time: each step gets its share of the time that passed.
  double total = 0;
  for (const double lap : laps) total += lap;
  const double scale = total > 0 ? seconds_between(start, Clock::now()) / total : 0.0;
  for (std::size_t i = 0; i < laps.size(); ++i) {
    (*seconds)[steps[i % steps.size()].phase] += laps[i] * scale;
  }
}

void ImagePipeline::clear() {
  steps_.clear();
  floats_ = 0;
}

}  // namespace narrowmac
