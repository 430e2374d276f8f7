#include "occlude/cpu_lanes.h"
#include "simd/avx2.h"
// After the lanes of its instruction set:
#include "occlude/cpu_lanes.inc"

namespace otoscope::cpu {
OccludeLanes occlude_lanes_avx2() { return kOccludeLanes; }
}  // namespace otoscope::cpu
