#include "phases/cpu_lanes.h"
#include "simd/baseline.h"
// After the lanes of its instruction set:
#include "phases/cpu_lanes.inc"

namespace otoscope::cpu {
PropagatePhases propagate_phases_baseline() { return propagate; }
}  // namespace otoscope::cpu
