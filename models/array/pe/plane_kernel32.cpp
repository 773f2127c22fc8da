// The float planes for every vector target, and their run-time dispatch.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/array/pe/plane_kernel32.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "models/array/pe/plane_kernel-inl.h"

HWY_BEFORE_NAMESPACE();
namespace narrowmac::HWY_NAMESPACE {

PlaneKernel<float> SelectPlaneKernel32(const LaneStep<float>& step) {
  return SelectPlaneKernel<float>(step);
}

}  // namespace narrowmac::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace narrowmac {

HWY_EXPORT(SelectPlaneKernel32);

template <>
PlaneKernel<float> select_plane_kernel<float>(const LaneStep<float>& step) {
  return HWY_DYNAMIC_DISPATCH(SelectPlaneKernel32)(step);
}

}  // namespace narrowmac
#endif
