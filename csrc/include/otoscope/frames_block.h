// Transforms of frames by a block of threads, for any Block (cuda/block.cuh, emulated/block.h).
//
// A thread holds eight complex numbers in registers; a block transforms as many frames at once as
// it has threads for. Frames are summed into a stretch of signal in shared memory, each sample by
// one thread and in the order of the frames, so results do not vary.
#pragma once
#include <cmath>
#include <utility>

#include "otoscope/consistency.h"
#include "otoscope/fft.h"

namespace otoscope {

constexpr int kFrameThreads = 512;  // at most; fewer for frames of up to 4096 samples
constexpr int kHeld = 8;

struct FrameShape {
    int half, lanes;      // complex numbers of a frame, threads of a frame
    int together;         // frames at once
    int threads, stride;  // of the block; between frames in shared memory

    OTO_BOTH explicit FrameShape(std::int64_t n_fft)
        : half(int(n_fft / 2)),
          lanes(half / kHeld),
          together(lanes < 256 ? 256 / lanes : 1),
          threads(lanes * together),
          stride(half + half / 16) {}
};

// One in 16 is left out, so that elements a power of two apart lie in different banks.
OTO_BOTH constexpr int bank_slot(int i) { return i + i / 16; }

// Samples of signal that a block keeps: shared memory stays within 64 kB up to n_fft 4096, and
// within 99 kB beyond.
template <class Real>
OTO_BOTH constexpr std::int64_t stretch_samples() {
    return (sizeof(Real) == 4 ? 44 << 10 : 26 << 10) / std::int64_t(sizeof(Real));
}

// Sums of threads, frames being transformed, and `samples` of signal.
template <class Real>
OTO_BOTH std::int64_t shared_bytes(std::int64_t n_fft, std::int64_t samples) {
    const FrameShape shape(n_fft);
    const std::int64_t reals = 2 * shape.together * shape.stride + samples;
    return reals * std::int64_t(sizeof(Real)) + shape.threads * std::int64_t(sizeof(double));
}

OTO_BOTH std::int64_t pieces(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

template <class Real>
struct Held {
    Complex<Real> x[kHeld];
};

template <class Real, class Block>
class FrameBlock {  // a block at work on frames
  public:
    using C = Complex<Real>;

    OTO_DEVICE FrameBlock(Block& block, const Frames& of)
        : block_(block),
          of_(of),
          shape_(of.n_fft),
          held_(block.template per_thread<Held<Real>>()),
          sums_(static_cast<double*>(block.room())),
          z_(reinterpret_cast<C*>(sums_ + shape_.threads)),
          signal_(reinterpret_cast<Real*>(z_ + shape_.together * shape_.stride)) {}

    OTO_DEVICE Real* signal() { return signal_; }
    OTO_DEVICE const FrameShape& shape() const { return shape_; }

    // signal[i] = sample first + i of the sum of all frames, for i < count.
    template <class Source>
    OTO_DEVICE void add_up(std::int64_t example, std::int64_t first, std::int64_t count,
                           const Source& source) {
        each_of(count, [&](std::int64_t i) { signal_[i] = Real(0); });
        const std::int64_t after = (first + count - 1) / of_.hop + 1;
        const std::int64_t end = after < of_.frames ? after : of_.frames;
        const std::int64_t early = first - of_.n_fft + 1;  // a frame from here on reaches `first`
        std::int64_t m = early <= 0 ? 0 : pieces(early, of_.hop);
        for (; m < end; m += shape_.together) {
            const int here = int(end - m < shape_.together ? end - m : shape_.together);
            merge_bins(example * of_.frames + m, here, source);
            transform<true>();
            add_frames(m, here, first, count);
        }
    }

    // Divides signal by W.
    OTO_DEVICE void normalise(std::int64_t first, std::int64_t count) {
        if (of_.overlap == nullptr) return;
        each_of(count, [&](std::int64_t i) { signal_[i] *= gain(first + i); });
    }

    // Transforms frames first ... first + count, whose samples are y, and gives bins to sink.
    template <class Sink>
    OTO_DEVICE void analyse(const Real* y, std::int64_t first, std::int64_t count,
                            const Sink& sink) {
        const Real* window = static_cast<const Real*>(of_.window);
        for (std::int64_t m = 0; m < count; m += shape_.together) {
            const int here = int(count - m < shape_.together ? count - m : shape_.together);
            block_.for_each_thread([&](int thread) {
                const int frame = thread / shape_.lanes;
                if (frame >= here) return;
                const Real* from = y + (m + frame) * of_.hop;
                for (int i = thread % shape_.lanes; i < shape_.half; i += shape_.lanes)
                    at(frame, i) = {window[2 * i] * from[2 * i] / 2,
                                    window[2 * i + 1] * from[2 * i + 1] / 2};
            });
            transform<false>();
            part_bins(first + m, here, sink);
        }
    }

    template <class Body>
    OTO_DEVICE void each_of(std::int64_t count, const Body& body) {
        block_.for_each_thread([&](int thread) {
            for (std::int64_t i = thread; i < count; i += shape_.threads) body(i);
        });
    }

  private:
    OTO_DEVICE C& at(int frame, int i) const { return z_[frame * shape_.stride + bank_slot(i)]; }

    OTO_DEVICE const Real* turn(std::int64_t k) const {
        return static_cast<const Real*>(of_.turn) + 2 * k;
    }

    template <class Source>
    OTO_DEVICE void merge_bins(std::int64_t frame0, int here, const Source& source) {
        block_.for_each_thread([&](int thread) {
            const int frame = thread / shape_.lanes, half = shape_.half;
            if (frame >= here) return;
            const std::int64_t row = (frame0 + frame) * of_.bins();
            for (int k = thread % shape_.lanes; k <= half / 2; k += shape_.lanes) {
                C low = source(row + k), high = source(row + half - k), at_low, at_high;
                if (k == 0) low.i = high.i = Real(0);  // DC and Nyquist are real
                merge(low, high, turn(k), at_low, at_high);
                at(frame, k) = at_low;
                if (k > 0) at(frame, half - k) = at_high;
            }
        });
    }

    template <class Sink>
    OTO_DEVICE void part_bins(std::int64_t frame0, int here, const Sink& sink) {
        block_.for_each_thread([&](int thread) {
            const int frame = thread / shape_.lanes, half = shape_.half;
            if (frame >= here) return;
            const std::int64_t row = (frame0 + frame) * of_.bins();
            double apart = 0;
            for (int k = thread % shape_.lanes; k <= half / 2; k += shape_.lanes) {
                C low, high;
                part(at(frame, k), at(frame, k == 0 ? 0 : half - k), turn(k), low, high);
                apart += sink.put(row + k, low, k == 0);
                if (2 * k != half) apart += sink.put(row + half - k, high, k == 0);
            }
            if (sink.measures()) sums_[thread] = apart;
        });
        if (!sink.measures()) return;
        for (int reach = shape_.lanes / 2; reach > 0; reach /= 2)
            block_.for_each_thread([&](int thread) {
                if (thread % shape_.lanes < reach) sums_[thread] += sums_[thread + reach];
            });
        block_.for_each_thread([&](int thread) {
            const int frame = thread / shape_.lanes;
            if (thread % shape_.lanes == 0 && frame < here) sink.set(frame0 + frame, sums_[thread]);
        });
    }

    // In place and in natural order (Stockham): all is read before anything is written.
    template <bool kInverse>
    OTO_DEVICE void transform() {
        for (int done = 1; done < shape_.half;) {
            const int radix = stage_radix(shape_.half / done);
            block_.for_each_thread([&](int thread) {
                const int frame = thread / shape_.lanes, lane = thread % shape_.lanes;
                C(&x)[kHeld] = held_[thread].x;
                OTO_UNROLL
                for (int j = 0; j < kHeld; ++j) x[j] = at(frame, lane + j * shape_.lanes);
                radix == 8 ? eight<kInverse>(x, done, lane) : fours<kInverse>(x, done, lane);
            });
            block_.for_each_thread([&](int thread) {
                const int frame = thread / shape_.lanes, lane = thread % shape_.lanes;
                const C(&x)[kHeld] = held_[thread].x;
                OTO_UNROLL
                for (int j = 0; j < kHeld; ++j) {
                    const int which = radix == 8 ? 0 : j % 2, k = radix == 8 ? j : j / 2;
                    const int t = lane + which * shape_.lanes;
                    at(frame, t / done * radix * done + t % done + k * done) = x[j];
                }
            });
            done *= radix;
        }
    }

    template <bool kInverse>
    OTO_DEVICE void eight(C (&x)[kHeld], int done, int lane) const {
        const std::int64_t step = of_.n_fft / (8 * done) * (lane % done);
        OTO_UNROLL
        for (int j = 1; j < kHeld; ++j) x[j] = turned<kInverse>(x[j], turn(step * j));
        butterfly<kInverse, Real>(x);
    }

    template <bool kInverse>
    OTO_DEVICE void fours(C (&x)[kHeld], int done, int lane) const {
        OTO_UNROLL
        for (int which = 0; which < 2; ++which) {
            const int t = lane + which * shape_.lanes;
            const std::int64_t step = of_.n_fft / (4 * done) * (t % done);
            OTO_UNROLL
            for (int j = 1; j < 4; ++j)
                x[which + 2 * j] = turned<kInverse>(x[which + 2 * j], turn(step * j));
            butterfly<kInverse>(x[which], x[which + 2], x[which + 4], x[which + 6]);
        }
    }

    OTO_DEVICE void add_frames(std::int64_t m, int here, std::int64_t first, std::int64_t count) {
        const Real* window = static_cast<const Real*>(of_.window);
        const Real scale = Real(1) / Real(of_.n_fft);
        each_of(count, [&](std::int64_t i) {
            Real sum = signal_[i];
            for (int frame = 0; frame < here; ++frame) {
                const std::int64_t t = first + i - (m + frame) * of_.hop;
                if (t < 0 || t >= of_.n_fft) continue;
                const C& pair = at(frame, int(t / 2));
                sum += window[t] * scale * (t % 2 == 0 ? pair.r : pair.i);
            }
            signal_[i] = sum;
        });
    }

    OTO_DEVICE Real gain(std::int64_t n) const {
        const double floor = of_.overlap[of_.hop];
        double W = of_.overlap[n % of_.hop];
        if (n < of_.n_fft - of_.hop || n >= of_.frames * of_.hop) W = edge_overlap(n);
        return W > floor ? Real(1) / Real(W) : Real(0);
    }

    OTO_DEVICE double edge_overlap(std::int64_t n) const {
        const Real* window = static_cast<const Real*>(of_.window);
        std::int64_t m = n / of_.hop < of_.frames ? n / of_.hop : of_.frames - 1;
        double sum = 0;
        for (; m >= 0 && n - m * of_.hop < of_.n_fft; --m) {
            const double w = window[n - m * of_.hop];
            sum += w * w;
        }
        return sum;
    }

    Block& block_;
    const Frames& of_;
    FrameShape shape_;
    decltype(std::declval<Block&>().template per_thread<Held<Real>>()) held_;
    double* sums_;  // [thread]
    C* z_;          // [frame, stride]
    Real* signal_;
};

}  // namespace otoscope
