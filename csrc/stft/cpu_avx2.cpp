#include "simd/avx2.h"
#include "stft/cpu_lanes.h"
// After the lanes of its instruction set:
#include "stft/cpu_lanes.inc"

namespace otoscope::cpu {
StftLanes stft_lanes_avx2() { return kStftLanes; }
}  // namespace otoscope::cpu
