// The zero-skipping kernels for every vector target, and their run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/numerics/kernel_sparse.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "models/numerics/kernel_sparse-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

SparseKernel<float> SelectSparseFloat32(std::int64_t n, LaneRounding rounding, bool clamp) {
  return clamp ? SelectSparse<true, float>(n, rounding) : SelectSparse<false, float>(n, rounding);
}
SparseKernel<double> SelectSparseFloat64(std::int64_t n, LaneRounding rounding, bool clamp) {
  return clamp ? SelectSparse<true, double>(n, rounding) : SelectSparse<false, double>(n, rounding);
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectSparseFloat32);
HWY_EXPORT(SelectSparseFloat64);

template <>
SparseKernel<float> select_sparse_kernel<float>(std::int64_t n, LaneRounding rounding, bool clamp) {
  return HWY_DYNAMIC_DISPATCH(SelectSparseFloat32)(n, rounding, clamp);
}
template <>
SparseKernel<double> select_sparse_kernel<double>(std::int64_t n, LaneRounding rounding,
                                                  bool clamp) {
  return HWY_DYNAMIC_DISPATCH(SelectSparseFloat64)(n, rounding, clamp);
}

}  // namespace narrowmac
#endif
