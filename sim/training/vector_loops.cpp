#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/training/vector_loops.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h has to be the first header
#include <hwy/highway.h>

#include <bit>
#include <limits>

#include "sim/training/vector_loops.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::loops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Index = std::int64_t;
using Floats = hn::ScalableTag<float>;
using Doubles = hn::ScalableTag<double>;

/// body(tag, i) for all i in steps of the tag's lanes: whole vectors, then single elements.
template <class Body>
HWY_INLINE void ForVectors(Index size, const Body& body) {
  const Floats d;
  const auto lanes = static_cast<Index>(hn::Lanes(d));
  Index i = 0;
  for (; i + lanes <= size; i += lanes) body(d, i);
  const hn::CappedTag<float, 1> single;
  for (; i < size; ++i) body(single, i);
}

/// body(tag, i, channel) for all elements of a matrix.
template <class Body>
HWY_INLINE void ForRows(Index rows, Index channels, const Body& body) {
  for (Index row = 0; row < rows; ++row) {
    const Index first = row * channels;
    ForVectors(channels, [&](auto d, Index c) HWY_ATTR { body(d, first + c, c); });
  }
}

/// Sums over the rows, in double and in row order, with the sums of a few channels in registers:
/// add(tag, i, channel, sums of that channel).
template <int kSums, class Tag, int kVectors, class Add>
HWY_INLINE void SumChannels(Tag d, Index rows, Index channels, Index first, const Add& add,
                            double* const* sums) {
  const auto lanes = static_cast<Index>(hn::Lanes(d));
  hn::Vec<Tag> sum[kVectors][kSums];
  for (int v = 0; v < kVectors; ++v) {
    for (int s = 0; s < kSums; ++s) sum[v][s] = hn::LoadU(d, sums[s] + first + v * lanes);
  }
  for (Index row = 0; row < rows; ++row) {
    for (int v = 0; v < kVectors; ++v) {
      const Index channel = first + v * lanes;
      add(d, row * channels + channel, channel, sum[v]);
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    for (int s = 0; s < kSums; ++s) hn::StoreU(sum[v][s], d, sums[s] + first + v * lanes);
  }
}

template <int kSums, class Add>
HWY_INLINE void SumRows(Index rows, Index channels, const Add& add, double* const* sums) {
  const Doubles d;
  const auto lanes = static_cast<Index>(hn::Lanes(d));
  Index c = 0;
  for (; c + 4 * lanes <= channels; c += 4 * lanes) {
    SumChannels<kSums, Doubles, 4>(d, rows, channels, c, add, sums);
  }
  for (; c + lanes <= channels; c += lanes) {
    SumChannels<kSums, Doubles, 1>(d, rows, channels, c, add, sums);
  }
  const hn::CappedTag<double, 1> single;
  for (; c < channels; ++c) {
    SumChannels<kSums, decltype(single), 1>(single, rows, channels, c, add, sums);
  }
}

template <class Tag>
HWY_INLINE hn::Vec<Tag> LoadAsDouble(Tag d, const float* from) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, Tag>(), from));
}

void ScaleAndBias(float* y, Index rows, Index channels, float scale, const float* bias) {
  if (bias == nullptr) {
    ForVectors(rows * channels, [&](auto d, Index i) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::LoadU(d, y + i), hn::Set(d, scale)), d, y + i);
    });
    return;
  }
  ForRows(rows, channels, [&](auto d, Index i, Index c) HWY_ATTR {
    const auto scaled = hn::Mul(hn::LoadU(d, y + i), hn::Set(d, scale));
    hn::StoreU(hn::Add(scaled, hn::LoadU(d, bias + c)), d, y + i);
  });
}

void ReLU(const float* x, Index size, float* y) {
  ForVectors(size, [&](auto d, Index i) HWY_ATTR {
    const auto value = hn::LoadU(d, x + i);
    hn::StoreU(hn::IfThenZeroElse(hn::Le(value, hn::Zero(d)), value), d, y + i);
  });
}

