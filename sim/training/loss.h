#pragma once

#include <cstdint>

namespace narrowmac {

/// PyTorch's argmax: the first NaN if there is one, else the first largest.
std::int64_t predicted_class(const float* logits, std::int64_t classes);

struct LossResult {
  double loss = 0;  ///< mean over the batch
  std::int64_t correct =
      0;  ///< images whose largest logit is the label's (the first of equals; NaN is largest)
};

/// Softmax cross-entropy. With `gradient`: (softmax - one-hot) / images * loss_scale, the gradient
/// of the scaled mean loss.
LossResult softmax_cross_entropy(const float* logits, const std::uint8_t* labels,
                                 std::int64_t images, std::int64_t classes, double loss_scale = 1.0,
                                 float* gradient = nullptr);

}  // namespace narrowmac
