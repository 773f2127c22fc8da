#include "sim/training/optimizer.h"

#include <cmath>
#include <numbers>

#include "sim/training/parallel.h"
#include "sim/training/vector_loops.h"

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
  const loops::SgdFactors by{step.learning_rate, step.momentum, step.weight_decay, step.loss_scale};
  for_blocks(size, std::int64_t{1} << 15, [&](std::int64_t begin, std::int64_t end) {
    loops::sgd(by, gradient + begin, end - begin, velocity + begin, weights + begin);
  });
}

}  // namespace narrowmac
