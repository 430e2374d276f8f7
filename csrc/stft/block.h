// The bodies of the STFT kernels.
#pragma once
#include "stft/frame_block.h"

namespace otoscope {

// C with another magnitude; 0 has phase 0.
template <class Real>
OTO_DEVICE Complex<Real> with_size(const Complex<Real>& C, Real size) {
    constexpr Real kSmallestNormal =
        Real(sizeof(Real) == 4 ? 1.1754943508222875e-38 : 2.2250738585072014e-308);
    const Real square = C.r * C.r + C.i * C.i;
    if (square < kSmallestNormal) return {size, Real(0)};
    const Real scale = size * reciprocal_sqrt(square);
    return {C.r * scale, C.i * scale};
}

template <class Real, class... Elements>
OTO_DEVICE void prefetch_lines(int count, int thread, int threads, const Elements*... rows) {
    constexpr int kLine = 128 / int(sizeof(Complex<Real>));
    OTO_NO_UNROLL
    for (int i = thread * kLine; i < count; i += threads * kLine) (prefetch(rows + i), ...);
}

// C at the bins of a row (stft.h): D, or another magnitude with the phase of D. at(offset) is the
// row that begins at that element; prefetch asks for `count` elements, each thread for some of
// their lines of 128 bytes.
template <class Real>
struct PlainBins {
    static constexpr int in_flight = 2;
    const Complex<Real>* D;

    OTO_DEVICE PlainBins at(std::int64_t offset) const { return {D + offset}; }
    OTO_DEVICE Complex<Real> operator()(int k) const { return D[k]; }
    OTO_DEVICE void prefetch(int count, int thread, int threads) const {
        prefetch_lines<Real>(count, thread, threads, D);
    }
};

template <class Real>
struct MagnitudeBins {
    static constexpr int in_flight = 2;
    const Complex<Real>* D;
    const Real* magnitude;

    OTO_DEVICE MagnitudeBins at(std::int64_t offset) const {
        return {D + offset, magnitude + offset};
    }
    OTO_DEVICE Complex<Real> operator()(int k) const { return with_size(D[k], magnitude[k]); }
    OTO_DEVICE void prefetch(int count, int thread, int threads) const {
        prefetch_lines<Real>(count, thread, threads, D, magnitude);
    }
};

template <class Real>
struct BinSource {
    static constexpr int in_flight = 1;
    const Complex<Real>*D, *previous;
    const Real *magnitude, *gradient;
    Real momentum, step;

    // Calls body with a source that has no conditions, where the bins need none.
    template <class Body>
    OTO_DEVICE void visit(const Body& body) const {
        if (magnitude == nullptr)
            body(PlainBins<Real>{D});
        else if (previous == nullptr && gradient == nullptr)
            body(MagnitudeBins<Real>{D, magnitude});
        else
            body(*this);
    }

    OTO_DEVICE BinSource at(std::int64_t offset) const {
        return {D + offset,         previous == nullptr ? nullptr : previous + offset,
                magnitude + offset, gradient == nullptr ? nullptr : gradient + offset,
                momentum,           step};
    }

    OTO_DEVICE Complex<Real> operator()(int k) const {
        Complex<Real> C = D[k];
        if (previous != nullptr) {
            const Complex<Real> old = previous[k];
            C = {C.r + momentum * (C.r - old.r), C.i + momentum * (C.i - old.i)};
        }
        Real size = magnitude[k];
        if (gradient != nullptr) {
            size -= step * gradient[k];
            size = size < 0 ? Real(0) : size;
        }
        return with_size(C, size);
    }

    OTO_DEVICE void prefetch(int count, int thread, int threads) const {
        prefetch_lines<Real>(count, thread, threads, D, magnitude);
        if (previous != nullptr) prefetch_lines<Real>(count, thread, threads, previous);
        if (gradient != nullptr) prefetch_lines<Real>(count, thread, threads, gradient);
    }
};

// Stores bins of a row; each store returns the weighted squared error of its bin.
template <class Real>
struct PlainSink {
    static constexpr bool has_target = false;
    Complex<Real>* D;

    OTO_DEVICE PlainSink at(std::int64_t offset) const { return {D + offset}; }
    OTO_DEVICE double store(int k, const Complex<Real>& C, bool /*is_edge*/) const {
        D[k] = C;
        return 0;
    }
};

template <class Real>
struct BinSink {
    static constexpr bool has_target = true;
    Complex<Real>* D;
    Real* magnitude;
    const Real* target;
    double* squared_error;
    bool weighted;

