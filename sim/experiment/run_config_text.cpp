#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/experiment/formats_config.h"
#include "sim/experiment/mac_config.h"
#include "sim/experiment/run_config.h"

namespace narrowmac {
namespace {

/// A basic string of TOML 1.0.
std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string data_text(const RunConfig& config) {
  const Normalisation& normal = config.training.normalisation;
  return fmt::format(
      "train_images = {}\ntest_images = {}\n\n[data.normalisation]\nscale = {}\nmean = [{}]\n"
      "deviation = [{}]\n",
      config.data.train_images, config.data.test_images, normal.scale, fmt::join(normal.mean, ", "),
      fmt::join(normal.deviation, ", "));
}

std::string schedule_text(const Schedule& schedule) {
  switch (schedule.kind) {
    case Schedule::Kind::Constant:
      return "\"constant\"";
    case Schedule::Kind::Cosine:
      return "\"cosine\"";
    case Schedule::Kind::Step:
      break;
  }
  return fmt::format("{{ kind = \"step\", milestones = [{}], factor = {} }}",
                     fmt::join(schedule.milestones, ", "), schedule.factor);
}

std::string training_text(const TrainingSettings& training) {
  const LossScale& scale = training.loss_scale;
  const std::string clip =
      training.weight_clip ? fmt::format("weight_clip = {}\n", *training.weight_clip) : "";
  return fmt::format(
      "[training]\nepochs = {}\nbatch = {}\noptimizer = \"sgd\"\nlearning_rate = {}\n"
      "momentum = {}\nweight_decay = {}\nschedule = {}\nloss_scale = {}\nshuffle = {}\n{}",
      training.epochs, training.batch, training.learning_rate, training.momentum,
      training.weight_decay, schedule_text(training.schedule),
      scale.dynamic ? "\"dynamic\"" : fmt::format("{}", scale.initial), training.shuffle, clip);
}

/// Everything after [network]: no names, no paths.
std::string settings_text(const RunConfig& config) {
  const TrainingSettings& training = config.training;
  std::string text = training_text(training) + "\n" + formats_to_toml(config) + "\n";
  if (config.mac) text += macs_to_toml(config) + "\n";
  text += to_toml(config.array) + "\n";
  text += fmt::format("[observe]\nsample = {}\nrows = {}\n", training.sample, training.sample_rows);
  if (config.precision) text += "precision = true\n";
  return text;
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

}  // namespace

std::string to_toml(const RunConfig& config, const std::filesystem::path& network_file) {
  const std::string& dataset = dataset_names()[static_cast<std::size_t>(config.data.kind)];
  return fmt::format(
      "[run]\nname = {}\nseed = {}\n\n[data]\ndataset = \"{}\"\npath = {}\n{}\n[network]\nfile = "
      "{}\n\n{}",
      toml_string(config.name), config.training.seed, dataset,
      toml_string(config.data.folder.string()), data_text(config),
      toml_string(network_file.string()), settings_text(config));
}

std::string run_hash(const RunConfig& config) {
  const std::string& dataset = dataset_names()[static_cast<std::size_t>(config.data.kind)];
  const std::string text =
      fmt::format("seed = {}\ndataset = \"{}\"\n{}\n{}\n{}", config.training.seed, dataset,
                  data_text(config), config.network_toml, settings_text(config));
  return fmt::format("{:016x}", fnv1a(text));
}

}  // namespace narrowmac
