// Stochastic rounding in register tiles: the random function of random.h, evaluated for a vector of
// columns at a time. Compiled once per vector target.
#if defined(NARROWMAC_KERNEL_STOCHASTIC_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NARROWMAC_KERNEL_STOCHASTIC_INL_H
#undef NARROWMAC_KERNEL_STOCHASTIC_INL_H
#else
#define NARROWMAC_KERNEL_STOCHASTIC_INL_H
#endif

#include "models/numerics/kernel_directed-inl.h"
#include "models/numerics/random.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

/// Lanes of the widest vectors of any target.
template <typename T>
inline constexpr std::int64_t kMostLanes = 64 / static_cast<std::int64_t>(sizeof(T));

/// x * factor modulo 2^32 in 32-bit lanes, or in the low halves of 64-bit lanes (high halves zero).
template <class DU, class W>
HWY_INLINE W Times(DU du, W x, std::uint32_t factor) {
  if constexpr (sizeof(hn::TFromD<DU>) == 4) {
    return hn::Mul(x, hn::Set(du, factor));
  } else {
#if HWY_TARGET == HWY_SCALAR
    return hn::Set(du, (hn::GetLane(x) * factor) & 0xffffffffU);
#else
    const hn::Repartition<std::uint32_t, DU> d32;
    const auto product = hn::MulEven(hn::BitCast(d32, x), hn::BitCast(d32, hn::Set(du, factor)));
    return hn::And(product, hn::Set(du, 0xffffffffU));
#endif
  }
}

