#include "sim/training/loss.h"

#include <cmath>
#include <cstddef>
#include <vector>

namespace narrowmac {

std::int64_t predicted_class(const float* logits, std::int64_t classes) {
  std::int64_t best = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    if (std::isnan(logits[c])) return c;
    if (logits[c] > logits[best]) best = c;
  }
  return best;
}

LossResult softmax_cross_entropy(const float* logits, const std::uint8_t* labels,
                                 std::int64_t images, std::int64_t classes, double loss_scale,
                                 float* gradient) {
  LossResult result;
  std::vector<double> exponentials(static_cast<std::size_t>(classes));
  for (std::int64_t image = 0; image < images; ++image) {
    const float* row = logits + image * classes;
    const std::int64_t best = predicted_class(row, classes);
    const std::int64_t label = labels[image];
    const auto largest = static_cast<double>(row[best]);
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      const double e = std::exp(static_cast<double>(row[c]) - largest);
      exponentials[static_cast<std::size_t>(c)] = e;
      sum += e;
    }
    result.loss += std::log(sum) + largest - static_cast<double>(row[label]);
    if (best == label) ++result.correct;
    if (gradient == nullptr) continue;
    for (std::int64_t c = 0; c < classes; ++c) {
      const double probability = exponentials[static_cast<std::size_t>(c)] / sum;
      const double target = c == label ? 1.0 : 0.0;
      gradient[image * classes + c] =
          static_cast<float>((probability - target) * loss_scale / static_cast<double>(images));
    }
  }
  result.loss /= static_cast<double>(images);
  return result;
}

}  // namespace narrowmac
