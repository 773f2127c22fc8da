#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/experiment/run_config.h"
#include "tests/experiment/expect_error.h"
#include "tests/experiment/temporary_directory.h"

namespace narrowmac {

inline constexpr const char* kNetwork = R"(name = "tiny"
[[layer]]
name = "conv1"
type = "conv2d"
channels = 2
kernel = 3
padding = 1
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

inline constexpr const char* kRun = R"([run]
name = "test"
seed = 3
[data]
dataset = "fashion-mnist"
path = "images"
[network]
file = "tiny.toml"
[training]
epochs = 2
batch = 16
learning_rate = 0.05
schedule = "cosine"
loss_scale = 1000
[formats]
activation = "e5m2"
weight = "e5m2"
gradient = "e4m3"
[mac]
accumulator = "e6m9"
[mac.chunk]
length = 64
accumulator = "e6m9"
)";

/// A run file "run.toml" beside a network "tiny.toml".
class RunConfigFile : public testing::Test {
 protected:
  RunConfigFile() { folder_.write("tiny.toml", kNetwork); }
  RunConfig read(const std::string& text, const std::vector<std::string>& set = {}) const {
    return read_run_config(folder_.write("run.toml", text), set);
  }
  void expect_refused(const std::string& text, const std::vector<std::string>& set,
                      const std::vector<std::string>& parts) const {
    expect_error([&] { (void)read(text, set); }, parts);
  }
  TemporaryDirectory folder_;
};

}  // namespace narrowmac
