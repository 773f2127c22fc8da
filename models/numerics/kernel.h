#pragma once

#include <cstdint>
#include <limits>

namespace narrowmac {

inline constexpr int kMaxTileRows = 12;

/// How a kernel's lane rounds acc + P to the accumulator. Every lane computes x = fma(a, b, acc)
/// first; with L the lane's significand bits and p the accumulator's, S = 2^(L-p).
enum class LaneRounding : std::uint8_t {
  None,           ///< x itself: fp32 in float32 lanes, fixed point that never drops a bit
  Significand,    ///< t = (S - 1) x, S x - t: nearest even to p bits; exact sums or addends of at
                  ///< most p bits only
  Repaired,       ///< the same with the error of x fed into t: products wider than the accumulator
  Gradual,        ///< (x + m) - m with m from x's exponent, not below emin: gradual underflow
  Quantum,        ///< (x + m) - m with a constant m: fixed point that drops bits
  Flush,          ///< Significand, then magnitudes below 2^emin become zero of the same sign
  RepairedFlush,  ///< Repaired, then the same
  Directed,       ///< x rounded toward zero (or down), then an integer added to its bits: every
                  ///< rounding but nearest even. Kernels of its own: kernel_directed.h
};
const char* to_string(LaneRounding rounding);

/// What a Directed rounding adds to the bits of x below the result's last one.
enum class LaneIncrement : std::uint8_t {
  None,      ///< toward zero
  Half,      ///< nearest, ties away from zero
  Negative,  ///< down: everything that is dropped, where x is negative
  Random,    ///< stochastic: the random bits, at the top of what is dropped
  Aligned,   ///< nothing, but both addends are truncated before they are added: truncate-aligned
};

/// Constants of one accumulator level in a lane of type T (float or double).
template <typename T>
struct LaneStep {
  LaneRounding rounding = LaneRounding::None;
  bool clamp = false;            ///< saturate to low .. high after rounding
  bool to_infinity = false;      ///< what rounds beyond low .. high becomes infinite
  T start = 0;                   ///< what an empty sum holds: `magic` turns fma itself into Quantum
  std::int32_t guard_steps = 0;  ///< if all sums of a tile lie in guard_low .. guard_high, none can
                                 ///< leave the range in so many steps; 0: unknown
  T guard_low = 0, guard_high = 0;
  T scale = 1;            ///< S = 2^(L-p)
  T scale_less_one = 0;   ///< S - 1
  T smallest_normal = 0;  ///< 2^emin
  T gradual_factor = 0;   ///< 1.5 * 2^(L-p)
  T magic = 0;            ///< Quantum: 1.5 * 2^(L-1) * quantum
  T low = std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::max();
  bool positive_zero = false;  ///< fixed point: zero has no sign
  // Directed only.
  LaneIncrement increment = LaneIncrement::None;
  int dropped = 0;      ///< bits of a lane below the result's last one
  int random_bits = 0;  ///< Random
  T offset = 0;         ///< added to magnitudes below offset_below: puts their last bit there, too
  T offset_below = 0;
  T align_scale = 0;  ///< Aligned: 2^E times it has a unit in the last place of 2^(E - Y - g)
  T flush_below = 0;  ///< smaller results become zero
  T above_high = std::numeric_limits<T>::infinity();  ///< what results beyond low .. high become
  T below_low = -std::numeric_limits<T>::infinity();
};

/// Where the rows and columns of a tile stand in the random function.
struct TileRandom {
  std::uint32_t column_keys[kMaxTileRows] = {};
  std::uint32_t step_keys[kMaxTileRows] = {};
  std::int64_t first_column = 0;
};

/// A run of products whose A elements lie `a_step` apart from `row pointer + a_offset`.
struct Segment {
  std::int64_t a_offset = 0;
  std::int64_t k = 0;       ///< of its first product: row of B
  std::int32_t length = 0;  ///< products
  bool ends_chunk =
      false;  ///< afterwards the sums are added to the second accumulator and start anew
};

/// Counters of the instrumented kernel, in the words of GemmStatistics.
struct LaneCounts {
  std::int64_t steps = 0, full_swamped = 0, partial_swamped = 0, overflowed = 0, underflowed = 0;
  std::int64_t nonzero_products = 0;
};

/// One register tile of outputs, for a piece of the accumulation. Sums and totals stay in memory
/// between pieces.
template <typename T>
struct TileWork {
  const T* a_rows[kMaxTileRows] =
      {};                   ///< one per row of the tile; rows beyond M repeat a valid one
  std::int64_t a_step = 1;  ///< elements of A from k to k + 1 within a segment
  const T* b = nullptr;     ///< first column of the tile
  std::int64_t b_step = 0;  ///< elements of B from k to k + 1
  const Segment* segments = nullptr;
  std::int64_t segment_count = 0;
  T* sums = nullptr;                   ///< tile rows x tile columns: the first level
  T* totals = nullptr;                 ///< the same for the second accumulator; null: sequential
  const TileRandom* random = nullptr;  ///< stochastic rounding only
};

template <typename T>
using TileFunction = void (*)(const LaneStep<T>& first, const LaneStep<T>& second,
                              const TileWork<T>& work);

/// A register-tile kernel for this processor: TileWork of `rows` x `columns` outputs.
template <typename T>
struct TileKernel {
  TileFunction<T> run = nullptr;
  int rows = 0;
  int columns = 0;
};

/// What a step does with results beyond the range.
enum class LaneBound : std::uint8_t { None, Clamp, Infinity };

/// The kernel of a rounding, which takes the bounds from its LaneStep; a narrow tile where N fits
/// one vector, else a wide one.
template <typename T>
TileKernel<T> select_tile(std::int64_t n, LaneRounding rounding);

/// Adds the sums of a tile to its totals, rounded by `step`, and empties them: the second level
/// where it does not share the first one's direction of rounding. `work.random` is the second
/// level's, `chunk` its step.
template <typename T>
using AddFunction = void (*)(const LaneStep<T>& first, const LaneStep<T>& second,
                             const TileWork<T>& work, int rows, int columns, std::int64_t chunk);
template <typename T>
AddFunction<T> select_add();

/// What the instrumented kernel must know of a level beyond its step.
template <typename T>
struct CountingLimits {
  T low = std::numeric_limits<T>::lowest();  ///< a rounded sum beyond low .. high is overflow
  T high = std::numeric_limits<T>::max();
  T smallest_normal =
      0;  ///< below it and inexact is underflow; fixed point: the smallest positive lane value
};

template <typename T>
struct CountingWork {
  TileWork<T> tile;
  int rows = 0;  ///< of the tile that are outputs; the others are not counted
  int columns = 0;
  CountingLimits<T> first, second;
};
template <typename T>
using CountingFunction = void (*)(const LaneStep<T>& first, const LaneStep<T>& second,
                                  const CountingWork<T>& work, LaneCounts& counts);
template <typename T>
struct CountingKernel {
  CountingFunction<T> run = nullptr;
  int rows = 0;
  int columns = 0;
};
/// The same bits as select_tile's kernel, every step counted. Products must be exact in the lane.
template <typename T>
CountingKernel<T> select_counting_tile(LaneRounding rounding);

/// True if the chosen vector instructions fuse multiply and add: one rounding.
bool lanes_fuse_multiply_add();
/// Name of the chosen vector instructions, for explanations.
const char* lane_target_name();

}  // namespace narrowmac
