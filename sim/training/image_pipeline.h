#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace narrowmac {

/// Images begin .. end - 1 of a batch.
struct ImageRange {
  std::int64_t begin = 0, end = 0;
  [[nodiscard]] std::int64_t count() const { return end - begin; }
};

/// Steps of the host that look at one image at a time, put off until something needs the whole
/// batch. They then run together, a few images after the other, each step on data that the step
/// before it has left in the cache. Results do not depend on how images are grouped, as long as a
/// step writes nothing but what belongs to its images.
class ImagePipeline {
 public:
  using Step = std::function<void(const ImageRange&)>;

  /// `phase` is the account of the step's time; `floats` what it reads and writes per image.
  void add(const char* phase, std::int64_t floats, Step step);
  /// Runs the steps over images 0 .. images - 1 in the order in which they were added, in parallel
  /// over the images. Their share of the time is added to seconds[phase], if `seconds` is not null.
  void run(std::int64_t images, std::map<std::string, double>* seconds);
  /// Forgets the steps.
  void clear();

 private:
  struct Entry {
    const char* phase;
    Step step;
  };
  std::vector<Entry> steps_;
  std::int64_t floats_ = 0;
};

}  // namespace narrowmac
