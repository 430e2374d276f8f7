// The bodies of the STFT kernels.
#pragma once
#include "stft/frame_block.h"

namespace otoscope {

// C at a bin (stft.h): D, or another magnitude with the phase of D.
template <class Real>
struct BinSource {
    const Complex<Real>*D, *previous;
    const Real *magnitude, *gradient;
    Real momentum, step;

    OTO_DEVICE Complex<Real> operator()(std::int64_t i) const {
        Complex<Real> C = D[i];
        if (magnitude == nullptr) return C;
        if (previous != nullptr) {
            const Complex<Real> old = previous[i];
            C = {C.r + momentum * (C.r - old.r), C.i + momentum * (C.i - old.i)};
        }
        Real size = magnitude[i];
        if (gradient != nullptr) {
            size -= step * gradient[i];
            size = size < 0 ? Real(0) : size;
        }
        const Real square = C.r * C.r + C.i * C.i;
        if (square < smallest_normal()) return {size, Real(0)};
        const Real scale = size / std::sqrt(square);
        return {C.r * scale, C.i * scale};
    }

    OTO_DEVICE static Real smallest_normal() {
        return Real(sizeof(Real) == 4 ? 1.1754943508222875e-38 : 2.2250738585072014e-308);
    }
};

template <class Real>
struct BinSink {
    Complex<Real>* D;
    Real* magnitude;
    const Real* target;
    double* squared_error;
    bool weighted;

    OTO_DEVICE bool has_target() const { return target != nullptr; }
    OTO_DEVICE void store_error(std::int64_t frame, double sum) const {
        squared_error[frame] = sum;
    }

