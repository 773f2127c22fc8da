#pragma once

#include <cstdint>
#include <vector>

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
ChannelStatistics channel_statistics(const float* x, std::int64_t rows, std::int64_t channels);
/// The same from running statistics, for evaluation.
ChannelStatistics channel_statistics(const float* running_mean, const float* running_variance,
                                     std::int64_t channels);
/// running = 0.9 running + 0.1 batch; the variance enters unbiased.
void update_running(const ChannelStatistics& batch, std::int64_t rows, float* running_mean,
                    float* running_variance);

/// y = (x - mean) / deviation * weight + bias.
void batch_norm_forward(const ChannelStatistics& statistics, const float* weight, const float* bias,
                        const float* x, std::int64_t rows, float* y);
/// Gradients through the batch's own mean and variance. `dx` may be null.
void batch_norm_backward(const ChannelStatistics& statistics, const float* weight, const float* x,
                         const float* dy, std::int64_t rows, float* dx, float* weight_gradient,
                         float* bias_gradient);

}  // namespace narrowmac
