// Frames in lanes: the inner loops of the consistency operators on a CPU.
//
// A tile is as many frames as a vector has lanes. The same source (lanes.inc) is compiled once for
// every instruction set; isa.h chooses at run time.
#pragma once
#include <cstdint>

#include "otoscope/consistency.h"

namespace otoscope::cpu {

// Tables of a transform of n_fft real numbers, done as one of n_fft / 2 complex ones. Complex
// numbers are pairs (re, im).
template <class Real>
struct Plan {
    std::int64_t half;  // n_fft / 2
    int stages;
    int radix[4];                      // of each stage, 8 or 4; their product is half
    const Real* twiddle[4];            // of each stage: W^p, W^2p ... W^(radix - 1)p for each p
    const Real* split;                 // [half / 2 + 1] complex; exp(-2 pi i k / n_fft)
    const std::int32_t* place;         // [half + 1]; where frequency k lies; the last is spare
    const Real *analysis, *synthesis;  // windows, with the factors 1/2 and 1 / n_fft
};

template <class Real>
struct Input {  // of the inverse transform; at one example's first frame
    const Real *D, *magnitude, *previous, *gradient;
    Real momentum, step;

    Input from(std::int64_t frame, std::int64_t bins) const {
        const auto at = [&](const Real* p, std::int64_t size) {
            return p == nullptr ? p : p + frame * bins * size;
        };
        return {at(D, 2), at(magnitude, 1), at(previous, 2), at(gradient, 1), momentum, step};
    }
};

template <class Real>
struct Output {  // of the transform
    Real *D, *magnitude;
    const Real* target;
    double* apart;  // [frame]
    bool weighted;

    Output from(std::int64_t frame, std::int64_t bins) const {
        return {D + frame * bins * 2, magnitude == nullptr ? nullptr : magnitude + frame * bins,
                target == nullptr ? nullptr : target + frame * bins,
                apart == nullptr ? nullptr : apart + frame, weighted};
    }
};

template <class Real>
struct LaneKernels {
    std::int64_t lanes;
    // Adds `count` frames, each windowed and a hop further, to y.
    void (*synthesise)(const Plan<Real>& plan, const Input<Real>& in, std::int64_t count,
                       std::int64_t hop, Real* work, Real* y);
    // Transforms `count` frames of y.
    void (*analyse)(const Plan<Real>& plan, const Real* y, std::int64_t hop, std::int64_t count,
                    Real* work, const Output<Real>& out);

    // Numbers of type Real that `work` holds, aligned to a cache line.
    std::int64_t work_size(std::int64_t n_fft) const;
};

struct LaneTable {
    LaneKernels<float> single;
    LaneKernels<double> twice;

    template <class Real>
    const LaneKernels<Real>& of() const {
        if constexpr (sizeof(Real) == 4)
            return single;
        else
            return twice;
    }
};

template <class Real, int kBytes>
struct Vector {  // not an alias template: those lose the attribute where a type is deduced
    typedef Real type __attribute__((vector_size(kBytes)));
};

// Elements lie apart by one in 64 more, so that those a power of two apart fall into different
// sets of a cache.
constexpr std::int64_t slot(std::int64_t i) { return i + (i >> 6); }

template <class Real>
std::int64_t LaneKernels<Real>::work_size(std::int64_t n_fft) const {
    return 2 * lanes * (slot(n_fft / 2) + 1);
}

LaneTable lanes_baseline();  // SSE2, NEON
#ifdef OTOSCOPE_X86
LaneTable lanes_avx2();
#endif

}  // namespace otoscope::cpu