/// random_mix().
template <class DU, class W>
HWY_INLINE W Mixed(DU du, W x) {
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = Times(du, x, 0x7feb352dU);
  x = hn::Xor(x, hn::ShiftRight<15>(x));
  x = Times(du, x, 0x846ca68bU);
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

/// combine_random(), at the top of the lane.
template <class DU, class W>
HWY_INLINE W Combined(DU du, W column_word, W step_word) {
  W x = hn::Xor(column_word, step_word);
  x = Times(du, x, 0xed5ad4bbU);
  x = hn::Xor(x, hn::ShiftRight<15>(x));
  x = Times(du, x, 0xac4c1b51U);
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  if constexpr (sizeof(hn::TFromD<DU>) == 8) x = hn::ShiftLeft<32>(x);
  return x;
}

/// The column words of `lanes` columns from `first` on.
template <class DU>
HWY_INLINE hn::Vec<DU> ColumnWords(DU du, std::int64_t first, std::uint32_t key) {
  using Word = hn::TFromD<DU>;
  // Columns count modulo 2^32.
  const auto low = hn::Set(du, static_cast<Word>(0xffffffffU));
  const auto columns = hn::And(hn::Iota(du, static_cast<Word>(first)), low);
  return Mixed(du, hn::Xor(columns, hn::Set(du, static_cast<Word>(key))));
}

/// Where a word's random bits must go: down from the top of the lane to the top of what is dropped.
template <class D>
struct RandomPlace {
  using DU = hn::RebindToUnsigned<D>;
  hn::Vec<DU> right, left;

  HWY_INLINE explicit RandomPlace(const LaneStep<hn::TFromD<D>>& step)
      : right(Count(Bits() - step.dropped)), left(Count(step.dropped)) {}
  static int Bits() { return static_cast<int>(8 * sizeof(hn::TFromD<D>)); }
  static hn::Vec<DU> Count(int bits) { return hn::Set(DU(), static_cast<hn::TFromD<DU>>(bits)); }
  /// The word rotated, so that its first field's bits are in place.
  template <class W>
  HWY_INLINE W Placed(W word) const {
#if HWY_TARGET == HWY_AVX3
    // Highway rotates by constants only.
    if constexpr (sizeof(hn::TFromD<D>) == 4) {
      return W{_mm512_rorv_epi32(word.raw, right.raw)};
    } else {
      return W{_mm512_rorv_epi64(word.raw, right.raw)};
    }
#else
    return hn::Or(hn::Shr(word, right), hn::Shl(word, left));
#endif
  }
};

/// Byte shuffles that rotate every lane left by whole fields of a word: draw after draw comes into
/// place.
template <int kDraws, typename T>
struct FieldRotations {
  alignas(16) std::uint8_t bytes[4][16];

  constexpr FieldRotations() : bytes{} {
    constexpr unsigned kLane = sizeof(T);
    for (unsigned draw = 0; draw < 4; ++draw) {
      for (unsigned i = 0; i < 16; ++i) {
        const unsigned moved = draw * (4 / kDraws) % kLane;
        const unsigned from = (i % kLane + kLane - moved) % kLane;
        bytes[draw][i] = static_cast<std::uint8_t>(i / kLane * kLane + from);
      }
    }
  }
};

template <int kDraws, class D, class W>
HWY_INLINE W FieldInPlace(D /*d*/, W placed, std::int64_t field) {
  using T = hn::TFromD<D>;
  if constexpr (kDraws == 1) return placed;
#if HWY_TARGET == HWY_SCALAR
  const int bits = static_cast<int>(field) * (32 / kDraws);
  if (bits == 0) return placed;
  return hn::Or(hn::ShiftLeftSame(placed, bits),
                hn::ShiftRightSame(placed, static_cast<int>(8 * sizeof(T)) - bits));
#else
  static constexpr FieldRotations<kDraws, T> kRotations{};
  const hn::Repartition<std::uint8_t, D> d8;
  const auto rotation = hn::LoadDup128(d8, kRotations.bytes[field]);
  return hn::BitCast(hn::RebindToUnsigned<D>(),
                     hn::TableLookupBytes(hn::BitCast(d8, placed), rotation));
#endif
}

/// Steps of one row that share step words: what a tile keeps of them at a time.
inline constexpr std::int64_t kStepWords = 64;

template <int kRows, typename T>
struct StepWords {
  HWY_ALIGN std::uint32_t words[kRows][kStepWords + kMostLanes<std::uint32_t>];

  /// The words `first` .. `first + count - 1` of every row.
  HWY_INLINE void Fill(const TileRandom& random, std::int64_t first, std::int64_t count) {
    const Lanes<std::uint32_t> d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (int r = 0; r < kRows; ++r) {
      const auto key = hn::Set(d, random.step_keys[r]);
      for (std::int64_t i = 0; i < count; i += lanes) {
        const auto counters = hn::Iota(d, static_cast<std::uint32_t>(first + i));
        hn::StoreU(Mixed(d, hn::Xor(counters, key)), d, words[r] + i);
      }
    }
  }
};

/// What stays the same over a tile.
template <int kDraws, int kRows, int kVectors, class D>
struct StochasticTile {
  using T = hn::TFromD<D>;
  using DU = hn::RebindToUnsigned<D>;
  using V = hn::Vec<D>;

  const TileWork<T>& work;
  const DirectedVectors<D>& k;
  const RandomPlace<D>& place;
  HWY_ALIGN hn::TFromD<DU> column_words[kRows * kVectors * kMostLanes<T>];
  StepWords<kRows, T> steps;

  HWY_INLINE StochasticTile(D d, const TileWork<T>& tile, const DirectedVectors<D>& vectors,
                            const RandomPlace<D>& random_place)
      : work(tile), k(vectors), place(random_place) {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        hn::StoreU(
            ColumnWords(DU(), tile.random->first_column + v * lanes, tile.random->column_keys[r]),
            DU(), column_words + (r * kVectors + v) * lanes);
      }
    }
  }

  /// Steps of one word: fields first .. first + count - 1. Unrolled where both are constants.
  template <bool kCareful>
  HWY_INLINE void Group(D d, std::int64_t a_index, const T* HWY_RESTRICT b, std::int64_t word,
                        std::int64_t first, std::int64_t count,
                        TileSums<kRows, kVectors, V>& acc) const {
    const DU du;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const auto step_word = hn::Set(du, hn::TFromD<DU>{steps.words[r][word]});
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) {
        const auto column_word = hn::LoadU(du, column_words + (r * kVectors + v) * lanes);
        const auto placed = place.Placed(Combined(du, column_word, step_word));
        HWY_UNROLL(4)
        for (std::int64_t i = 0; i < count; ++i) {
          const auto random = hn::And(FieldInPlace<kDraws>(d, placed, first + i), k.added);
          const V a_lane = hn::Set(d, work.a_rows[r][a_index + i * work.a_step]);
          const V b_lane = hn::LoadU(d, b + i * work.b_step + v * lanes);
          const V x = hn::MulAdd(a_lane, b_lane, acc.v[r][v]);
          acc.v[r][v] = DirectedFrom<LaneIncrement::Random, kCareful>(d, x, random, k);
        }
      }
    }
  }

  /// `count` products from product `first` on, at most kStepWords words of them.
  template <bool kCareful>
  HWY_INLINE void Run(D d, std::int64_t a_index, std::int64_t first, std::int64_t count,
                      TileSums<kRows, kVectors, V>& acc) {
    const std::int64_t first_word = first / kDraws;
    steps.Fill(*work.random, first_word, (first + count - 1) / kDraws - first_word + 1);
    const T* b = work.b + first * work.b_step;
    std::int64_t step = first;
    while (step < first + count) {
      const std::int64_t word = step / kDraws - first_word;
      const std::int64_t field = step % kDraws;
      const std::int64_t fields = HWY_MIN(kDraws - field, first + count - step);
      if (!kCareful && fields == kDraws) {
        Group<false>(d, a_index, b, word, 0, kDraws, acc);
      } else {
        // Careful is always right, and one body less to compile.
        Group<true>(d, a_index, b, word, field, fields, acc);
      }
      step += fields;
      a_index += fields * work.a_step;
      b += fields * work.b_step;
    }
  }
};

