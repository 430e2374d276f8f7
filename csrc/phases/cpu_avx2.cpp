#include "phases/cpu_lanes.h"
#include "simd/avx2.h"
// After the lanes of its instruction set:
#include "phases/cpu_lanes.inc"

namespace otoscope::cpu {
PropagatePhases propagate_phases_avx2() { return propagate; }
}  // namespace otoscope::cpu
