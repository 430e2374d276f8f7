#include "depthwise/cpu_lanes.h"
#include "simd/baseline.h"
// After the lanes of its instruction set:
#include "depthwise/cpu_lanes.inc"

namespace otoscope::cpu {
DepthwiseVariants depthwise_variants_baseline() { return depthwise_variants; }
}  // namespace otoscope::cpu
