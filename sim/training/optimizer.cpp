#include "sim/training/optimizer.h"

#include <cmath>
#include <numbers>

#include "sim/training/parallel.h"

namespace narrowmac {

double learning_rate(const TrainingSettings& settings, std::int64_t step,
                     std::int64_t steps_per_epoch, std::int64_t total_steps) {
  const Schedule& schedule = settings.schedule;
  switch (schedule.kind) {
    case Schedule::Kind::Constant:
      break;
    case Schedule::Kind::Step: {
      double rate = settings.learning_rate;
      for (const std::int64_t milestone : schedule.milestones) {
        if (step >= milestone * steps_per_epoch) rate *= schedule.factor;
      }
      return rate;
    }
    case Schedule::Kind::Cosine:
      return settings.learning_rate * 0.5 *
             (1.0 + std::cos(std::numbers::pi * static_cast<double>(step) /
                             static_cast<double>(total_steps)));
  }
  return settings.learning_rate;
}

void sgd_update(const SgdStep& step, const float* gradient, std::int64_t size, float* velocity,
                float* weights) {
  for_blocks(size, std::int64_t{1} << 15, [&](std::int64_t begin, std::int64_t end) {
    const SgdStep s = step;
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = gradient[i] / s.loss_scale + s.weight_decay * weights[i];
      velocity[i] = s.momentum * velocity[i] + g;
      weights[i] -= s.learning_rate * velocity[i];
    }
  });
}

}  // namespace narrowmac
