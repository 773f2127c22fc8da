#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "sim/training/layer.h"

namespace narrowmac {

/// The network at work: layers in file order, their activations, and the gradients that flow back.
class LayerGraph {
 public:
  /// `capacity`: the largest batch.
  LayerGraph(const std::vector<LayerShape>& shapes, const FeatureShape& image,
             std::int64_t capacity, Host& host);

  /// Where the images of the next batch go (NHWC).
  [[nodiscard]] float* input() { return activations_.front().value; }
  /// Runs all layers over the batch in input(); returns the logits.
  const float* forward(const Run& run);
  /// Where the gradient of the logits goes, after forward().
  float* logits_gradient();
  /// Fills every parameter's gradient from the gradient of the logits.
  void backward(const Run& run);

  [[nodiscard]] std::vector<Parameter*> parameters();
  [[nodiscard]] std::vector<Statistic*> statistics();
  /// Parameters and statistics of one layer at a time, in network order.
  [[nodiscard]] std::vector<std::unique_ptr<Layer>>& layers() { return layers_; }

 private:
  struct Node {
    std::vector<std::size_t> inputs;  ///< activations read
    bool in_place = false;            ///< shares its input's storage
  };
  void connect(const std::vector<LayerShape>& shapes);
  void allocate(std::int64_t capacity);
  /// Adds the rounding of an activation that GEMMs read to the pipeline, or as much of it as can be
  /// done there.
  void round_images(Activation& activation, const Run& run);
  void backward_node(std::size_t node, const Run& run);
  /// Where the first part of a gradient goes.
  float* own_gradient(Activation& activation);
  /// gradient += part, image by image.
  void accumulate(Activation& activation, const float* part);
  void release(Activation& activation);

  using Buffer = std::shared_ptr<AlignedBuffer>;
  Buffer take_buffer(std::int64_t size);
  /// Keeps the buffer for others, unless somebody still has it. Steps of the pipeline may yet use
  /// it: those of its next owner run after them, on the same images.
  void give_back(Buffer buffer);

  std::vector<Node> nodes_;
  std::vector<Activation> activations_;  ///< the image, then every layer's output
  std::vector<std::unique_ptr<Layer>> layers_;
  std::map<std::int64_t, std::vector<Buffer>> free_buffers_;  ///< of gradients, by size
  std::int64_t capacity_;
  Host& host_;
};

}  // namespace narrowmac
