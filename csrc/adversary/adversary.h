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
// of its type. With a memory, d first becomes z = d min(1, radius / |d|), then z + momentum (z -
// memory), and the memory becomes z: the look ahead of an accelerated step.
struct ShiftArgs {
    Scalar type;           // of d, x and memory
    void* difference;      // [batch, sample]
    const void* x;         // [batch, sample] or null
    void* memory;          // [batch, sample] or null
    const double* radius;  // [batch]
    std::int64_t batch, samples;
    double slack, momentum;
};

// What the outputs of a model are to an attack. With p[f][l] the posteriors of row i's frames and
// labels (one output: 1 - p and p), and e the label to reach, or the strongest other than the one
// to leave:
//
//   loss[i] = mean over f of -log p[f][e];  its sign changes, and e is the label, if `climbs`
//   confidence[i] = p[e] of the pooled frames, or the mean over f of p[f][e[f]]
//   success[i]: the most probable label is (or has ceased to be) labels[i], of every frame if they
//   have labels, and the confidence is at least `least`
//
// Example of logits (0, 0), label 0 to reach: p = (1/2, 1/2), loss log 2, gradient (-1/2, 1/2).
struct AssessmentArgs {
    Scalar type;                 // of outputs, loss, confidence and gradient
    const void* outputs;         // [batch, frame, output]
    const std::int64_t* labels;  // [batch], or [batch, frame] if `of_frames`; from 0 on
    void* loss;                  // [batch]
    void* confidence;            // [batch]
    bool* success;               // [batch]
    void* gradient;              // [batch, frame, output], of each row's loss
    std::int64_t batch, frames, outputs_per_frame;
    bool are_probabilities;  // outputs, otherwise logits
    bool of_frames;          // labels
    bool votes;              // pooled posteriors are the fractions of frames; otherwise means
    bool targeted, climbs;
    double least;
};

// Keeps those of n candidates that score higher than the best so far of their sounds; NaN never
// does. Candidate i, of sound rows[i], is that of step `iteration`; rows differ.
struct CandidateArgs {
    Scalar type;               // of all tensors but those declared otherwise
    const std::int64_t* rows;  // [n]
    const void* sound;         // [n, sample]
    const void* score;         // [n]
    const void* confidence;    // [n]
    const bool* success;       // [n]
    void* best_sound;          // [batch, sample]
    void* best_score;          // [batch]
    void* best_confidence;     // [batch]
    bool* best_success;        // [batch]
    void* history;             // [batch, steps]; receives confidences
    std::int64_t* iterations;  // [batch]; receives `iteration`
    std::int64_t n, samples, steps, iteration;
};

// Whether no number of a row is NaN or infinite.
struct FiniteArgs {
    Scalar type;
    const void* values;  // [batch, sample]
    std::int64_t batch, samples;
    bool* result;  // [batch]
};

namespace cpu {
void are_finite(const FiniteArgs& args, Launch launch);
void keep_best(const CandidateArgs& args, Launch launch);
void assess(const AssessmentArgs& args, Launch launch);
void scale_magnitudes(const MagnitudeArgs& args, Launch launch);
void descend(const DescentArgs& args, Launch launch);
void shift_into_ball(const ShiftArgs& args, Launch launch);
}  // namespace cpu

}  // namespace otoscope
