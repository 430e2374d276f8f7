// Batched occlusion of spectrogram cells, and its gradient.
//
//   out[excerpt, sample, cell] = f(keep[sample, segment[cell]] ? patch[excerpt, cell] : content)
//   f(x) = (x - shift[mel]) * scale[mel], rounded to the output's type; cell = frame * mels + mel
//
// content is a tensor that broadcasts (strides of 0), plus spread * normal number if spread is
// given. Example with 4 cells in segments 0 0 1 1, and a sample that keeps segment 1 only
// (keep word 0b10): out = content, content, patch, patch.
#pragma once
#include <cstdint>

#include "coalitions/coalitions.h"
#include "numeric/scalar.h"

namespace otoscope {

struct Broadcast {  // a tensor of up to [excerpt, frame, mel]; a size of 1 has stride 0
    const void* values = nullptr;
    std::int64_t excerpt = 0, frame = 0, mel = 0;  // strides, in elements
};

struct OccludeArgs {
    const void* patch;            // [excerpt, frame, mel], type `in`
    Broadcast content;            // type `in`
    Broadcast spread;             // type `in`; null: no noise
    std::uint64_t seed;           // of the noise
    std::uint64_t first_excerpt;  // position of this batch in the stream of noise; wraps
    std::uint64_t first_sample;
    const std::int32_t* segment;  // [frame, mel], 0 .. segments - 1
    const std::uint64_t* keep;    // [sample, word]; see coalitions.h
    const void* shift;            // [mel] or null; double if `in` is float64, else float
    const void* scale;            // [mel] or null; likewise
    void* out;                    // [excerpt, sample, frame, mel], type `to`
    Scalar in, to;
    std::int64_t excerpts, samples, frames, mels, segments;

    OTO_BOTH std::int64_t cells() const { return frames * mels; }
    OTO_BOTH std::int64_t words() const { return words_of(segments); }
};

struct OccludeBackwardArgs {
    const void* grad;             // [excerpt, sample, frame, mel], type `to`
    const std::int32_t* segment;  // [frame, mel]
    const std::uint64_t* keep;    // [sample, word]
    const void* scale;            // [mel] or null
    void* grad_patch;             // [excerpt, frame, mel], type `in`: sum over samples that keep
    void* grad_content;           // [excerpt, frame, mel], type `in`: sum over samples that occlude
    double* scratch;              // as many as backward_scratch says; null if none
    Scalar in, to;
    std::int64_t excerpts, samples, frames, mels, segments;

    OTO_BOTH std::int64_t cells() const { return frames * mels; }
    OTO_BOTH std::int64_t words() const { return words_of(segments); }
};

// The type of shift and scale for patches of type `in`.
OTO_BOTH Scalar compute_type(Scalar in) {
    return in == Scalar::float64 ? Scalar::float64 : Scalar::float32;
}

namespace cpu {
// Throws std::invalid_argument on a segment outside 0 .. segments - 1.
void occlude(const OccludeArgs& args, Launch launch);
void occlude_backward(const OccludeBackwardArgs& args, Launch launch);
constexpr std::int64_t scratch_of(const OccludeBackwardArgs&, Launch) { return 0; }
}  // namespace cpu

// On a GPU a segment outside 0 .. segments - 1 is never kept: a kernel cannot throw.
namespace cuda {
void occlude(const OccludeArgs& args, Launch launch);
void occlude_backward(const OccludeBackwardArgs& args, Launch launch);
std::int64_t scratch_of(const OccludeBackwardArgs& args, Launch launch);
}  // namespace cuda

}  // namespace otoscope
