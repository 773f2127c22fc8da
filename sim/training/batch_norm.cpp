#include "sim/training/batch_norm.h"

#include <cmath>
#include <cstddef>
#include <iterator>

#include "sim/training/vector_loops.h"

namespace narrowmac {
namespace {

float inverse_deviation(double variance) {
  return static_cast<float>(1.0 / std::sqrt(variance + kBatchNormEpsilon));
}

}  // namespace

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

BatchMoments::BatchMoments(std::int64_t images, std::int64_t rows_per_image, std::int64_t channels)
    : images_(images),
      rows_(rows_per_image),
      channels_(channels),
      means_(static_cast<std::size_t>(images * channels)),
      deviations_(means_.size()) {}

void BatchMoments::add(const ImageRange& images, const float* x) {
  for (std::int64_t image = images.begin; image < images.end; ++image) {
    const float* values = x + image * rows_ * channels_;
    double* mean = means_.data() + image * channels_;
    loops::add_columns(values, rows_, channels_, mean);
    for (std::int64_t c = 0; c < channels_; ++c) mean[c] /= static_cast<double>(rows_);
    loops::add_squared_distances(values, rows_, channels_, mean,
                                 deviations_.data() + image * channels_);
  }
}

ChannelStatistics BatchMoments::statistics() const {
  ChannelStatistics statistics;
  for (std::int64_t c = 0; c < channels_; ++c) {
    double mean = 0;
    for (std::int64_t i = 0; i < images_; ++i)
      mean += means_[static_cast<std::size_t>(i * channels_ + c)];
    mean /= static_cast<double>(images_);
    double within = 0, between = 0;
    for (std::int64_t i = 0; i < images_; ++i) {
      within += deviations_[static_cast<std::size_t>(i * channels_ + c)];
      const double distance = means_[static_cast<std::size_t>(i * channels_ + c)] - mean;
      between += distance * distance;
    }
    const auto rows = static_cast<double>(rows_);
    statistics.variance.push_back((within + rows * between) /
                                  (rows * static_cast<double>(images_)));
    statistics.mean.push_back(static_cast<float>(mean));
    statistics.inverse_deviation.push_back(inverse_deviation(statistics.variance.back()));
  }
  return statistics;
}

BatchNormForward::BatchNormForward(const ChannelStatistics& statistics, const float* weight)
    : mean(statistics.mean) {
  for (std::size_t c = 0; c < mean.size(); ++c) {
    factor.push_back(weight[c] * statistics.inverse_deviation[c]);
  }
}

void BatchNormForward::run(const float* x, std::int64_t rows, const float* bias, float* y) const {
  loops::normalise(x, rows, std::ssize(mean), mean.data(), factor.data(), bias, y);
}

BatchNormBackward::BatchNormBackward(const ChannelStatistics& statistics, std::int64_t images,
                                     std::int64_t rows_per_image)
    : statistics_(statistics),
      images_(images),
      rows_(rows_per_image),
      channels_(std::ssize(statistics.mean)),
      sums_(static_cast<std::size_t>(images * 2 * channels_)) {}

void BatchNormBackward::add(const ImageRange& images, const float* x, const float* dy) {
  for (std::int64_t image = images.begin; image < images.end; ++image) {
    const std::int64_t first = image * rows_ * channels_;
    double* of_gradient = sums_.data() + image * 2 * channels_;
    loops::add_normalised_products(x + first, dy + first, rows_, channels_, statistics_.mean.data(),
                                   statistics_.inverse_deviation.data(), of_gradient,
                                   of_gradient + channels_);
  }
}

void BatchNormBackward::finish(const float* weight, bool through_statistics, float* weight_gradient,
                               float* bias_gradient) {
  const auto rows = static_cast<double>(images_ * rows_);
  const auto sum = [&](std::int64_t column) {
    double total = 0;
    for (std::int64_t i = 0; i < images_; ++i) {
      total += sums_[static_cast<std::size_t>(i * 2 * channels_ + column)];
    }
    return total;
  };
  // dx = weight / deviation * (dy - mean(dy) - x_hat mean(dy x_hat)), Ioffe and Szegedy 2015.
  for (std::int64_t c = 0; c < channels_; ++c) {
    const double of_gradient = sum(c);
    const double of_product = sum(channels_ + c);
    bias_gradient[c] = static_cast<float>(of_gradient);
    weight_gradient[c] = static_cast<float>(of_product);
    factor_.push_back(weight[c] * statistics_.inverse_deviation[static_cast<std::size_t>(c)]);
    gradient_mean_.push_back(through_statistics ? static_cast<float>(of_gradient / rows) : 0.0F);
    product_mean_.push_back(through_statistics ? static_cast<float>(of_product / rows) : 0.0F);
  }
}

void BatchNormBackward::run(const ImageRange& images, const float* x, const float* dy,
                            float* dx) const {
  const loops::NormaliseBackward by{statistics_.mean.data(), statistics_.inverse_deviation.data(),
                                    factor_.data(), gradient_mean_.data(), product_mean_.data()};
  const std::int64_t first = images.begin * rows_ * channels_;
  loops::normalise_backward(by, x + first, dy + first, images.count() * rows_, channels_,
                            dx + first);
}

}  // namespace narrowmac
