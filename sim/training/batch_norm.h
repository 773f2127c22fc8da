#pragma once

#include <cstdint>
#include <vector>

#include "sim/training/image_pipeline.h"

namespace narrowmac {

inline constexpr double kBatchNormEpsilon = 1e-5;
inline constexpr double kBatchNormMomentum = 0.1;

/// Mean and 1 / sqrt(biased variance + epsilon) of every channel, over the rows of a rows x
/// channels matrix.
struct ChannelStatistics {
  std::vector<float> mean;
  std::vector<float> inverse_deviation;
  std::vector<double> variance;  ///< biased
};
/// The same from running statistics, for evaluation.
ChannelStatistics channel_statistics(const float* running_mean, const float* running_variance,
                                     std::int64_t channels);
/// running = 0.9 running + 0.1 batch; the variance enters unbiased.
void update_running(const ChannelStatistics& batch, std::int64_t rows, float* running_mean,
                    float* running_variance);

/// The statistics of a batch, gathered image by image: each image's mean and sum of squared
/// deviations, merged in the order of the images.
class BatchMoments {
 public:
  BatchMoments(std::int64_t images, std::int64_t rows_per_image, std::int64_t channels);
  /// `x`: the batch, images of rows_per_image x channels.
  void add(const ImageRange& images, const float* x);
  [[nodiscard]] ChannelStatistics statistics() const;

 private:
  std::int64_t images_, rows_, channels_;
  std::vector<double> means_, deviations_;  ///< images x channels
};

/// What batch norm's forward pass multiplies, and the loop over some images.
struct BatchNormForward {
  BatchNormForward(const ChannelStatistics& statistics, const float* weight);
  /// y = (x - mean) / deviation * weight + bias.
  void run(const float* x, std::int64_t rows, const float* bias, float* y) const;
  std::vector<float> mean, factor;
};

/// Gradients: first the sums over all images, then dx.
class BatchNormBackward {
 public:
  BatchNormBackward(const ChannelStatistics& statistics, std::int64_t images,
                    std::int64_t rows_per_image);
  /// `x` and `dy`: the batch.
  void add(const ImageRange& images, const float* x, const float* dy);
  /// After add() of all images. `through_statistics`: mean and variance are the batch's own, so the
  /// gradient also flows through them; otherwise they are constants.
  void finish(const float* weight, bool through_statistics, float* weight_gradient,
              float* bias_gradient);
  /// After finish().
  void run(const ImageRange& images, const float* x, const float* dy, float* dx) const;

 private:
  const ChannelStatistics& statistics_;
  std::int64_t images_, rows_, channels_;
  std::vector<double> sums_;  ///< images x 2 x channels: of dy, of dy times normalised x
  std::vector<float> factor_, gradient_mean_, product_mean_;
};

}  // namespace narrowmac
