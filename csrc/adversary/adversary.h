// Elementwise parts of the steps of attacks, in few passes over memory. On the CPU only; on a GPU
// torch's operators run. Rows of a batch are independent. Sums are in double precision, in an order
// that depends on neither threads nor instruction set.
#pragma once
#include <cstdint>

#include "block/launch.h"
#include "numeric/scalar.h"

namespace otoscope {

// A step on magnitudes, against the slope s of a loss with respect to each of them:
//
//   s[b] = weights[b] Re(conj(e^{j phase}) G[b])
//   D[b] <- e^{j phase} max(|D[b]| - length s[b], 0),   length divided by |s| if `normalises`
//
// With q = s / |D| that is D max(1 - length q, 0), and s^2 = weights Re(conj(D) G) q: no roots.
// Where |D|^2 is below the least normal number, |D| counts as 0 and the phase is 0. Example of one
// bin: D = 3 + 4j, G = 10j, weight 1, length 1: q = 40 / 25, s = 8, D <- 0, since 5 - 8 < 0.
struct MagnitudeArgs {
    Scalar type;           // float32 or float64
    void* D;               // [batch, frame, bin] complex
    void* G;               // [batch, frame, bin] complex; overwritten
    const void* weights;   // [bin]
    const double* length;  // [batch]
    std::int64_t batch, frames, bins;
    bool normalises;  // a slope of 0 stays 0
};

// memory <- momentum memory + gradient / |gradient|;  sound <- sound - x - length memory / |memory|
//
// Norms are those of rows; 1 stands for a norm of 0.
struct DescentArgs {
    Scalar type;  // of all tensors but length
    void* sound;  // [batch, sample]
    const void* gradient;
    void* memory;
    const void* x;
    const double* length;  // [batch]
    std::int64_t batch, samples;
    double momentum;
};

// d <- d min(1, (1 - slack) radius / |d|); with x: d <- x + that, and if this sum is more than
// radius from x by its rounding, each sample that was rounded outwards comes nearer to x by a step
// of its type.
struct ShiftArgs {
    Scalar type;           // of d and x
    void* difference;      // [batch, sample]
    const void* x;         // [batch, sample] or null
    const double* radius;  // [batch]
    std::int64_t batch, samples;
    double slack;
};

namespace cpu {
void scale_magnitudes(const MagnitudeArgs& args, Launch launch);
void descend(const DescentArgs& args, Launch launch);
void shift_into_ball(const ShiftArgs& args, Launch launch);
}  // namespace cpu

}  // namespace otoscope
