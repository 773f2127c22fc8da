#include "sim/experiment/statistics_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "models/design/error.h"
#include "sim/experiment/files.h"

namespace narrowmac {
namespace {

/// One object of the statistics file. Errors name the file, the object and the key.
class Fields {
 public:
  Fields(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    attempt("", [&] { static_cast<void>(json_.object()); });
  }

  void refuse_others(std::initializer_list<std::string_view> accepted) const {
    for (const auto& [key, value] : json_.object()) {
      if (std::find(accepted.begin(), accepted.end(), key) != accepted.end()) continue;
      std::string names;
      for (const std::string_view name : accepted) {
        names += (names.empty() ? "" : ", ") + std::string(name);
      }
      throw Error(fmt::format("{}: unknown key \"{}\"; accepted: {}", where_, key, names));
    }
  }
  [[nodiscard]] double number(const char* key) const {
    double value = 0;
    attempt(key, [&] { value = json_.at(key).number(); });
    return value;
  }
  [[nodiscard]] std::string string(const char* key) const {
    std::string value;
    attempt(key, [&] { value = json_.at(key).string(); });
    return value;
  }
  /// null and a missing key alike: not known.
  [[nodiscard]] std::optional<double> optional_number(const char* key) const {
    std::optional<double> value;
    const Json* found = find(key);
    if (found != nullptr) attempt(key, [&] { value = found->optional_number(); });
    return value;
  }
  [[nodiscard]] const Json::Array& array(const char* key) const {
    const Json::Array* value = nullptr;
    attempt(key, [&] { value = &json_.at(key).array(); });
    return *value;
  }

 private:
  const Json& json_;
  std::string where_;

  [[nodiscard]] const Json* find(std::string_view key) const {
    for (const auto& [name, value] : json_.object()) {
      if (name == key) return &value;
    }
    return nullptr;
  }
  template <typename Read>
  void attempt(const std::string& key, const Read& read) const {
    try {
      read();
    } catch (const Error& error) {
      const bool missing = !key.empty() && find(key) == nullptr;
      throw Error(where_ + ": " +
                  (missing || key.empty() ? std::string(error.what())
                                          : fmt::format("{}: {}", key, error.what())));
    }
  }
};

/// What a run file can hold between quotes.
bool is_layer_name(const std::string& name) {
  return !name.empty() && std::none_of(name.begin(), name.end(), [](unsigned char c) {
    return c == '"' || c == '\\' || c < 0x20 || c == 0x7f;
  });
}

}  // namespace

TrainingStatistics read_statistics(const std::filesystem::path& path) {
  const std::string file = path.string();
  const Json json = Json::parse(read_file(path), file);
  const Fields top(json, file);
  top.refuse_others({"schema", "layers", "learning_rate_min"});
  TrainingStatistics statistics;
  std::set<std::string> names;
  statistics.learning_rate_min = top.number("learning_rate_min");
  for (const Json& element : top.array("layers")) {
    const Fields fields(element, fmt::format("{}: layers[{}]", file, statistics.layers.size()));
    fields.refuse_others({"schema", "name", "activation_noise_gain", "weight_noise_gain",
                          "weight_gradient_std_min", "weight_gradient_std_max",
                          "activation_gradient_std_max", "lambda_max"});
    LayerStatistics layer;
    layer.name = fields.string("name");
    if (!names.insert(layer.name).second || !is_layer_name(layer.name)) {
      throw Error(
          fmt::format("{}: layers[{}]: name: found \"{}\"; accepted: a name without quotes "
                      "and control characters, each once",
                      file, statistics.layers.size(), layer.name));
    }
    layer.activation_noise_gain = fields.optional_number("activation_noise_gain");
    layer.weight_noise_gain = fields.number("weight_noise_gain");
    layer.weight_gradient_std_min = fields.number("weight_gradient_std_min");
    layer.weight_gradient_std_max = fields.number("weight_gradient_std_max");
    layer.activation_gradient_std_max = fields.optional_number("activation_gradient_std_max");
    layer.lambda_max = fields.optional_number("lambda_max");
    statistics.layers.push_back(std::move(layer));
  }
  return statistics;
}

}  // namespace narrowmac
