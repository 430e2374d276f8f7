#include "lstm/cpu_lanes.h"
#include "simd/avx2.h"
// After the lanes of its instruction set:
#include "lstm/cpu_lanes.inc"

namespace otoscope::cpu {
LstmLoops lstm_loops_avx2() { return {interleave, product_panels, update_cell, add_row}; }
}  // namespace otoscope::cpu
