#pragma once

#include <hwy/highway.h>

#include <vector>

namespace narrowmac {

/// Runs `body(target name)` once for every vector instruction set that this build and processor
/// have.
template <typename Body>
void for_each_vector_target(const Body& body) {
  for (const auto target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace narrowmac
