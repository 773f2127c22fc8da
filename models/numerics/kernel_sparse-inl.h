// The kernels that skip zero products, compiled once per vector target: see kernel_tile-inl.h for
// the guard.
#if defined(NARROWMAC_KERNEL_SPARSE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NARROWMAC_KERNEL_SPARSE_INL_H
#undef NARROWMAC_KERNEL_SPARSE_INL_H
#else
#define NARROWMAC_KERNEL_SPARSE_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>

#include "models/numerics/kernel_tile-inl.h"
#include "models/numerics/sparse_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Groups of kRows x (kVectors * lanes) outputs in registers. Each row has an element of A and a
/// row of B of its own in every step.
template <LaneRounding kRounding, bool kClamp, int kRows, int kVectors, typename T>
HWY_NOINLINE void RunGroups(const LaneStep<T>& first, const GroupWork<T>& work) {
  const Lanes<T> d;
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  const StepVectors<D> k(d, first);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const T* HWY_RESTRICT b = work.b;
  T* HWY_RESTRICT sums = work.sums;
  for (std::int64_t g = 0; g < work.group_count; ++g) {
    const RowGroup<T>& group = work.groups[g];
    V acc[kRows][kVectors];
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) {
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::LoadU(d, sums + group.at[r] + v * lanes);
    }
    const ListBlock<T>* HWY_RESTRICT list = group.list;
    for (std::int32_t left = group.steps; left > 0; left -= kListBlock, list += kRows) {
      const int steps = std::min(left, kListBlock);
      for (int j = 0; j < steps; ++j) {
        HWY_UNROLL(12)
        for (int r = 0; r < kRows; ++r) {
          const V a_lane = hn::Set(d, list[r].values[j]);
          const T* HWY_RESTRICT b_row = b + list[r].offsets[j];
          HWY_UNROLL(2)
          for (int v = 0; v < kVectors; ++v) {
            const V b_lane = hn::LoadU(d, b_row + v * lanes);
            acc[r][v] = Step < kRounding,
            kClamp ? LaneBound::Clamp : LaneBound::None > (d, a_lane, b_lane, acc[r][v], k);
          }
        }
      }
    }
    HWY_UNROLL(12)
    for (int r = 0; r < kRows; ++r) {
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) hn::StoreU(acc[r][v], d, sums + group.at[r] + v * lanes);
    }
  }
}

/// `count` is a multiple of the lanes.
template <typename T>
HWY_NOINLINE void FlushSums(const LaneStep<T>& second, T* sums, T* totals, std::int64_t count) {
  const Lanes<T> d;
  for (std::int64_t i = 0; i < count; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    hn::StoreU(AddChunk(d, hn::LoadU(d, sums + i), hn::LoadU(d, totals + i), second), d,
               totals + i);
    hn::StoreU(hn::Zero(d), d, sums + i);
  }
}

template <class D>
HWY_INLINE hn::Vec<D> LoadUpTo(D d, const hn::TFromD<D>* from, std::int64_t count) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  if (count >= lanes) return hn::LoadU(d, from);
  return hn::MaskedLoad(hn::FirstN(d, static_cast<std::size_t>(count)), d, from);
}

template <typename T>
HWY_NOINLINE void CountNonzeros(const T* base, const std::int32_t* offsets, std::int64_t count,
                                std::int64_t length, std::int32_t* counts) {
  const Lanes<T> d;
  if (length == static_cast<std::int64_t>(hn::Lanes(d))) {
    for (std::int64_t r = 0; r < count; ++r) {
      const auto nonzero = hn::Ne(hn::LoadU(d, base + offsets[r]), hn::Zero(d));
      counts[r] = static_cast<std::int32_t>(hn::CountTrue(d, nonzero));
    }
    return;
  }
  for (std::int64_t r = 0; r < count; ++r) {
    const T* row = base + offsets[r];
    std::size_t nonzeros = 0;
    for (std::int64_t i = 0; i < length; i += static_cast<std::int64_t>(hn::Lanes(d))) {
      nonzeros += hn::CountTrue(d, hn::Ne(LoadUpTo(d, row + i, length - i), hn::Zero(d)));
    }
    counts[r] = static_cast<std::int32_t>(nonzeros);
  }
}

