#include "models/workload/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include "models/design/error.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kMaxNumber = 1000000000;
constexpr std::size_t kConvolutionFields = 8;
constexpr std::size_t kGemmFields = 4;
constexpr const char* kColumns[] = {"layer name",   "ifmap height", "ifmap width", "filter height",
                                    "filter width", "channels",     "filters",     "stride"};
constexpr const char* kGemmColumns[] = {"layer name", "M", "N", "K"};

/// Where a row stands, for messages.
struct Place {
  std::string_view source;
  std::int64_t line = 0;
  [[nodiscard]] Error error(const std::string& message) const {
    return Error(fmt::format("{}: {}", text(), message));
  }
  [[nodiscard]] std::string text() const { return fmt::format("{}:{}", source, line); }
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\v\f";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

/// A piece of a file in a message: printable and short.
std::string shown(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 40)) result += c >= ' ' && c <= '~' ? c : '?';
  return text.size() > 40 ? result + "..." : result;
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  for (std::size_t start = 0; start <= line.size();) {
    const auto end = std::min(line.find(',', start), line.size());
    fields.push_back(trimmed(line.substr(start, end - start)));
    start = end + 1;
  }
  if (fields.size() > 1 && fields.back().empty()) fields.pop_back();  // a trailing comma
  return fields;
}

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

std::int64_t number(std::string_view text, const char* column, const Place& place) {
  const std::optional<std::int64_t> value = integer(text);
  if (!value || *value < 1 || *value > kMaxNumber) {
    throw place.error(
        fmt::format("{}: found '{}'; accepted: 1..{}", column, shown(text), kMaxNumber));
  }
  return *value;
}

std::int64_t product(std::int64_t left, std::int64_t right, const char* what, const Place& place) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(left, right, &result)) {
    throw place.error(fmt::format("{} exceeds 63 bits; use smaller dimensions", what));
  }
  return result;
}

std::string name_of(std::string_view text, const Place& place) {
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (text.empty() || !printable) {
    throw place.error(
        fmt::format("layer name: found '{}'; accepted: printable ASCII characters", shown(text)));
  }
  return std::string(text);
}

/// The field behind those that a row needs.
void refuse_sparsity(const std::vector<std::string_view>& fields, const Place& place) {
  const std::string_view text = fields.back();
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) {
    throw place.error(fmt::format(
        "found {} fields, the last one '{}'; accepted: 8 (convolution) or 4 (name, M, N, K), and "
        "perhaps a dense sparsity, e.g. 1:1",
        fields.size(), shown(text)));
  }
  const auto kept = integer(trimmed(text.substr(0, colon)));
  const auto block = integer(trimmed(text.substr(colon + 1)));
  if (kept && block && *kept >= 1 && *kept == *block) return;
  throw place.error(fmt::format("sparsity: found '{}'; accepted: dense, e.g. 1:1, or no such field",
                                shown(text)));
}

/// ceil((size - filter + stride) / stride), SCALE-Sim's output size.
std::int64_t positions(std::int64_t size, std::int64_t filter, std::int64_t stride,
                       const char* side, const Place& place) {
  if (filter > size) {
    throw place.error(
        fmt::format("filter {}: found {}; accepted: 1..{}, the ifmap's", side, filter, size));
  }
  return (size - filter + stride + stride - 1) / stride;
}

TopologyLayer convolution(const std::vector<std::string_view>& fields, const Place& place) {
  std::int64_t values[kConvolutionFields] = {};
  for (std::size_t i = 1; i < kConvolutionFields; ++i) {
    values[i] = number(fields[i], kColumns[i], place);
  }
  const auto [unused, height, width, filter_height, filter_width, channels, filters, stride] =
      values;
  (void)unused;
  TopologyLayer layer;
  layer.name = name_of(fields[0], place);
  layer.place = place.text();
  layer.outputs =
      product(positions(height, filter_height, stride, "height", place),
              positions(width, filter_width, stride, "width", place), "the output map", place);
  layer.inputs = product(height, width, "the ifmap", place);
  layer.channels = channels;
  layer.filters = filters;
  layer.taps = product(filter_height, filter_width, "the filter", place);
  (void)product(layer.taps, std::max(channels, filters), "the sum of a convolution", place);
  return layer;
}

TopologyLayer gemm_layer(const std::vector<std::string_view>& fields, const Place& place) {
  TopologyLayer layer;
  layer.name = name_of(fields[0], place);
  layer.place = place.text();
  layer.outputs = layer.inputs = number(fields[1], kGemmColumns[1], place);
  layer.filters = number(fields[2], kGemmColumns[2], place);
  layer.channels = number(fields[3], kGemmColumns[3], place);
  return layer;
}

class Reader {
 public:
  explicit Reader(std::string_view source) : place_{source, 0} {}

