#include "moments/cpu_lanes.h"
#include "simd/baseline.h"
// After the lanes of its instruction set:
#include "moments/cpu_lanes.inc"

namespace otoscope::cpu {
PanelProduct panel_product_baseline() { return panel_product; }
}  // namespace otoscope::cpu