    template <class Body>
    OTO_DEVICE void visit(const Body& body) const {
        target == nullptr ? body(PlainSink<Real>{D}) : body(*this);
    }

    OTO_DEVICE BinSink at(std::int64_t offset) const {
        return {D + offset, magnitude == nullptr ? nullptr : magnitude + offset, target + offset,
                squared_error, weighted};
    }

    // is_edge: the bin is DC or Nyquist.
    OTO_DEVICE double store(int k, const Complex<Real>& C, bool is_edge) const {
        D[k] = C;
        const Real size = std::sqrt(C.r * C.r + C.i * C.i);
        if (magnitude != nullptr) magnitude[k] = size;
        const double difference = double(size) - double(target[k]);
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

// As with_n_fft, for the sizes of fused tiles.
template <class Body>
void with_fused_n_fft(std::int64_t n_fft, const Body& body) {
    with_n_fft(n_fft, [&]<class Size>(Size size) {
        if constexpr (Size::value <= 2048) body(size);
    });
}

// What a device holds, as far as the sizes of tiles depend on it; no result does.
struct Capacity {
    std::int64_t multiprocessors;
    std::int64_t blocks;           // of a multiprocessor, as far as registers allow
    std::int64_t shared;           // bytes of a multiprocessor's shared memory
    std::int64_t shared_of_block;  // bytes that a block can have
    std::int64_t reserved;         // bytes that each block costs beside its own
};

// The most samples of signal that a block keeps: so shared memory stays within 64 kB up to n_fft
// 4096, where the device has that much.
template <class Real, int kFft>
std::int64_t most_samples(const Capacity& capacity) {
    constexpr std::int64_t kSize = sizeof(Real), kMost = kSize == 4 ? 44 << 10 : 26 << 10;
    const std::int64_t left = capacity.shared_of_block - workspace_bytes<Real, kFft>(0);
    return (left < kMost ? left : kMost) / kSize;
}

// Frames of a fused tile: the number with which the device ends first. A tile of t frames
// transforms them and the halo on both sides, in groups, and begins and ends in the time of about
// one more; blocks run in waves of as many as fit, and the last wave keeps some multiprocessors
// busier than others. Blocks that are alone on a multiprocessor, or two, wait for memory more than
// three do: assumed as twice and 5/4 of the time. With 1024/256, 2584 frames and 132
// multiprocessors of 3 blocks, 10 frames make 259 blocks, two on a multiprocessor, of 4 + 3 groups;
// 8 frames would make 323 blocks, three of 4 + 2.
template <class Real, int kFft>
std::int64_t tile_frames(const FrameLayout& layout, const Capacity& capacity) {
    constexpr std::int64_t kMost = 64, kAtOnce = FrameShape<kFft>::at_once;
    std::int64_t tile = 1, shortest = 0;
    for (std::int64_t t = 1; t <= kMost; ++t) {
        const std::int64_t bytes = workspace_bytes<Real, kFft>(layout.samples(t));
        if (t > 1 && bytes > capacity.shared_of_block) break;
        const std::int64_t fit = capacity.shared / (bytes + capacity.reserved);
        const std::int64_t side_by_side = fit < capacity.blocks ? fit : capacity.blocks;
        const std::int64_t resident = side_by_side > 0 ? side_by_side : 1;
        const std::int64_t blocks = layout.batch * ceil_div(layout.frames, t);
        const std::int64_t busiest = ceil_div(blocks, capacity.multiprocessors);
        const std::int64_t groups = ceil_div(t + 2 * layout.halo(), kAtOnce) + ceil_div(t, kAtOnce);
        const std::int64_t rest = busiest % resident;  // a block alone does not go twice as fast
        const std::int64_t rounds = busiest - rest + (rest == 1 && resident > 1 ? 2 : rest);
        const std::int64_t quarters = resident == 1 ? 8 : resident == 2 ? 5 : 4;
        const std::int64_t time = rounds * (groups + 1) * quarters;
        if (shortest == 0 || time < shortest) tile = t, shortest = time;
    }
    return tile;
}

// Samples of signal per block of istft: enough that the frames at its ends, which two blocks
// transform, cost little. Long frames take up to half of a block's shared memory.
template <class Real, int kFft>
std::int64_t istft_samples(const Capacity& capacity) {
    const std::int64_t half = (capacity.shared_of_block / 2 - workspace_bytes<Real, kFft>(0)) /
                              std::int64_t(sizeof(Real));
    const std::int64_t usual = most_samples<Real, kFft>(capacity);
    const std::int64_t most = half > usual ? half : usual;
    return most < 1 ? 1 : 4 * kFft < most ? 4 * kFft : most;
}

template <class Real, int kFft, Block B>
OTO_DEVICE void stft_block(B& block, const FrameLayout& layout, const Real* y, std::int64_t samples,
                           const BinSink<Real>& sink) {
    FrameBlock<Real, kFft, B> work(block, layout);
    constexpr std::int64_t step = FrameShape<kFft>::at_once;
    const std::int64_t units = ceil_div(layout.frames, step);
    for (std::int64_t unit = block.index(); unit < layout.batch * units; unit += block.count()) {
        const std::int64_t example = unit / units, m = unit % units * step;
        work.analyse(y + example * samples + m * layout.hop, example * layout.frames + m,
                     int(layout.frames - m < step ? layout.frames - m : step), sink);
    }
}

// A block computes `step` samples.
template <class Real, int kFft, Block B>
OTO_DEVICE void istft_block(B& block, const FrameLayout& layout, const BinSource<Real>& source,
                            Real* y, std::int64_t step) {
    FrameBlock<Real, kFft, B> work(block, layout);
    const std::int64_t units = ceil_div(layout.samples(), step);
    for (std::int64_t unit = block.index(); unit < layout.batch * units; unit += block.count()) {
        const std::int64_t example = unit / units, first = unit % units * step;
        const std::int64_t rest = layout.samples() - first;
        const int count = int(rest < step ? rest : step);
        work.overlap_add(example, first, count, source);
        work.normalise(first, count);
        Real* to = y + example * layout.samples() + first;
        work.for_each_index(count, [&](int i) { to[i] = work.signal()[i]; });
    }
}

// Both transforms of a tile of `step` frames; the signal between them stays in shared memory.
template <class Real, int kFft, Block B>
OTO_DEVICE void project_block(B& block, const FrameLayout& layout, const BinSource<Real>& source,
                              const BinSink<Real>& sink, std::int64_t step) {
    FrameBlock<Real, kFft, B> work(block, layout);
    const std::int64_t units = ceil_div(layout.frames, step);
    for (std::int64_t unit = block.index(); unit < layout.batch * units; unit += block.count()) {
        const std::int64_t example = unit / units, m = unit % units * step;
        const int n_frames = int(layout.frames - m < step ? layout.frames - m : step);
        const int count = int(layout.samples(n_frames));
        work.overlap_add(example, m * layout.hop, count, source);
        work.normalise(m * layout.hop, count);
        work.analyse(work.signal(), example * layout.frames + m, n_frames, sink);
    }
}

constexpr int kNormThreads = 256;

struct NormSums {
    double of_thread[kNormThreads];
};

// Leaves the sum of values in sums.of_thread[0], to be read in the next phase.
template <Block B>
OTO_DEVICE void add_up(B& block, const double* values, std::int64_t n, NormSums& sums) {
    block.for_each_thread([&](int thread) {
        double sum = 0;
        for (std::int64_t i = thread; i < n; i += kNormThreads) sum += values[i];
        sums.of_thread[thread] = sum;
    });
    for (int reach = kNormThreads / 2; reach > 0; reach /= 2)
        block.for_each_thread([&](int thread) {
            if (thread < reach) sums.of_thread[thread] += sums.of_thread[thread + reach];
        });
}

template <Block B>
OTO_DEVICE void norm_block(B& block, const NormArgs& a) {
    NormSums& sums = block.template shared<NormSums>();
    for (std::int64_t b = block.index(); b < a.batch; b += block.count()) {
        add_up(block, a.squared_error + b * a.frames, a.frames, sums);
        block.for_each_thread([&](int thread) {
            if (thread == 0) a.norm[b] = std::sqrt(sums.of_thread[0]);
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
        const std::int64_t end = first + kBallCells < a.cells ? first + kBallCells : a.cells;
        add_up(block, a.squared_error + b * a.frames, a.frames, sums);
        block.for_each_thread([&](int thread) {
            const double excess = std::sqrt(sums.of_thread[0]) / a.radius[b] - 1;
            if (excess <= 0) return;  // within the ball: Y stays; NaN goes on
            const double nu = excess > 0 ? excess : 0;
            const Real weight_Y = Real(1 / (1 + nu)), weight_X = Real(1 - 1 / (1 + nu));
            Real* Y = static_cast<Real*>(a.magnitude) + b * a.cells;
            const Real* X = static_cast<const Real*>(a.original) + b * a.cells;
            for (std::int64_t i = first + thread; i < end; i += kNormThreads)
                Y[i] = weight_Y * Y[i] + weight_X * X[i];
        });
    }
}

}  // namespace otoscope
