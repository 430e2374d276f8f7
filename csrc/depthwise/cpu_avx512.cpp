#include "depthwise/cpu_lanes.h"
#include "simd/avx512.h"
// After the lanes of its instruction set:
#include "depthwise/cpu_lanes.inc"

namespace otoscope::cpu {
DepthwiseVariants depthwise_variants_avx512() { return depthwise_variants; }
}  // namespace otoscope::cpu