void ReLUBackward(const float* output, const float* dy, Index size, float* dx) {
  ForVectors(size, [&](auto d, Index i) HWY_ATTR {
    const auto positive = hn::Gt(hn::LoadU(d, output + i), hn::Zero(d));
    hn::StoreU(hn::IfThenElseZero(positive, hn::LoadU(d, dy + i)), d, dx + i);
  });
}

void ClippedReLU(const float* x, Index size, float clip, float* y) {
  ForVectors(size, [&](auto d, Index i) HWY_ATTR {
    const auto value = hn::LoadU(d, x + i);
    const auto positive = hn::IfThenZeroElse(hn::Le(value, hn::Zero(d)), value);
    const auto end = hn::Set(d, clip);
    hn::StoreU(hn::IfThenElse(hn::Gt(positive, end), end, positive), d, y + i);
  });
}

void ClippedReLUBackward(const float* output, const float* dy, Index size, float clip, float* dx) {
  ForVectors(size, [&](auto d, Index i) HWY_ATTR {
    const auto y = hn::LoadU(d, output + i);
    const auto between = hn::And(hn::Gt(y, hn::Zero(d)), hn::Lt(y, hn::Set(d, clip)));
    hn::StoreU(hn::IfThenElseZero(between, hn::LoadU(d, dy + i)), d, dx + i);
  });
}

void Add(const float* a, const float* b, Index size, float* out) {
  ForVectors(size, [&](auto d, Index i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  });
}

bool AllFinite(const float* values, Index size) {
  const Floats d;
  const auto lanes = static_cast<Index>(hn::Lanes(d));
  // x - x is 0 for finite x and NaN otherwise, and a NaN stays in a sum.
  auto sum = hn::Zero(d);
  Index i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto x = hn::LoadU(d, values + i);
    sum = hn::Add(sum, hn::Sub(x, x));
  }
  float rest = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < size; ++i) rest += values[i] - values[i];
  return rest == 0.0F;
}

void ScalePixels(const std::uint8_t* pixels, Index size, float scale, float* out) {
  ForVectors(size, [&](auto d, Index i) HWY_ATTR {
    const hn::RebindToSigned<decltype(d)> words;
    const hn::Rebind<std::uint8_t, decltype(d)> bytes;
    const auto value = hn::ConvertTo(d, hn::PromoteTo(words, hn::LoadU(bytes, pixels + i)));
    hn::StoreU(hn::Mul(value, hn::Set(d, scale)), d, out + i);
  });
}

void AddColumns(const float* x, Index rows, Index channels, double* sums) {
  SumRows<1>(
      rows, channels,
      [&](auto d, Index i, Index, auto* sum)
          HWY_ATTR { sum[0] = hn::Add(sum[0], LoadAsDouble(d, x + i)); },
      &sums);
}

void AddSquaredDistances(const float* x, Index rows, Index channels, const double* center,
                         double* sums) {
  SumRows<1>(
      rows, channels,
      [&](auto d, Index i, Index c, auto* sum) HWY_ATTR {
        const auto distance = hn::Sub(LoadAsDouble(d, x + i), hn::LoadU(d, center + c));
        sum[0] = hn::Add(sum[0], hn::Mul(distance, distance));
      },
      &sums);
}

void Normalise(const float* x, Index rows, Index channels, const float* mean, const float* factor,
               const float* bias, float* y) {
  ForRows(rows, channels, [&](auto d, Index i, Index c) HWY_ATTR {
    const auto centered = hn::Sub(hn::LoadU(d, x + i), hn::LoadU(d, mean + c));
    const auto scaled = hn::Mul(centered, hn::LoadU(d, factor + c));
    hn::StoreU(hn::Add(scaled, hn::LoadU(d, bias + c)), d, y + i);
  });
}

void AddNormalisedProducts(const float* x, const float* dy, Index rows, Index channels,
                           const float* mean, const float* inverse, double* of_gradient,
                           double* of_product) {
  double* const sums[2] = {of_gradient, of_product};
  SumRows<2>(
      rows, channels,
      [&](auto d, Index i, Index c, auto* sum) HWY_ATTR {
        const hn::Rebind<float, decltype(d)> f;
        const auto gradient = hn::PromoteTo(d, hn::LoadU(f, dy + i));
        const auto centered = hn::Sub(hn::LoadU(f, x + i), hn::LoadU(f, mean + c));
        const auto normalised = hn::Mul(centered, hn::LoadU(f, inverse + c));
        sum[0] = hn::Add(sum[0], gradient);
        sum[1] = hn::Add(sum[1], hn::Mul(gradient, hn::PromoteTo(d, normalised)));
      },
      sums);
}