    // Returns the weighted squared error of bin i; is_edge: the bin is DC or Nyquist.
    OTO_DEVICE double store(std::int64_t i, const Complex<Real>& C, bool is_edge) const {
        D[i] = C;
        if (!has_target()) return 0;
        const Real size = std::sqrt(C.r * C.r + C.i * C.i);
        if (magnitude != nullptr) magnitude[i] = size;
        const double difference = double(size) - double(target[i]);
        return difference * difference * (weighted && !is_edge ? 2 : 1);
    }
};

template <class Real>
BinSource<Real> source_of(const void* D, const Replacement& replacement) {
    return {static_cast<const Complex<Real>*>(D),
            static_cast<const Complex<Real>*>(replacement.previous),
            static_cast<const Real*>(replacement.magnitude),
            static_cast<const Real*>(replacement.gradient),
            Real(replacement.momentum),
            Real(replacement.step)};
}

template <class Real>
BinSink<Real> sink_of(void* D) {
    return {static_cast<Complex<Real>*>(D), nullptr, nullptr, nullptr, false};
}

template <class Real>
BinSink<Real> sink_of(const ProjectArgs& a) {
    return {static_cast<Complex<Real>*>(a.out), static_cast<Real*>(a.magnitude),
            static_cast<const Real*>(a.target), a.squared_error, a.weighted};
}

// True if a projection keeps its signal in shared memory; otherwise it goes through `scratch`.
OTO_BOTH bool is_fused(std::int64_t n_fft, std::int64_t hop) {
    return n_fft <= 2048 && 4 * hop >= n_fft;
}

// Frames of a fused tile: as many as fit, fewer if the blocks would not fill a large GPU.
template <class Real>
OTO_BOTH std::int64_t tile_frames(const FrameLayout& layout) {
    constexpr std::int64_t kLeast = 8, kMost = 32, kLeastBlocks = 512;
    std::int64_t tile = layout.batch * layout.frames / kLeastBlocks;
    tile = tile < kLeast ? kLeast : tile > kMost ? kMost : tile;
    const std::int64_t fitting = (most_samples<Real>() - layout.n_fft) / layout.hop + 1;
    return tile < fitting ? tile : fitting;
}

template <class Real, Block B>
OTO_DEVICE void stft_block(B& block, const FrameLayout& layout, const Real* y, std::int64_t samples,
                           const BinSink<Real>& sink) {
    FrameBlock<Real, B> work(block, layout);
    const std::int64_t step = work.shape().frames_at_once, units = ceil_div(layout.frames, step);
    for (std::int64_t unit = block.index(); unit < layout.batch * units; unit += block.count()) {
        const std::int64_t example = unit / units, m = unit % units * step;
        work.analyse(y + example * samples + m * layout.hop, example * layout.frames + m,
                     layout.frames - m < step ? layout.frames - m : step, sink);
    }
}

// Samples of signal per block: enough that the frames at its ends, which two blocks transform,
// cost little.
template <class Real>
OTO_BOTH std::int64_t istft_samples(const FrameLayout& layout) {
    const std::int64_t most = most_samples<Real>();
    return 4 * layout.n_fft < most ? 4 * layout.n_fft : most;
}

template <class Real, Block B>
OTO_DEVICE void istft_block(B& block, const FrameLayout& layout, const BinSource<Real>& source,
                            Real* y) {
    FrameBlock<Real, B> work(block, layout);
    const std::int64_t step = istft_samples<Real>(layout), units = ceil_div(layout.samples(), step);
    for (std::int64_t unit = block.index(); unit < layout.batch * units; unit += block.count()) {
        const std::int64_t example = unit / units, first = unit % units * step;
        const std::int64_t rest = layout.samples() - first, count = rest < step ? rest : step;
        work.overlap_add(example, first, count, source);
        work.divide_by_overlap(first, count);
        Real* to = y + example * layout.samples() + first;
        work.for_each_index(count, [&](std::int64_t i) { to[i] = work.signal()[i]; });
    }
}

// Both transforms of a tile of frames; the signal between them stays in shared memory.
template <class Real, Block B>
OTO_DEVICE void project_block(B& block, const FrameLayout& layout, const BinSource<Real>& source,
                              const BinSink<Real>& sink) {
    FrameBlock<Real, B> work(block, layout);
    const std::int64_t step = tile_frames<Real>(layout), units = ceil_div(layout.frames, step);
    for (std::int64_t unit = block.index(); unit < layout.batch * units; unit += block.count()) {
        const std::int64_t example = unit / units, m = unit % units * step;
        const std::int64_t n_frames = layout.frames - m < step ? layout.frames - m : step;
        const std::int64_t count = layout.samples(n_frames);
        work.overlap_add(example, m * layout.hop, count, source);
        work.divide_by_overlap(m * layout.hop, count);
        work.analyse(work.signal(), example * layout.frames + m, n_frames, sink);
    }
}

constexpr int kNormThreads = 256;

// sqrt of the sum of values; every thread may read it after the call.
template <Block B>
OTO_DEVICE double norm_of(B& block, const double* values, std::int64_t n, double* sums) {
    block.for_each_thread([&](int thread) {
        double sum = 0;
        for (std::int64_t i = thread; i < n; i += kNormThreads) sum += values[i];
        sums[thread] = sum;
    });
    for (int reach = kNormThreads / 2; reach > 0; reach /= 2)
        block.for_each_thread([&](int thread) {
            if (thread < reach) sums[thread] += sums[thread + reach];
        });
    return std::sqrt(sums[0]);
}

struct NormSums {
    double of_thread[kNormThreads];
};

template <Block B>
OTO_DEVICE void norm_block(B& block, const NormArgs& a) {
    NormSums& sums = block.template shared<NormSums>();
    for (std::int64_t b = block.index(); b < a.batch; b += block.count()) {
        const double norm =
            norm_of(block, a.squared_error + b * a.frames, a.frames, sums.of_thread);
        block.for_each_thread([&](int thread) {
            if (thread == 0) a.norm[b] = norm;
        });
    }
}

constexpr std::int64_t kBallCells = 1 << 14;  // per block

template <class Real, Block B>
OTO_DEVICE void ball_block(B& block, const BallArgs& a) {
    NormSums& sums = block.template shared<NormSums>();
    const std::int64_t units = ceil_div(a.cells, kBallCells);
    for (std::int64_t unit = block.index(); unit < a.batch * units; unit += block.count()) {
        const std::int64_t b = unit / units, first = unit % units * kBallCells;
        const double norm =
            norm_of(block, a.squared_error + b * a.frames, a.frames, sums.of_thread);
        const double excess = norm / a.radius[b] - 1, nu = excess > 0 ? excess : 0;
        const Real weight_Y = Real(1 / (1 + nu)), weight_X = Real(1 - 1 / (1 + nu));
        const std::int64_t end = first + kBallCells < a.cells ? first + kBallCells : a.cells;
        block.for_each_thread([&](int thread) {
            Real* Y = static_cast<Real*>(a.magnitude) + b * a.cells;
            const Real* X = static_cast<const Real*>(a.original) + b * a.cells;
            for (std::int64_t i = first + thread; i < end; i += kNormThreads)
                Y[i] = weight_Y * Y[i] + weight_X * X[i];
        });
    }
}

}  // namespace otoscope
