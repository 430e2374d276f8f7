#include "adversary/cpu_lanes.h"
#include "simd/avx2.h"
// After the lanes of its instruction set:
#include "adversary/cpu_lanes.inc"

namespace otoscope::cpu {
template <>
AdversaryLanes<float> adversary_lanes_avx2() {
    return kAdversaryLanes<float>;
}
template <>
AdversaryLanes<double> adversary_lanes_avx2() {
    return kAdversaryLanes<double>;
}
}  // namespace otoscope::cpu
