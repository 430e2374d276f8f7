#include "occlude/cpu_lanes.h"
#include "simd/baseline.h"
// After the lanes of its instruction set:
#include "occlude/cpu_lanes.inc"

namespace otoscope::cpu {
OccludeLanes occlude_lanes_baseline() { return kOccludeLanes; }
}  // namespace otoscope::cpu
