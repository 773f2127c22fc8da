#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/workload/network.h"

namespace narrowmac {

/// Images as read (8-bit pixels, NHWC) and their labels.
struct Dataset {
  std::string name;
  FeatureShape shape;
  std::int64_t classes = 10;
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
};

enum class DatasetKind : std::uint8_t { FashionMnist, Mnist, Cifar10 };
enum class Split : std::uint8_t { Train, Test };

/// Pixel to activation: (pixel * scale - mean[channel]) / deviation[channel]. Default pixel / 256:
/// zero stays zero.
struct Normalisation {
  double scale = 1.0 / 256;
  std::vector<double> mean;       ///< empty: 0
  std::vector<double> deviation;  ///< empty: 1
};

/// Reads a split from a folder: idx files (gzip or plain) for the MNISTs, the binary version for
/// CIFAR-10. `limit` > 0 keeps the first images only, and more than there are is an error. Headers,
/// sizes and labels are checked; Error names the file, what was found and what is accepted.
Dataset read_dataset(DatasetKind kind, const std::filesystem::path& folder, Split split,
                     std::int64_t limit = 0);

/// What a training set says of itself before its images are read.
struct ImageFacts {
  FeatureShape shape;
  std::int64_t classes = 10;
  std::int64_t count = 0;
};
ImageFacts read_image_facts(DatasetKind kind, const std::filesystem::path& folder);

}  // namespace narrowmac