template <int kDraws, int kRows, int kVectors, typename T>
HWY_NOINLINE void RunStochastic(const LaneStep<T>& first, const LaneStep<T>& /*second*/,
                                const TileWork<T>& work) {
  const Lanes<T> d;
  using D = Lanes<T>;
  const DirectedVectors<D> k(d, first);
  const RandomPlace<D> place(first);
  StochasticTile<kDraws, kRows, kVectors, D> tile(d, work, k, place);
  TileSums<kRows, kVectors, hn::Vec<D>> acc;
  LoadSums(d, work.sums, acc);
  const std::int64_t longest = (kStepWords - 1) * kDraws;
  const std::int64_t block =
      first.guard_steps > 0 ? HWY_MIN(longest, std::int64_t{first.guard_steps}) : longest;
  for (std::int64_t s = 0; s < work.segment_count; ++s) {
    const Segment& segment = work.segments[s];
    for (std::int64_t i = 0; i < segment.length; i += block) {
      const std::int64_t count = HWY_MIN(block, segment.length - i);
      const std::int64_t a_index = segment.a_offset + i * work.a_step;
      if (first.guard_steps > 0 && InGuard(d, acc, first)) {
        tile.template Run<false>(d, a_index, segment.k + i, count, acc);
      } else {
        tile.template Run<true>(d, a_index, segment.k + i, count, acc);
      }
    }
  }
  StoreSums(d, acc, work.sums);
}

template <int kDraws, typename T>
TileKernel<T> StochasticTileOf(std::int64_t n) {
  const int lanes = static_cast<int>(hn::Lanes(Lanes<T>()));
  constexpr int kNarrow = kFastTarget ? 8 : 2;
  constexpr int kWide = kFastTarget ? 4 : 2;
  if (n <= lanes) return {&RunStochastic<kDraws, kNarrow, 1, T>, kNarrow, lanes};
  return {&RunStochastic<kDraws, kWide, 2, T>, kWide, 2 * lanes};
}

