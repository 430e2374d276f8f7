// The loops over bins of phases; compiled once for every instruction set (simd/vector.h).
#pragma once
#include "phases/phases.h"

namespace otoscope::cpu {

// A step of `bins` in the output is one of bins / rate in the input: bin b - bins / rate lies
// between b + below and b + below + 1, nearer to the second the larger `share` is, in [0, 1).
struct Step {
    std::int64_t bins, below;
    float share;
};

struct Numbers {  // complex, re and im apart; [bin]
    float *re, *im;
};

struct Scratch {
    Step short_step, long_step;
    Numbers x;                 // input; bins below 0 that a step reaches are 0
    Numbers follow;            // H: prediction over time
    float* energy;             // [bin]
    Numbers rotations;         // r
    Numbers sum;               // predictions that need no rotation of this frame
    Numbers near, far;         // what the rotations at b - 1 and b - reach are multiplied by
    std::int64_t predictions;  // floats from sum.re on: sum, near and far
};

using PropagatePhases = void (*)(const PhaseArgs& args, const Scratch& scratch);

PropagatePhases propagate_phases_baseline();
#ifdef OTOSCOPE_X86
PropagatePhases propagate_phases_avx2();
#endif

}  // namespace otoscope::cpu
