#include "moments/cpu_lanes.h"
#include "simd/avx2.h"
// After the lanes of its instruction set:
#include "moments/cpu_lanes.inc"

namespace otoscope::cpu {
PanelProduct panel_product_avx2() { return panel_product; }
}  // namespace otoscope::cpu