template <typename T>
TileKernel<T> SelectDirected(std::int64_t n, LaneIncrement increment, int random_bits) {
  switch (increment) {
    case LaneIncrement::Half:
      return DirectedTile<LaneIncrement::Half, T>(n);
    case LaneIncrement::Negative:
      return DirectedTile<LaneIncrement::Negative, T>(n);
    case LaneIncrement::Random:
      switch (draws_per_word(random_bits)) {
        case 4:
          return StochasticTileOf<4, T>(n);
        case 2:
          return StochasticTileOf<2, T>(n);
        default:
          return StochasticTileOf<1, T>(n);
      }
    case LaneIncrement::Aligned:
      return DirectedTile<LaneIncrement::Aligned, T>(n);
    default:
      return DirectedTile<LaneIncrement::None, T>(n);
  }
}

/// totals <- R(totals + sums) for one rounding.
template <LaneIncrement kIncrement, typename T>
void AddDirected(const LaneStep<T>& first, const LaneStep<T>& second, const TileWork<T>& work,
                 int rows, int columns, std::int64_t chunk) {
  const Lanes<T> d;
  using D = Lanes<T>;
  const hn::RebindToUnsigned<D> du;
  using Word = hn::TFromD<decltype(du)>;
  const DirectedVectors<D> k(d, second);
  const auto start = hn::Set(d, first.start);
  const auto one = hn::Set(d, T{1});
  const int draws = draws_per_word(second.random_bits);
  const auto field = hn::Set(du, static_cast<Word>(chunk % draws * (32 / draws)));
  const auto right = hn::Set(du, static_cast<Word>(RandomPlace<D>::Bits() - second.dropped));
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; c += static_cast<int>(hn::Lanes(d))) {
      const std::int64_t i = std::int64_t{r} * columns + c;
      auto random = hn::Zero(du);
      if constexpr (kIncrement == LaneIncrement::Random) {
        const TileRandom& at = *work.random;
        const RandomRowKey key{at.column_keys[r], at.step_keys[r]};
        const auto step_word = hn::Set(du, Word{random_step_word(key, chunk / draws)});
        const auto word =
            Combined(du, ColumnWords(du, at.first_column + c, at.column_keys[r]), step_word);
        random = hn::And(hn::Shr(hn::Shl(word, field), right), k.added);
      }
      auto sum = hn::LoadU(d, work.sums + i);
      // Not for zero: rounding down makes 0 - 0 negative.
      if (first.start != 0) sum = hn::Sub(sum, start);
      if (first.positive_zero) sum = hn::IfThenElseZero(hn::Ne(sum, hn::Zero(d)), sum);
      const auto x = DirectedSum<kIncrement, true>(d, sum, one, hn::LoadU(d, work.totals + i), k);
      hn::StoreU(DirectedFrom<kIncrement, true>(d, x, random, k), d, work.totals + i);
      hn::StoreU(start, d, work.sums + i);
    }
  }
}

template <typename T>
void AddDirectedSums(const LaneStep<T>& first, const LaneStep<T>& second, const TileWork<T>& work,
                     int rows, int columns, std::int64_t chunk) {
  switch (second.increment) {
    case LaneIncrement::Half:
      return AddDirected<LaneIncrement::Half>(first, second, work, rows, columns, chunk);
    case LaneIncrement::Negative:
      return AddDirected<LaneIncrement::Negative>(first, second, work, rows, columns, chunk);
    case LaneIncrement::Random:
      return AddDirected<LaneIncrement::Random>(first, second, work, rows, columns, chunk);
    case LaneIncrement::Aligned:
      return AddDirected<LaneIncrement::Aligned>(first, second, work, rows, columns, chunk);
    default:
      return AddDirected<LaneIncrement::None>(first, second, work, rows, columns, chunk);
  }
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