#if HWY_TARGET == HWY_AVX2
/// The lanes of a mask moved to the front. Highway's own table for AVX2 is local to a function,
/// where a compiler copies it to the stack at every call.
template <class D, class V, hwy::EnableIf<sizeof(hn::TFromD<D>) == 4>* = nullptr>
HWY_INLINE V MovedToFront(D d, V value, hn::Mask<D> mask) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<std::uint8_t, D> bytes;
  std::uint8_t bits[8];
  hn::StoreMaskBits(d, mask, bits);
  const auto indices = hn::PromoteTo(du, hn::LoadU(bytes, kCompressIndices.bytes[bits[0]]));
  return hn::TableLookupLanes(value, hn::IndicesFromVec(d, indices));
}
template <class D, class V, hwy::EnableIf<sizeof(hn::TFromD<D>) == 8>* = nullptr>
HWY_INLINE V MovedToFront(D /*d*/, V value, hn::Mask<D> mask) {
  return hn::Compress(value, mask);
}
#else
template <class D, class V>
HWY_INLINE V MovedToFront(D /*d*/, V value, hn::Mask<D> mask) {
  return hn::Compress(value, mask);
}
#endif

/// Compresses one row and pads it to `steps`. Writes up to a vector beyond that.
template <typename T>
HWY_INLINE void FillRow(const ListWork<T>& work, const T* row, T* values,
                        typename ListBlock<T>::Offset* offsets) {
  using Offset = typename ListBlock<T>::Offset;
  const Lanes<T> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto advance = hn::Set(du, static_cast<Offset>(work.offset_step * hn::Lanes(d)));
  auto offset = hn::Mul(hn::Iota(du, Offset{0}), hn::Set(du, work.offset_step));
  const auto padding = hn::Set(d, work.padding.value);
  const auto padding_offset = hn::Set(du, work.padding.offset);
  const std::int64_t length = row == nullptr ? 0 : work.length;
  if (length <= lanes) {
    // One vector, without a branch that depends on the data.
    const auto value = row == nullptr ? hn::Zero(d) : LoadUpTo(d, row, length);
    const auto nonzero = hn::Ne(value, hn::Zero(d));
    const auto front = hn::FirstN(d, hn::CountTrue(d, nonzero));
    const auto moved = MovedToFront(du, offset, hn::RebindMask(du, nonzero));
    hn::StoreU(hn::IfThenElse(front, MovedToFront(d, value, nonzero), padding), d, values);
    hn::StoreU(hn::IfThenElse(hn::RebindMask(du, front), moved, padding_offset), du, offsets);
    if (work.steps <= lanes) return;
  }
  std::int64_t filled = 0;
  for (std::int64_t i = 0; i < length; i += lanes) {
    const auto value = LoadUpTo(d, row + i, length - i);
    const auto nonzero = hn::Ne(value, hn::Zero(d));
    hn::StoreU(MovedToFront(d, value, nonzero), d, values + filled);
    filled += static_cast<std::int64_t>(hn::CountTrue(d, nonzero));
  }
  for (; filled < work.steps; filled += lanes) hn::StoreU(padding, d, values + filled);
  filled = 0;
  for (std::int64_t i = 0; i < length; i += lanes) {
    const auto nonzero = hn::Ne(LoadUpTo(d, row + i, length - i), hn::Zero(d));
    hn::StoreU(MovedToFront(du, offset, hn::RebindMask(du, nonzero)), du, offsets + filled);
    filled += static_cast<std::int64_t>(hn::CountTrue(d, nonzero));
    offset = hn::Add(offset, advance);
  }
  for (; filled < work.steps; filled += lanes) hn::StoreU(padding_offset, du, offsets + filled);
}

