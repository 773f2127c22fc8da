#include "sim/experiment/run_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "sim/experiment/extra_bits.h"
#include "sim/experiment/formats_config.h"
#include "sim/experiment/mac_config.h"
#include "sim/experiment/presets.h"
#include "sim/experiment/quantization_config.h"

namespace narrowmac {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr const char* kFashionMnist = "/usr/share/datasets/fashion-mnist";

double number_in(const ConfigTable& table, std::string_view key, double fallback, double low,
                 double high, std::string_view accepted) {
  const double value = table.number_or(key, fallback);
  if (!(value >= low && value < high)) {
    throw table.error(key, fmt::format("found {}; accepted: {}", value, accepted));
  }
  return value;
}

std::vector<double> numbers(const ConfigTable& table, std::string_view key) {
  std::vector<double> values;
  if (!table.has(key)) return values;
  for (const std::string& text : table.toml_values(key)) {
    double value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() ||
        !std::isfinite(value)) {
      throw table.error(key, fmt::format("found {}; accepted: an array of numbers", text));
    }
    values.push_back(value);
  }
  return values;
}

/// A path as the file means it: beside the file if it exists there, else from the current folder.
fs::path resolve(const fs::path& config_file, const std::string& text) {
  const fs::path beside = fs::absolute(config_file).parent_path() / text;
  std::error_code error;
  return (fs::exists(beside, error) ? beside : fs::absolute(text)).lexically_normal();
}

void read_run(const ConfigTable& root, const fs::path& path, RunConfig& config) {
  config.name = path.stem().string();
  if (!root.has("run")) return;
  const ConfigTable table = root.table("run");
  config.name = table.string_or("name", config.name);
  const bool plain = std::all_of(config.name.begin(), config.name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  });
  if (config.name.empty() || config.name.front() == '.' || !plain) {
    throw table.error("name", fmt::format("found \"{}\"; accepted: letters, digits, _, - and ., "
                                          "not beginning with a dot",
                                          config.name));
  }
  config.training.seed = static_cast<std::uint64_t>(table.integer_or("seed", 1, 0, kLargest));
}

void read_data(const ConfigTable& root, const fs::path& path, RunConfig& config) {
  const ConfigTable table = root.table("data");
  config.data.kind = static_cast<DatasetKind>(table.choice("dataset", dataset_names()));
  if (config.data.kind == DatasetKind::FashionMnist && !table.has("path")) {
    config.data.folder = kFashionMnist;
  } else {
    config.data.folder = resolve(path, table.string("path"));
  }
  config.data.train_images = table.integer_or("train_images", 0, 0, kLargest);
  config.data.test_images = table.integer_or("test_images", 0, 0, kLargest);
  if (!table.has("normalisation")) return;
  const ConfigTable normal = table.table("normalisation");
  Normalisation& normalisation = config.training.normalisation;
  normalisation.scale = normal.number_or("scale", normalisation.scale);
  if (!std::isfinite(normalisation.scale) || normalisation.scale == 0) {
    throw normal.error("scale", fmt::format("found {}; accepted: a finite number other than 0",
                                            normalisation.scale));
  }
  normalisation.mean = numbers(normal, "mean");
  normalisation.deviation = numbers(normal, "deviation");
  for (const double deviation : normalisation.deviation) {
    if (!(deviation > 0)) {
      throw normal.error("deviation", fmt::format("found {}; accepted: above 0", deviation));
    }
  }
}

void read_network_of(const ConfigTable& root, const fs::path& path, RunConfig& config) {
  const ConfigTable table = root.table("network");
  if (table.has("file") == table.has("preset")) {
    throw root.error("network", table.has("file")
                                    ? "found both file and preset; accepted: one of them"
                                    : "accepted: file or preset");
  }
  if (table.has("file")) {
    config.network_file = resolve(path, table.string("file"));
    std::error_code error;
    if (!fs::is_regular_file(config.network_file, error)) {
      throw table.error("file", fmt::format("found no file {}; accepted: a network file",
                                            config.network_file.string()));
    }
  } else {
    try {
      config.network_file = find_preset("networks", table.string("preset"), path);
    } catch (const Error& failure) {
      throw table.error("preset", failure.what());
    }
  }
  const ConfigTable network = ConfigTable::read_file(config.network_file);
  config.network = parse_network(network);
  config.network_toml = network.to_toml();
}

void read_schedule(const ConfigTable& table, Schedule& schedule) {
  constexpr std::string_view kAccepted =
      "\"constant\", \"cosine\", or { kind = \"step\", milestones = [epochs], factor = 0.1 }";
  if (!table.has("schedule")) return;
  const bool is_table = table.is_table("schedule");
  const std::string kind =
      is_table ? table.table("schedule").string("kind") : table.string("schedule");
  if (kind == "constant") {
    schedule.kind = Schedule::Kind::Constant;
  } else if (kind == "cosine") {
    schedule.kind = Schedule::Kind::Cosine;
  } else if (kind == "step" && is_table) {
    const ConfigTable step = table.table("schedule");
    schedule.kind = Schedule::Kind::Step;
    schedule.milestones = step.integers("milestones");
    schedule.factor = number_in(step, "factor", schedule.factor, 0, 1e9, "at least 0, below 1e9");
    for (std::size_t i = 0; i < schedule.milestones.size(); ++i) {
      if (schedule.milestones[i] <= (i == 0 ? 0 : schedule.milestones[i - 1])) {
        throw step.error("milestones", "accepted: epochs, at least 1, in ascending order");
      }
    }
  } else {
    throw table.error("schedule", fmt::format("found \"{}\"; accepted: {}", kind, kAccepted));
  }
}

