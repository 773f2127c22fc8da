// Gathering the chosen lanes of vectors, compiled once per vector target.
#if defined(NARROWMAC_KERNEL_COMPACT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef NARROWMAC_KERNEL_COMPACT_INL_H
#undef NARROWMAC_KERNEL_COMPACT_INL_H
#else
#define NARROWMAC_KERNEL_COMPACT_INL_H
#endif

#include <hwy/highway.h>

#include "models/numerics/compaction_table.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Moves the chosen lanes of two vectors, floats and their int32 companions, to the front and
/// stores both whole; returns how many were chosen. The library's own Compress copies its table to
/// the stack at every call if compiled by GCC for AVX2.
template <class D, class M>
HWY_INLINE std::int32_t StoreChosen(D d, hn::Vec<D> values, hn::Vec<hn::RebindToSigned<D>> numbers,
                                    M chosen, float* to_values, std::int32_t* to_numbers) {
  const hn::RebindToSigned<D> di;
#if HWY_TARGET == HWY_SCALAR
  hn::StoreU(values, d, to_values);
  hn::StoreU(numbers, di, to_numbers);
#elif HWY_TARGET <= HWY_AVX3
  hn::StoreU(hn::Compress(values, chosen), d, to_values);
  hn::StoreU(hn::Compress(numbers, hn::RebindMask(di, chosen)), di, to_numbers);
#else
  std::uint8_t bits[8];
  hn::StoreMaskBits(d, chosen, bits);
  const hn::Rebind<std::uint8_t, D> d8;
  const auto lanes = hn::PromoteTo(di, hn::LoadU(d8, kCompaction.lanes[bits[0]]));
  hn::StoreU(hn::TableLookupLanes(values, hn::IndicesFromVec(d, lanes)), d, to_values);
  hn::StoreU(hn::TableLookupLanes(numbers, hn::IndicesFromVec(di, lanes)), di, to_numbers);
#endif
  return static_cast<std::int32_t>(hn::CountTrue(d, chosen));
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