/// Lists of one block are compressed in place: what a row's stores touch beyond it is written
/// later.
template <int kRows, typename T>
HWY_INLINE void FillShortList(const ListWork<T>& work, ListBlock<T>* list) {
  for (int r = 0; r < kRows; ++r) FillRow(work, work.rows[r], list[r].values, list[r].offsets);
}

template <typename T>
HWY_INLINE void CopyBlock(const T* from, T* to) {
  const hn::CappedTag<T, kListBlock> d;
  for (std::size_t i = 0; i < kListBlock; i += hn::Lanes(d)) {
    hn::StoreU(hn::LoadU(d, from + i), d, to + i);
  }
}

/// Longer ones first as a whole, all rows before any is cut into blocks: loads that follow
/// overlapping stores too closely would wait for them.
template <int kRows, typename T>
HWY_INLINE void FillLongList(const ListWork<T>& work, ListBlock<T>* list) {
  using Offset = typename ListBlock<T>::Offset;
  constexpr std::int64_t kStride = kMaxListLength + kListSlack;
  HWY_ALIGN T values[kRows * kStride];
  HWY_ALIGN Offset offsets[kRows * kStride];
  const std::int64_t stride = list_blocks(work.steps) * kListBlock + kListSlack;
  for (int r = 0; r < kRows; ++r) {
    FillRow(work, work.rows[r], values + r * stride, offsets + r * stride);
  }
  for (std::int64_t i = 0; i < work.steps; i += kListBlock, list += kRows) {
    for (int r = 0; r < kRows; ++r) {
      CopyBlock(values + r * stride + i, list[r].values);
      CopyBlock(offsets + r * stride + i, list[r].offsets);
    }
  }
}

template <int kRows, typename T>
HWY_NOINLINE void FillList(const ListWork<T>& work, ListBlock<T>* list) {
  if (work.steps <= kListBlock) {
    FillShortList<kRows>(work, list);
  } else {
    FillLongList<kRows>(work, list);
  }
}

template <LaneRounding kRounding, bool kClamp, int kRows, int kVectors, typename T>
SparseKernel<T> SparseKernelOf() {
  return {kRows,
          kVectors * static_cast<int>(hn::Lanes(Lanes<T>())),
          &RunGroups<kRounding, kClamp, kRows, kVectors, T>,
          &FlushSums<T>,
          &CountNonzeros<T>,
          &FillList<kRows, T>};
}

// Twelve sums hide the latency of three dependent instructions and fit in 16 registers.
template <LaneRounding kRounding, bool kClamp, typename T>
SparseKernel<T> SparseKernelFor(std::int64_t n) {
  if (n <= static_cast<std::int64_t>(hn::Lanes(Lanes<T>()))) {
    return SparseKernelOf<kRounding, kClamp, 12, 1, T>();
  }
  return SparseKernelOf<kRounding, kClamp, 6, 2, T>();
}

template <bool kClamp, typename T>
SparseKernel<T> SelectSparse(std::int64_t n, LaneRounding rounding) {
  switch (rounding) {
    case LaneRounding::Significand:
      return SparseKernelFor<LaneRounding::Significand, kClamp, T>(n);
    case LaneRounding::Repaired:
      return SparseKernelFor<LaneRounding::Repaired, kClamp, T>(n);
    case LaneRounding::Gradual:
      return SparseKernelFor<LaneRounding::Gradual, kClamp, T>(n);
    case LaneRounding::Quantum:
      return SparseKernelFor<LaneRounding::Quantum, kClamp, T>(n);
    case LaneRounding::Flush:
      return SparseKernelFor<LaneRounding::Flush, kClamp, T>(n);
    case LaneRounding::RepairedFlush:
      return SparseKernelFor<LaneRounding::RepairedFlush, kClamp, T>(n);
    default:
      return SparseKernelFor<LaneRounding::None, kClamp, T>(n);
  }
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
