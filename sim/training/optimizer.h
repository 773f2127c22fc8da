#pragma once

#include <cstdint>

#include "sim/training/settings.h"

namespace narrowmac {

/// The learning rate of step `step` (the first is 0).
double learning_rate(const TrainingSettings& settings, std::int64_t step,
                     std::int64_t steps_per_epoch, std::int64_t total_steps);

/// PyTorch's SGD: g = gradient / loss_scale + weight_decay w; v = momentum v + g; w -=
/// learning_rate v.
struct SgdStep {
  float learning_rate = 0, momentum = 0, weight_decay = 0, loss_scale = 1;
};
void sgd_update(const SgdStep& step, const float* gradient, std::int64_t size, float* velocity,
                float* weights);

}  // namespace narrowmac