void BackThroughNormalise(const NormaliseBackward& by, const float* x, const float* dy, Index rows,
                          Index channels, float* dx) {
  ForRows(rows, channels, [&](auto d, Index i, Index c) HWY_ATTR {
    const auto centered = hn::Sub(hn::LoadU(d, x + i), hn::LoadU(d, by.mean + c));
    const auto normalised = hn::Mul(centered, hn::LoadU(d, by.inverse + c));
    const auto own = hn::Sub(hn::LoadU(d, dy + i), hn::LoadU(d, by.gradient_mean + c));
    const auto rest = hn::Sub(own, hn::Mul(normalised, hn::LoadU(d, by.product_mean + c)));
    hn::StoreU(hn::Mul(hn::LoadU(d, by.factor + c), rest), d, dx + i);
  });
}

void MaxWindows(const Windows& windows, const float* x, float* y) {
  for (Index w = 0; w < windows.count; ++w, x += windows.step, y += windows.channels) {
    ForVectors(windows.channels, [&](auto d, Index c) HWY_ATTR {
      auto best = hn::Set(d, -std::numeric_limits<float>::infinity());
      for (Index t = 0; t < windows.taps; ++t) {
        const auto value = hn::LoadU(d, x + windows.offsets[t] + c);
        const auto wins = hn::Or(hn::Gt(value, best), hn::IsNaN(value));
        best = hn::IfThenElse(wins, value, best);
      }
      hn::StoreU(best, d, y + c);
    });
  }
}

void MaxWindowsBackward(const Windows& windows, const float* x, const float* y, const float* dy,
                        bool accumulate, float* dx) {
  for (Index w = 0; w < windows.count; ++w) {
    ForVectors(windows.channels, [&](auto d, Index c) HWY_ATTR {
      const auto largest = hn::LoadU(d, y + c);
      auto remaining = hn::LoadU(d, dy + c);
      for (Index t = 0; t < windows.taps; ++t) {
        const Index offset = windows.offsets[t] + c;
        const auto hit = hn::Eq(hn::LoadU(d, x + offset), largest);
        auto share = hn::IfThenElseZero(hit, remaining);
        remaining = hn::IfThenZeroElse(hit, remaining);
        if (accumulate) share = hn::Add(hn::LoadU(d, dx + offset), share);
        hn::StoreU(share, d, dx + offset);
      }
    });
    x += windows.step;
    dx += windows.step;
    y += windows.channels;
    dy += windows.channels;
  }
}

void MaxWindowsPositive(const Windows& windows, const float* x, float* y, std::uint8_t* winners) {
  for (Index w = 0; w < windows.count; ++w) {
    ForVectors(windows.channels, [&](auto d, Index c) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> words;
      const hn::Rebind<std::uint8_t, decltype(d)> bytes;
      auto best = hn::Set(d, -std::numeric_limits<float>::infinity());
      auto winner = hn::Set(words, 255);
      for (Index t = 0; t < windows.taps; ++t) {
        const auto value = hn::LoadU(d, x + windows.offsets[t] + c);
        const auto wins = hn::Or(hn::Gt(value, best), hn::IsNaN(value));
        best = hn::IfThenElse(wins, value, best);
        winner = hn::IfThenElse(hn::RebindMask(words, wins),
                                hn::Set(words, static_cast<std::int32_t>(t)), winner);
      }
      const auto positive = hn::RebindMask(words, hn::Gt(best, hn::Zero(d)));
      winner = hn::IfThenElse(positive, winner, hn::Set(words, 255));
      hn::StoreU(best, d, y + c);
      hn::StoreU(hn::DemoteTo(bytes, winner), bytes, winners + c);
    });
    x += windows.step;
    y += windows.channels;
    winners += windows.channels;
  }
}

