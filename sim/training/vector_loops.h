#pragma once

#include <cstdint>

// The host's inner loops, for one thread, in the vector instructions that the processor has. Every
// element is computed by the same single operations whatever their width, so the bits are the same
// everywhere. Matrices are rows x channels without gaps.

namespace narrowmac::loops {

/// y = y * scale + bias[channel]; `bias` may be null.
void scale_and_bias(float* y, std::int64_t rows, std::int64_t channels, float scale,
                    const float* bias);
/// y = max(x, 0); NaN stays NaN. May be in place.
void relu(const float* x, std::int64_t size, float* y);
/// dx = dy where the output is positive, else 0. May be in place.
void relu_backward(const float* output, const float* dy, std::int64_t size, float* dx);
/// y = min(max(x, 0), clip); NaN stays NaN. May be in place.
void clipped_relu(const float* x, std::int64_t size, float clip, float* y);
/// dx = dy where the output is between 0 and clip, else 0. May be in place.
void clipped_relu_backward(const float* output, const float* dy, std::int64_t size, float clip,
                           float* dx);
/// out = a + b. May be in place.
void add(const float* a, const float* b, std::int64_t size, float* out);
/// False if there is an infinity or a NaN.
bool all_finite(const float* values, std::int64_t size);
/// out = pixel * scale.
void scale_pixels(const std::uint8_t* pixels, std::int64_t size, float scale, float* out);

/// sums[channel] += the column's values, from the first row to the last.
void add_columns(const float* x, std::int64_t rows, std::int64_t channels, double* sums);
/// sums[channel] += (x - center[channel])^2, likewise.
void add_squared_distances(const float* x, std::int64_t rows, std::int64_t channels,
                           const double* center, double* sums);

/// y = (x - mean) * factor + bias.
void normalise(const float* x, std::int64_t rows, std::int64_t channels, const float* mean,
               const float* factor, const float* bias, float* y);
/// of_gradient += dy, of_product += dy * ((x - mean) * inverse), per channel in row order.
void add_normalised_products(const float* x, const float* dy, std::int64_t rows,
                             std::int64_t channels, const float* mean, const float* inverse,
                             double* of_gradient, double* of_product);
/// Per channel what batch norm's backward pass multiplies and subtracts.
struct NormaliseBackward {
  const float *mean, *inverse, *factor, *gradient_mean, *product_mean;
};
/// dx = factor * (dy - gradient_mean - (x - mean) * inverse * product_mean).
void normalise_backward(const NormaliseBackward& by, const float* x, const float* dy,
                        std::int64_t rows, std::int64_t channels, float* dx);

/// A row of pooling windows with the same inputs relative to their first one: window w reads x + w
/// * step + offsets[t]. Outputs are consecutive pixels.
struct Windows {
  std::int64_t count = 0, step = 0;
  const std::int64_t* offsets = nullptr;
  std::int64_t taps = 0;
  std::int64_t channels = 0;
};
/// A NaN wins a maximum and stays.
void max_windows(const Windows& windows, const float* x, float* y);
/// Hands each gradient to the first input that equals the maximum; the others of a window get 0.
/// With `accumulate` shares are added instead: for windows that overlap.
void max_windows_backward(const Windows& windows, const float* x, const float* y, const float* dy,
                          bool accumulate, float* dx);
/// max_windows() that notes which input won: the first of equals, 255 if that is not positive or a
/// NaN, so that the gradient also respects the ReLU before the windows. At most 254 taps.
void max_windows_positive(const Windows& windows, const float* x, float* y, std::uint8_t* winners);
/// Hands each gradient to the winner; the others of a window get 0. Windows must not overlap.
void max_windows_backward(const Windows& windows, const std::uint8_t* winners, const float* dy,
                          float* dx);
/// y = scale * sum.
void average_windows(const Windows& windows, const float* x, float scale, float* y);
/// dx += scale * dy for every input.
void average_windows_backward(const Windows& windows, const float* dy, float scale, float* dx);

/// PyTorch's SGD: see sgd_update().
struct SgdFactors {
  float learning_rate, momentum, weight_decay, loss_scale;
};
void sgd(const SgdFactors& by, const float* gradient, std::int64_t size, float* velocity,
         float* weights);

}  // namespace narrowmac::loops