  void line(std::string_view text) {
    ++place_.line;
    const std::string_view content = trimmed(text.substr(0, text.find('#')));
    if (content.empty()) return;
    if (!header_seen_) {
      header_seen_ = true;
      return;
    }
    row(fields_of(content));
  }

  std::vector<TopologyLayer> layers() && {
    if (layers_.empty()) {
      throw Error(
          fmt::format("{}:{}: found no layer; accepted: a header row, then rows of "
                      "'name, ifmap height, ifmap width, filter height, filter width, "
                      "channels, filters, stride' or 'name, M, N, K'",
                      place_.source, std::max<std::int64_t>(1, place_.line)));
    }
    return std::move(layers_);
  }

 private:
  void row(const std::vector<std::string_view>& fields) {
    const std::size_t expected = row_fields(fields.size());
    if (fields.size() == expected + 1) refuse_sparsity(fields, place_);
    if (expected == kGemmFields) {
      add(gemm_layer(fields, place_));
      return;
    }
    TopologyLayer layer = convolution(fields, place_);
    if (layer.name.find("DP") == std::string::npos) {
      add(std::move(layer));
    } else {
      add_depthwise(layer);
    }
  }

  /// Fields of a row without its sparsity: those of the first row that was read.
  std::size_t row_fields(std::size_t found) {
    for (const std::size_t kind : {kConvolutionFields, kGemmFields}) {
      const bool fits = found == kind || found == kind + 1;
      if (fits && (row_fields_ == 0 || row_fields_ == kind)) return row_fields_ = kind;
    }
    const std::string accepted = row_fields_ == kGemmFields ? "4 (name, M, N, K)"
                                 : row_fields_ == kConvolutionFields
                                     ? "8 (convolution)"
                                     : "8 (convolution) or 4 (name, M, N, K)";
    throw place_.error(fmt::format("found {} field{}; accepted: {}, and perhaps a sparsity", found,
                                   found == 1 ? "" : "s", accepted));
  }

  void add(TopologyLayer layer) {
    if (static_cast<std::int64_t>(layers_.size()) == kMaxTopologyLayers) {
      throw place_.error(fmt::format("more than {} layers; split the file", kMaxTopologyLayers));
    }
    layers_.push_back(std::move(layer));
  }

  void add_depthwise(const TopologyLayer& all) {
    for (std::int64_t channel = 0; channel < all.channels; ++channel) {
      TopologyLayer layer = all;
      layer.name += fmt::format("Channel_{}", channel);
      layer.channels = 1;
      add(std::move(layer));
    }
  }

  Place place_;
  bool header_seen_ = false;
  std::size_t row_fields_ = 0;
  std::vector<TopologyLayer> layers_;
};

std::string text_of(const std::filesystem::path& path) {
  std::error_code status;
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path, status)) {
    throw Error(fmt::format("{}: cannot be read ({}); accepted: a topology CSV file", path.string(),
                            std::generic_category().message(file ? EISDIR : errno)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

}  // namespace

std::vector<TopologyLayer> parse_topology(std::string_view text, std::string_view source_name) {
  Reader reader(source_name);
  for (std::size_t start = 0; start < text.size();) {
    const auto end = std::min(text.find('\n', start), text.size());
    reader.line(text.substr(start, end - start));
    start = end + 1;
  }
  return std::move(reader).layers();
}

std::vector<TopologyLayer> read_topology(const std::filesystem::path& path) {
  return parse_topology(text_of(path), path.string());
}

bool header_reads_as_layer(const std::filesystem::path& path) {
  std::istringstream text(text_of(path));
  for (std::string line; std::getline(text, line);) {
    const std::string_view content = trimmed(std::string_view(line).substr(0, line.find('#')));
    if (content.empty()) continue;
    const std::vector<std::string_view> fields = fields_of(content);
    return fields.size() >= kGemmFields && integer(fields[1]).has_value();
  }
  return false;
}

GemmShape gemm_shape(const TopologyLayer& layer, Pass pass, std::int64_t batch) {
  std::int64_t outputs = 0;
  std::int64_t inputs = 0;
  std::int64_t forward_sum = 0;
  std::int64_t backward_sum = 0;
  if (__builtin_mul_overflow(batch, layer.outputs, &outputs) ||
      __builtin_mul_overflow(batch, layer.inputs, &inputs) ||
      __builtin_mul_overflow(layer.channels, layer.taps, &forward_sum) ||
      __builtin_mul_overflow(layer.filters, layer.taps, &backward_sum)) {
    throw Error(fmt::format(
        "{}: layer \"{}\": its dimensions exceed 63 bits at batch {}; use a smaller batch",
        layer.place, layer.name, batch));
  }
  switch (pass) {
    case Pass::Forward:
      return {outputs, layer.filters, forward_sum};
    case Pass::Backward:
      return {inputs, layer.channels, backward_sum};
    case Pass::Gradient:
      return {forward_sum, layer.filters, outputs};
  }
  return {};
}

}  // namespace narrowmac