void MaxWindowsToWinners(const Windows& windows, const std::uint8_t* winners, const float* dy,
                         float* dx) {
  for (Index w = 0; w < windows.count; ++w) {
    ForVectors(windows.channels, [&](auto d, Index c) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> words;
      const hn::Rebind<std::uint8_t, decltype(d)> bytes;
      const auto winner = hn::PromoteTo(words, hn::LoadU(bytes, winners + c));
      const auto gradient = hn::LoadU(d, dy + c);
      for (Index t = 0; t < windows.taps; ++t) {
        const auto won = hn::Eq(winner, hn::Set(words, static_cast<std::int32_t>(t)));
        hn::StoreU(hn::IfThenElseZero(hn::RebindMask(d, won), gradient), d,
                   dx + windows.offsets[t] + c);
      }
    });
    dx += windows.step;
    dy += windows.channels;
    winners += windows.channels;
  }
}

void AverageWindows(const Windows& windows, const float* x, float scale, float* y) {
  for (Index w = 0; w < windows.count; ++w, x += windows.step, y += windows.channels) {
    ForVectors(windows.channels, [&](auto d, Index c) HWY_ATTR {
      auto sum = hn::Zero(d);
      for (Index t = 0; t < windows.taps; ++t) {
        sum = hn::Add(sum, hn::LoadU(d, x + windows.offsets[t] + c));
      }
      hn::StoreU(hn::Mul(sum, hn::Set(d, scale)), d, y + c);
    });
  }
}

void AverageWindowsBackward(const Windows& windows, const float* dy, float scale, float* dx) {
  for (Index w = 0; w < windows.count; ++w, dx += windows.step, dy += windows.channels) {
    ForVectors(windows.channels, [&](auto d, Index c) HWY_ATTR {
      const auto share = hn::Mul(hn::LoadU(d, dy + c), hn::Set(d, scale));
      for (Index t = 0; t < windows.taps; ++t) {
        float* to = dx + windows.offsets[t] + c;
        hn::StoreU(hn::Add(hn::LoadU(d, to), share), d, to);
      }
    });
  }
}

void Sgd(const SgdFactors& by, const float* gradient, Index size, float* velocity, float* weights) {
  ForVectors(size, [&](auto d, Index i) HWY_ATTR {
    const auto weight = hn::LoadU(d, weights + i);
    const auto own = hn::Div(hn::LoadU(d, gradient + i), hn::Set(d, by.loss_scale));
    const auto g = hn::Add(own, hn::Mul(hn::Set(d, by.weight_decay), weight));
    const auto v = hn::Add(hn::Mul(hn::Set(d, by.momentum), hn::LoadU(d, velocity + i)), g);
    hn::StoreU(v, d, velocity + i);
    hn::StoreU(hn::Sub(weight, hn::Mul(hn::Set(d, by.learning_rate), v)), d, weights + i);
  });
}

}  // namespace narrowmac::loops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac::loops {

HWY_EXPORT(ScaleAndBias);
HWY_EXPORT(ReLU);
HWY_EXPORT(ReLUBackward);
HWY_EXPORT(ClippedReLU);
HWY_EXPORT(ClippedReLUBackward);
HWY_EXPORT(Add);
HWY_EXPORT(AllFinite);
HWY_EXPORT(ScalePixels);
HWY_EXPORT(AddColumns);
HWY_EXPORT(AddSquaredDistances);
HWY_EXPORT(Normalise);
HWY_EXPORT(AddNormalisedProducts);
HWY_EXPORT(BackThroughNormalise);
HWY_EXPORT(MaxWindows);
HWY_EXPORT(MaxWindowsBackward);
HWY_EXPORT(MaxWindowsPositive);
HWY_EXPORT(MaxWindowsToWinners);
HWY_EXPORT(AverageWindows);
HWY_EXPORT(AverageWindowsBackward);
HWY_EXPORT(Sgd);

