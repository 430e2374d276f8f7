// The bodies of the consistency kernels, for any Block (cuda/block.cuh, emulated/block.h).
#pragma once
#include "otoscope/frames_block.h"

namespace otoscope {

// C at a bin: D, or a magnitude with D's phase.
template <class Real>
struct BinSource {
    const Complex<Real>*D, *previous;
    const Real *magnitude, *gradient;
    Real momentum, step;

    OTO_DEVICE Complex<Real> operator()(std::int64_t i) const {
        Complex<Real> C = D[i];
        if (magnitude == nullptr) return C;
        if (previous != nullptr) {
            const Complex<Real> before = previous[i];
            C = {C.r + momentum * (C.r - before.r), C.i + momentum * (C.i - before.i)};
        }
        Real size = magnitude[i];
        if (gradient != nullptr) {
            size -= step * gradient[i];
            size = size < 0 ? Real(0) : size;
        }
        const Real square = C.r * C.r + C.i * C.i;
        if (square < smallest()) return {size, Real(0)};
        const Real scale = size / std::sqrt(square);
        return {C.r * scale, C.i * scale};
    }

    OTO_DEVICE static Real smallest() {  // normal number
        return Real(sizeof(Real) == 4 ? 1.1754943508222875e-38 : 2.2250738585072014e-308);
    }
};

template <class Real>
struct BinSink {
    Complex<Real>* D;
    Real* magnitude;
    const Real* target;
    double* apart;
    bool weighted;

    OTO_DEVICE bool measures() const { return target != nullptr; }
    OTO_DEVICE void set(std::int64_t frame, double sum) const { apart[frame] = sum; }