void read_loss_scale(const ConfigTable& table, LossScale& scale) {
  if (!table.has("loss_scale")) return;
  if (!table.is_string("loss_scale")) {
    scale.initial = number_in(table, "loss_scale", 1, std::numeric_limits<double>::min(), 1e30,
                              "a number above 0, or \"dynamic\"");
    return;
  }
  if (table.string("loss_scale") != "dynamic") {
    throw table.error("loss_scale", fmt::format("found \"{}\"; accepted: a number or \"dynamic\"",
                                                table.string("loss_scale")));
  }
  scale.dynamic = true;
  scale.initial = 65536;  // too large for most formats, so it finds its level by halving
}

void read_training(const ConfigTable& root, TrainingSettings& training) {
  const ConfigTable table = root.table("training");
  training.epochs = table.integer("epochs", 1, 1'000'000);
  training.batch = table.integer_or("batch", training.batch, 1, 1'000'000);
  if (table.has("optimizer")) (void)table.choice("optimizer", {"sgd"});
  training.learning_rate =
      number_in(table, "learning_rate", training.learning_rate, 0, 1e9, "at least 0, below 1e9");
  training.momentum = number_in(table, "momentum", training.momentum, 0, 1, "at least 0, below 1");
  training.weight_decay =
      number_in(table, "weight_decay", training.weight_decay, 0, 1e9, "at least 0, below 1e9");
  read_schedule(table, training.schedule);
  read_loss_scale(table, training.loss_scale);
  training.shuffle = table.boolean_or("shuffle", training.shuffle);
  if (table.has("weight_clip")) {
    training.weight_clip = number_in(table, "weight_clip", 0, std::numeric_limits<float>::min(),
                                     1e9, "a number above 0, below 1e9");
  }
}

/// Statistics of a run that rounds would mistake its noise for the gradients'.
void check_full_precision(const ConfigTable& root, const ConfigTable& observe,
                          const TrainingSettings& training) {
  const Formats& formats = training.formats;
  const auto check = [&](bool full, std::string_view found, std::string_view remedy) {
    if (full) return;
    throw observe.error("precision",
                        fmt::format("found true beside {}; the statistics must be those of a "
                                    "full-precision run; accepted: true without it ({})",
                                    found, remedy));
  };
  check(!has_table(root, "mac"), "[mac]", "mac = false");
  check(!training.quantization, "[quantization]", "quantization = false");
  for (const TensorFormat* format : {&formats.activation, &formats.weight, &formats.gradient,
                                     &formats.weight_gradient, &formats.weight_update}) {
    check(format->is_identity(), "[formats] that are not fp32", "formats = false");
  }
  check(formats.layers.empty() && !formats.weight_residual, "[[formats.layer]]", "formats = false");
}

void read_observe(const ConfigTable& root, RunConfig& config) {
  if (!root.has("observe")) return;
  const ConfigTable table = root.table("observe");
  TrainingSettings& training = config.training;
  training.sample = table.integer_or("sample", training.sample, 0, kLargest);
  training.sample_rows = table.integer_or("rows", training.sample_rows, 0, kLargest);
  config.precision = table.boolean_or("precision", false);
  if (config.precision) check_full_precision(root, table, training);
}

/// The theory asks for lengths, which the images and their number decide.
void apply_rules(const MantissaRules& rules, RunConfig& config) {
  const ImageFacts images = read_image_facts(config.data.kind, config.data.folder);
  const std::int64_t used = config.data.train_images > 0 ? config.data.train_images : images.count;
  rules.apply(infer_shapes(config.network, images.shape, images.classes),
              std::min(config.training.batch, used), config);
}

}  // namespace

bool has_table(const ConfigTable& root, std::string_view key) {
  if (!root.has(key)) return false;
  if (!root.is_boolean(key)) return true;
  if (root.boolean(key)) throw root.error(key, "found true; accepted: a table, or false for none");
  return false;
}

std::vector<std::string> gemm_layers(const NetworkDescription& network) {
  std::vector<std::string> names;
  for (const LayerDescription& layer : network.layers) {
    if (has_gemm(layer)) names.push_back(layer.name);
  }
  return names;
}

const std::vector<std::string>& dataset_names() {
  static const std::vector<std::string> names = {"fashion-mnist", "mnist", "cifar10"};
  return names;
}

void apply_settings(ConfigTable& root, const std::vector<std::string>& set) {
  for (const std::string& setting : set) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(
          fmt::format("--set {}: accepted: KEY=VALUE, such as mac.accumulator=e6m3", setting));
    }
    root.set(setting.substr(0, equals), setting.substr(equals + 1), "--set " + setting, true);
  }
}

RunConfig parse_run_config(const ConfigTable& root, const fs::path& path) {
  RunConfig config;
  read_run(root, path, config);
  read_data(root, path, config);
  read_network_of(root, path, config);
  read_training(root, config.training);
  read_formats(root, config);
  config.training.quantization = read_quantization(root);
  MantissaRules rules;
  if (has_table(root, "mac")) rules = read_macs(root.table("mac"), config);
  check_subnormals(root, config);
  config.array = parse_array(root);
  if (!rules.empty()) apply_rules(rules, config);
  if (config.mac) apply_extra_accumulator_bits(root.table("mac"), config);
  read_observe(root, config);
  root.reject_unknown();
  return config;
}

RunConfig read_run_config(const fs::path& path, const std::vector<std::string>& set) {
  ConfigTable root = ConfigTable::read_file(path);
  apply_settings(root, set);
  return parse_run_config(root, path);
}

}  // namespace narrowmac
