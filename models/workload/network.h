#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "models/design/config.h"
#include "models/design/gemm_shape.h"

namespace narrowmac {

/// Channels, height and width of a feature map (a vector: channels x 1 x 1).
struct FeatureShape {
  std::int64_t channels = 0, height = 1, width = 1;
  [[nodiscard]] std::int64_t size() const { return channels * height * width; }
  friend bool operator==(const FeatureShape&, const FeatureShape&) = default;
};

/// One layer of a network. `input` names the layers it reads (default: the one before; "input" is
/// the image).
struct LayerDescription {
  enum class Kind : std::uint8_t {
    Convolution,
    Linear,
    BatchNorm,
    ReLU,
    MaxPool,
    AveragePool,
    Flatten,
    ResidualAdd
  };
  std::string name;
  Kind kind = Kind::ReLU;
  std::vector<std::string> inputs;
  std::int64_t channels = 0;  ///< Convolution, Linear: outputs
  std::int64_t kernel = 1, stride = 1,
               padding = 0;  ///< Convolution and pools; average pool kernel 0 = global
  bool bias = true;
  std::optional<double> clip;  ///< ReLU: outputs end here
};

/// Whether a layer multiplies matrices: a convolution or a linear one.
bool has_gemm(const LayerDescription& layer);

/// A network as its file says, before it meets an input.
struct NetworkDescription {
  std::string name;
  std::string summary;  ///< a line for `narrowmac list`
  /// The images and the batch that it is known with: what commands without a data set assume.
  std::optional<FeatureShape> input;
  std::optional<std::int64_t> batch;
  std::vector<LayerDescription> layers;
};

/// A layer whose shapes are known.
struct LayerShape {
  LayerDescription layer;
  std::vector<FeatureShape> inputs;
  FeatureShape output;
  [[nodiscard]] bool has_gemm() const { return narrowmac::has_gemm(layer); }
};

/// The layer of that name; null for "input" and names that the network has not.
const LayerDescription* find_layer(const NetworkDescription& network, const std::string& name);
/// What a layer's input is made of, behind pools and flattening: the layer, or null for the image.
const LayerDescription* source_of_input(const NetworkDescription& network,
                                        const LayerDescription& layer);

/// Reads and validates a network file (configs/networks/*.toml). Throws Error with file, line and
/// key.
NetworkDescription read_network(const std::filesystem::path& path);
NetworkDescription parse_network(const ConfigTable& root);
/// Shapes of every layer for images of shape `input` and `classes` outputs. Throws Error naming the
/// layer whose shapes do not fit, or if the last layer does not give `classes` values.
std::vector<LayerShape> infer_shapes(const NetworkDescription& network, const FeatureShape& input,
                                     std::int64_t classes);
/// The GEMM of a convolution or linear layer in a pass, for a batch (docs/training.md has the
/// shapes).
GemmShape gemm_shape(const LayerShape& layer, Pass pass, std::int64_t batch);
/// The layers whose BWD pass is computed: those behind a layer with parameters. Nobody needs the
/// gradient of the image.
std::set<std::string> layers_with_backward(const std::vector<LayerShape>& shapes);

}  // namespace narrowmac