    OTO_DEVICE double put(std::int64_t i, const Complex<Real>& C, bool edge) const {
        D[i] = C;
        if (!measures()) return 0;
        const Real size = std::sqrt(C.r * C.r + C.i * C.i);
        if (magnitude != nullptr) magnitude[i] = size;
        const double difference = double(size) - double(target[i]);
        return difference * difference * (weighted && !edge ? 2 : 1);
    }
};

template <class Real>
BinSource<Real> source_of(const void* D, const Turn& turn) {
    return {static_cast<const Complex<Real>*>(D),
            static_cast<const Complex<Real>*>(turn.previous),
            static_cast<const Real*>(turn.magnitude),
            static_cast<const Real*>(turn.gradient),
            Real(turn.momentum),
            Real(turn.step)};
}

template <class Real>
BinSink<Real> sink_of(const ProjectArgs& a) {
    return {static_cast<Complex<Real>*>(a.out), static_cast<Real*>(a.magnitude),
            static_cast<const Real*>(a.target), a.apart, a.weighted};
}

// Whether a projection keeps its signal on the chip; else it goes through `scratch`.
OTO_BOTH bool is_fused(std::int64_t n_fft, std::int64_t hop) {
    return n_fft <= 2048 && 4 * hop >= n_fft;
}

// Frames of a fused tile: as many as fit, fewer if the blocks would not fill a large chip.
template <class Real>
OTO_BOTH std::int64_t tile_frames(const Frames& of) {
    constexpr std::int64_t kLeast = 8, kMost = 32, kBlocksWanted = 512;
    std::int64_t tile = of.batch * of.frames / kBlocksWanted;
    tile = tile < kLeast ? kLeast : tile > kMost ? kMost : tile;
    const std::int64_t fitting = (stretch_samples<Real>() - of.n_fft) / of.hop + 1;
    return tile < fitting ? tile : fitting;
}

template <class Real, class Block>
OTO_DEVICE void stft_block(Block& block, const Frames& of, const Real* y, std::int64_t samples,
                           const BinSink<Real>& sink) {
    FrameBlock<Real, Block> work(block, of);
    const std::int64_t step = work.shape().together, units = pieces(of.frames, step);
    for (std::int64_t unit = block.index(); unit < of.batch * units; unit += block.count()) {
        const std::int64_t example = unit / units, m = unit % units * step;
        work.analyse(y + example * samples + m * of.hop, example * of.frames + m,
                     of.frames - m < step ? of.frames - m : step, sink);
    }
}

// Samples of signal a block adds up: enough that the frames at its ends cost little.
template <class Real>
OTO_BOTH std::int64_t stretch_of(const Frames& of) {
    const std::int64_t most = stretch_samples<Real>();
    return 4 * of.n_fft < most ? 4 * of.n_fft : most;
}

template <class Real, class Block>
OTO_DEVICE void istft_block(Block& block, const Frames& of, const BinSource<Real>& source,
                            Real* y) {
    FrameBlock<Real, Block> work(block, of);
    const std::int64_t step = stretch_of<Real>(of), units = pieces(of.covered(), step);
    for (std::int64_t unit = block.index(); unit < of.batch * units; unit += block.count()) {
        const std::int64_t example = unit / units, first = unit % units * step;
        const std::int64_t left = of.covered() - first, count = left < step ? left : step;
        work.add_up(example, first, count, source);
        work.normalise(first, count);
        Real* to = y + example * of.covered() + first;
        work.each_of(count, [&](std::int64_t i) { to[i] = work.signal()[i]; });
    }
}

OTO_BOTH std::int64_t covered_by(std::int64_t frames, const Frames& of) {
    return (frames - 1) * of.hop + of.n_fft;
}

// The signal between the two transforms never leaves the chip.
template <class Real, class Block>
OTO_DEVICE void project_block(Block& block, const Frames& of, const BinSource<Real>& source,
                              const BinSink<Real>& sink) {
    FrameBlock<Real, Block> work(block, of);
    const std::int64_t step = tile_frames<Real>(of), units = pieces(of.frames, step);
    for (std::int64_t unit = block.index(); unit < of.batch * units; unit += block.count()) {
        const std::int64_t example = unit / units, m = unit % units * step;
        const std::int64_t here = of.frames - m < step ? of.frames - m : step;
        const std::int64_t count = covered_by(here, of);
        work.add_up(example, m * of.hop, count, source);
        work.normalise(m * of.hop, count);
        work.analyse(work.signal(), example * of.frames + m, here, sink);
    }
}

constexpr int kNormThreads = 256;

// sqrt of the sum of values; every thread may read it after the call.
template <class Block>
OTO_DEVICE double norm_of(Block& block, const double* values, std::int64_t n, double* sums) {
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

template <class Block>
OTO_DEVICE void norm_block(Block& block, const NormArgs& a) {
    NormSums& sums = block.template shared<NormSums>();
    for (std::int64_t b = block.index(); b < a.batch; b += block.count()) {
        const double norm = norm_of(block, a.apart + b * a.frames, a.frames, sums.of_thread);
        block.for_each_thread([&](int thread) {
            if (thread == 0) a.norm[b] = norm;
        });
    }
}

constexpr std::int64_t kBallCells = 1 << 14;  // of a block

template <class Real, class Block>
OTO_DEVICE void ball_block(Block& block, const BallArgs& a) {
    NormSums& sums = block.template shared<NormSums>();
    const std::int64_t units = pieces(a.cells, kBallCells);
    for (std::int64_t unit = block.index(); unit < a.batch * units; unit += block.count()) {
        const std::int64_t b = unit / units, first = unit % units * kBallCells;
        const double norm = norm_of(block, a.apart + b * a.frames, a.frames, sums.of_thread);
        const double over = norm / a.radius[b] - 1, nu = over > 0 ? over : 0;
        const Real share = Real(1 / (1 + nu)), rest = Real(1 - 1 / (1 + nu));
        const std::int64_t end = first + kBallCells < a.cells ? first + kBallCells : a.cells;
        block.for_each_thread([&](int thread) {
            Real* Y = static_cast<Real*>(a.magnitude) + b * a.cells;
            const Real* X = static_cast<const Real*>(a.original) + b * a.cells;
            for (std::int64_t i = first + thread; i < end; i += kNormThreads)
                Y[i] = share * Y[i] + rest * X[i];
        });
    }
}

}  // namespace otoscope