void scale_and_bias(float* y, std::int64_t rows, std::int64_t channels, float scale,
                    const float* bias) {
  HWY_DYNAMIC_DISPATCH(ScaleAndBias)(y, rows, channels, scale, bias);
}
void relu(const float* x, std::int64_t size, float* y) { HWY_DYNAMIC_DISPATCH(ReLU)(x, size, y); }
void relu_backward(const float* output, const float* dy, std::int64_t size, float* dx) {
  HWY_DYNAMIC_DISPATCH(ReLUBackward)(output, dy, size, dx);
}
void clipped_relu(const float* x, std::int64_t size, float clip, float* y) {
  HWY_DYNAMIC_DISPATCH(ClippedReLU)(x, size, clip, y);
}
void clipped_relu_backward(const float* output, const float* dy, std::int64_t size, float clip,
                           float* dx) {
  HWY_DYNAMIC_DISPATCH(ClippedReLUBackward)(output, dy, size, clip, dx);
}
void add(const float* a, const float* b, std::int64_t size, float* out) {
  HWY_DYNAMIC_DISPATCH(Add)(a, b, size, out);
}
bool all_finite(const float* values, std::int64_t size) {
  return HWY_DYNAMIC_DISPATCH(AllFinite)(values, size);
}
void scale_pixels(const std::uint8_t* pixels, std::int64_t size, float scale, float* out) {
  HWY_DYNAMIC_DISPATCH(ScalePixels)(pixels, size, scale, out);
}
void add_columns(const float* x, std::int64_t rows, std::int64_t channels, double* sums) {
  HWY_DYNAMIC_DISPATCH(AddColumns)(x, rows, channels, sums);
}
void add_squared_distances(const float* x, std::int64_t rows, std::int64_t channels,
                           const double* center, double* sums) {
  HWY_DYNAMIC_DISPATCH(AddSquaredDistances)(x, rows, channels, center, sums);
}
void normalise(const float* x, std::int64_t rows, std::int64_t channels, const float* mean,
               const float* factor, const float* bias, float* y) {
  HWY_DYNAMIC_DISPATCH(Normalise)(x, rows, channels, mean, factor, bias, y);
}
void add_normalised_products(const float* x, const float* dy, std::int64_t rows,
                             std::int64_t channels, const float* mean, const float* inverse,
                             double* of_gradient, double* of_product) {
  HWY_DYNAMIC_DISPATCH(AddNormalisedProducts)
  (x, dy, rows, channels, mean, inverse, of_gradient, of_product);
}
void normalise_backward(const NormaliseBackward& by, const float* x, const float* dy,
                        std::int64_t rows, std::int64_t channels, float* dx) {
  HWY_DYNAMIC_DISPATCH(BackThroughNormalise)(by, x, dy, rows, channels, dx);
}
void max_windows(const Windows& windows, const float* x, float* y) {
  HWY_DYNAMIC_DISPATCH(MaxWindows)(windows, x, y);
}
void max_windows_backward(const Windows& windows, const float* x, const float* y, const float* dy,
                          bool accumulate, float* dx) {
  HWY_DYNAMIC_DISPATCH(MaxWindowsBackward)(windows, x, y, dy, accumulate, dx);
}
void max_windows_positive(const Windows& windows, const float* x, float* y, std::uint8_t* winners) {
  HWY_DYNAMIC_DISPATCH(MaxWindowsPositive)(windows, x, y, winners);
}
void max_windows_backward(const Windows& windows, const std::uint8_t* winners, const float* dy,
                          float* dx) {
  HWY_DYNAMIC_DISPATCH(MaxWindowsToWinners)(windows, winners, dy, dx);
}
void average_windows(const Windows& windows, const float* x, float scale, float* y) {
  HWY_DYNAMIC_DISPATCH(AverageWindows)(windows, x, scale, y);
}
void average_windows_backward(const Windows& windows, const float* dy, float scale, float* dx) {
  HWY_DYNAMIC_DISPATCH(AverageWindowsBackward)(windows, dy, scale, dx);
}
void sgd(const SgdFactors& by, const float* gradient, std::int64_t size, float* velocity,
         float* weights) {
  HWY_DYNAMIC_DISPATCH(Sgd)(by, gradient, size, velocity, weights);
}

}  // namespace narrowmac::loops
#endif
