#pragma once

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

#include "tests/experiment/temporary_directory.h"

namespace narrowmac {

/// A folder with a tiny data set in idx format, a tiny network, and a run file "run.toml" that
/// trains in a second.
class TinyRun : public TemporaryDirectory {
 public:
  TinyRun() {
    write_split("train", 96);
    write_split("t10k", 32);
    write("tiny.toml", kNetwork);
    write("run.toml", run_file());
  }
  /// The run file, with text that goes to its end.
  static std::string run_file(const std::string& more = "") { return kRun + more; }

 private:
  static std::string big_endian(std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(value >> shift & 0xff));
    }
    return bytes;
  }
  /// 6x6 images of ten classes: noise, and a bright pixel whose place is the label.
  void write_split(const std::string& split, std::uint32_t count) const {
    std::mt19937 random(count);
    std::string images = big_endian(0x803) + big_endian(count) + big_endian(6) + big_endian(6);
    std::string labels = big_endian(0x801) + big_endian(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto label = static_cast<std::uint32_t>(random() % 10);
      for (std::uint32_t pixel = 0; pixel < 36; ++pixel) {
        images.push_back(static_cast<char>(pixel == 2 * label ? 250 : random() % 60));
      }
      labels.push_back(static_cast<char>(label));
    }
    write("images/" + split + "-images-idx3-ubyte", images);
    write("images/" + split + "-labels-idx1-ubyte", labels);
  }

  static constexpr const char* kNetwork = R"(name = "tiny"
[[layer]]
name = "conv1"
type = "conv2d"
channels = 4
kernel = 3
padding = 1
[[layer]]
name = "bn1"
type = "batch_norm"
[[layer]]
name = "relu1"
type = "relu"
[[layer]]
name = "flatten"
type = "flatten"
[[layer]]
name = "fc1"
type = "linear"
channels = 10
)";
  inline static const std::string kRun = R"([run]
name = "tiny"
seed = 3
[data]
dataset = "mnist"
path = "images"
[network]
file = "tiny.toml"
[training]
epochs = 3
batch = 10
learning_rate = 0.05
schedule = "cosine"
loss_scale = "dynamic"
[formats]
activation = "e5m2"
weight = "e5m2"
gradient = { format = "e5m2", rounding = "stochastic", random_bits = 8 }
[observe]
sample = 4
rows = 8
[mac]
accumulator = "e6m5"
)";
};

}  // namespace narrowmac
