#include "adversary/cpu_lanes.h"
#include "simd/baseline.h"
// After the lanes of its instruction set:
#include "adversary/cpu_lanes.inc"

namespace otoscope::cpu {
template <>
AdversaryLanes<float> adversary_lanes_baseline() {
    return kAdversaryLanes<float>;
}
template <>
AdversaryLanes<double> adversary_lanes_baseline() {
    return kAdversaryLanes<double>;
}
}  // namespace otoscope::cpu
