// The inner loops of the STFT on a CPU: transforms of as many frames at once as a vector has lanes.
//
// The lanes are compiled once for every instruction set (simd/vector.h).
#pragma once
#include <cstdint>

#include "stft/stft.h"

namespace otoscope::cpu {

// Tables of a transform of n_fft real numbers, done as one of n_fft / 2 complex ones. Complex
// numbers are pairs (re, im).
template <class Real>
struct FramePlan {
    std::int64_t half;  // n_fft / 2
    int stages;
    int radix[4];  // of each stage, 8 or 4; their product is half
    // Of each stage, in the order of fft_lanes.inc: W^p, W^2p ... W^(radix - 1)p for each p.
    const Real* twiddle[4];
    const Real* bin_twiddle;  // [half / 2 + 1] complex; exp(-2 pi i k / n_fft)
    // [half + 1]; padded position of frequency k after the transform. Entry `half` is a position of
    // its own: the spectrum of a complex transform repeats, so it receives a copy of frequency 0.
    const std::int32_t* digit_reversed;
    const Real *analysis, *synthesis;  // windows, with the factors 1/2 and 1 / n_fft
};

template <class Real>
struct SynthesisInput {  // from one frame of an example on; see Replacement
    const Real *D, *magnitude, *previous, *gradient;
    Real momentum, step;

    SynthesisInput from(std::int64_t frame, std::int64_t bins) const {
        const auto at = [&](const Real* p, std::int64_t size) {
            return p == nullptr ? p : p + frame * bins * size;
        };
        return {at(D, 2), at(magnitude, 1), at(previous, 2), at(gradient, 1), momentum, step};
    }
};

template <class Real>
struct AnalysisOutput {  // from one frame of an example on; see ProjectArgs
    Real *D, *magnitude;
    const Real* target;
    double* squared_error;  // [frame]
    bool weighted;

    AnalysisOutput from(std::int64_t frame, std::int64_t bins) const {
        return {D + frame * bins * 2, magnitude == nullptr ? nullptr : magnitude + frame * bins,
                target == nullptr ? nullptr : target + frame * bins,
                squared_error == nullptr ? nullptr : squared_error + frame, weighted};
    }
};

template <class Real>
struct FrameKernels {
    std::int64_t lanes;
    // Adds `count` frames, each windowed and a hop further, to y.
    void (*synthesise)(const FramePlan<Real>& plan, const SynthesisInput<Real>& in,
                       std::int64_t count, std::int64_t hop, Real* workspace, Real* y);
    // Transforms `count` frames of y.
    void (*analyse)(const FramePlan<Real>& plan, const Real* y, std::int64_t hop,
                    std::int64_t count, Real* workspace, const AnalysisOutput<Real>& out);

    // Size of a workspace, in numbers of type Real; it is aligned to a cache line.
    std::int64_t workspace_size(std::int64_t n_fft) const;
};

struct StftLanes {  // one instruction set's versions
    FrameKernels<float> float32;
    FrameKernels<double> float64;

    template <class Real>
    const FrameKernels<Real>& of() const {
        if constexpr (sizeof(Real) == 4)
            return float32;
        else
            return float64;
    }
};

// The position of element i in a workspace: one in 65 is left out, so that elements a power of two
// apart fall into different sets of a cache (0, 64, 128 at 0, 65, 130).
constexpr std::int64_t padded(std::int64_t i) { return i + (i >> 6); }

template <class Real>
std::int64_t FrameKernels<Real>::workspace_size(std::int64_t n_fft) const {
    return 2 * lanes * (padded(n_fft / 2) + 1);
}

StftLanes stft_lanes_baseline();
#ifdef OTOSCOPE_X86
StftLanes stft_lanes_avx2();
#endif

}  // namespace otoscope::cpu
