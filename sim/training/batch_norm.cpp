#include "sim/training/batch_norm.h"

#include <cmath>
#include <cstddef>

#include "sim/training/parallel.h"

namespace narrowmac {
namespace {

constexpr std::int64_t kRowsPerBlock = 1024;

float inverse_deviation(double variance) {
  return static_cast<float>(1.0 / std::sqrt(variance + kBatchNormEpsilon));
}

}  // namespace

ChannelStatistics channel_statistics(const float* x, std::int64_t rows, std::int64_t channels) {
  ChannelStatistics statistics;
  std::vector<double> mean =
      sum_rows(rows, channels, [&](std::int64_t begin, std::int64_t end, double* sums) {
        for (std::int64_t row = begin; row < end; ++row) {
          const float* values = x + row * channels;
          for (std::int64_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(values[c]);
        }
      });
  for (double& value : mean) value /= static_cast<double>(rows);
  statistics.variance =
      sum_rows(rows, channels, [&](std::int64_t begin, std::int64_t end, double* sums) {
        const double* center = mean.data();
        for (std::int64_t row = begin; row < end; ++row) {
          const float* values = x + row * channels;
          for (std::int64_t c = 0; c < channels; ++c) {
            const double distance = static_cast<double>(values[c]) - center[c];
            sums[c] += distance * distance;
          }
        }
      });
  for (double& value : statistics.variance) value /= static_cast<double>(rows);
  for (std::size_t c = 0; c < mean.size(); ++c) {
    statistics.mean.push_back(static_cast<float>(mean[c]));
    statistics.inverse_deviation.push_back(inverse_deviation(statistics.variance[c]));
  }
  return statistics;
}

ChannelStatistics channel_statistics(const float* running_mean, const float* running_variance,
                                     std::int64_t channels) {
  ChannelStatistics statistics;
  for (std::int64_t c = 0; c < channels; ++c) {
    statistics.mean.push_back(running_mean[c]);
    statistics.variance.push_back(static_cast<double>(running_variance[c]));
    statistics.inverse_deviation.push_back(inverse_deviation(statistics.variance.back()));
  }
  return statistics;
}

void update_running(const ChannelStatistics& batch, std::int64_t rows, float* running_mean,
                    float* running_variance) {
  const double unbiased =
      rows > 1 ? static_cast<double>(rows) / static_cast<double>(rows - 1) : 1.0;
  const auto blend = [](float running, double value) {
    return static_cast<float>((1.0 - kBatchNormMomentum) * static_cast<double>(running) +
                              kBatchNormMomentum * value);
  };
  for (std::size_t c = 0; c < batch.mean.size(); ++c) {
    running_mean[c] = blend(running_mean[c], static_cast<double>(batch.mean[c]));
    running_variance[c] = blend(running_variance[c], batch.variance[c] * unbiased);
  }
}

void batch_norm_forward(const ChannelStatistics& statistics, const float* weight, const float* bias,
                        const float* x, std::int64_t rows, float* y) {
  const auto channels = static_cast<std::int64_t>(statistics.mean.size());
  std::vector<float> scale(statistics.mean.size());
  for (std::size_t c = 0; c < scale.size(); ++c) {
    scale[c] = weight[c] * statistics.inverse_deviation[c];
  }
  for_blocks(rows, kRowsPerBlock, [&](std::int64_t begin, std::int64_t end) {
    const float* mean = statistics.mean.data();
    const float* factor = scale.data();
    for (std::int64_t row = begin; row < end; ++row) {
      const float* __restrict in = x + row * channels;
      float* __restrict out = y + row * channels;
      for (std::int64_t c = 0; c < channels; ++c) {
        out[c] = (in[c] - mean[c]) * factor[c] + bias[c];
      }
    }
  });
}

void batch_norm_backward(const ChannelStatistics& statistics, const float* weight, const float* x,
                         const float* dy, std::int64_t rows, float* dx, float* weight_gradient,
                         float* bias_gradient) {
  const auto channels = static_cast<std::int64_t>(statistics.mean.size());
  const float* mean = statistics.mean.data();
  const float* inverse = statistics.inverse_deviation.data();
  const std::vector<double> sums =
      sum_rows(rows, 2 * channels, [&](std::int64_t begin, std::int64_t end, double* partial) {
        double* of_gradient = partial;
        double* of_product = partial + channels;
        for (std::int64_t row = begin; row < end; ++row) {
          const float* __restrict in = x + row * channels;
          const float* __restrict gradient = dy + row * channels;
          for (std::int64_t c = 0; c < channels; ++c) {
            const auto g = static_cast<double>(gradient[c]);
            of_gradient[c] += g;
            of_product[c] += g * static_cast<double>((in[c] - mean[c]) * inverse[c]);
          }
        }
      });
  // dx = weight / deviation * (dy - mean(dy) - x_hat mean(dy x_hat)), Ioffe and Szegedy 2015.
  std::vector<float> factor, gradient_mean, product_mean;
  for (std::int64_t c = 0; c < channels; ++c) {
    const double of_gradient = sums[static_cast<std::size_t>(c)];
    const double of_product = sums[static_cast<std::size_t>(channels + c)];
    bias_gradient[c] = static_cast<float>(of_gradient);
    weight_gradient[c] = static_cast<float>(of_product);
    factor.push_back(weight[c] * inverse[c]);
    gradient_mean.push_back(static_cast<float>(of_gradient / static_cast<double>(rows)));
    product_mean.push_back(static_cast<float>(of_product / static_cast<double>(rows)));
  }
  if (dx == nullptr) return;
  for_blocks(rows, kRowsPerBlock, [&](std::int64_t begin, std::int64_t end) {
    const float* scale = factor.data();
    const float* mean_dy = gradient_mean.data();
    const float* mean_product = product_mean.data();
    for (std::int64_t row = begin; row < end; ++row) {
      const float* __restrict in = x + row * channels;
      const float* __restrict gradient = dy + row * channels;
      float* __restrict out = dx + row * channels;
      for (std::int64_t c = 0; c < channels; ++c) {
        const float normalised = (in[c] - mean[c]) * inverse[c];
        out[c] = scale[c] * (gradient[c] - mean_dy[c] - normalised * mean_product[c]);
      }
    }
  });
}

}  // namespace narrowmac
