// The double planes for every vector target, and their run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/array/pe/plane_kernel64.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "models/array/pe/plane_kernel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

PlaneKernel<double> SelectPlaneKernel64(const LaneStep<double>& step) {
  return SelectPlaneKernel<double>(step);
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectPlaneKernel64);

template <>
PlaneKernel<double> select_plane_kernel<double>(const LaneStep<double>& step) {
  return HWY_DYNAMIC_DISPATCH(SelectPlaneKernel64)(step);
}

}  // namespace narrowmac
#endif
