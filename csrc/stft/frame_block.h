// Transforms of frames by a block of threads.
//
// A thread holds eight complex numbers in registers; a block transforms as many frames at once as
// it has threads for. Frames are added to a part of the signal in shared memory, each sample by one
// thread and in the order of the frames, so results do not vary.
//
// Example: n_fft 256 is a complex transform of 128 numbers, by 16 threads that hold 8 each: thread
// (lane) t reads numbers t, t + 16, ..., t + 112. 256 / 16 = 16 frames are transformed at once.
#pragma once
#include <cmath>
#include <utility>

#include "block/block.h"
#include "stft/fft.h"
#include "stft/stft.h"

namespace otoscope {

constexpr int kFrameThreads = 512;  // at most; fewer for frames of up to 4096 samples
constexpr int kPerThread = 8;       // complex numbers

struct FrameShape {
    int half, lanes;  // complex numbers per frame, threads per frame
    int frames_at_once;
    int threads, stride;  // threads of the block; numbers between frames in shared memory

    OTO_BOTH explicit FrameShape(std::int64_t n_fft)
        : half(int(n_fft / 2)),
          lanes(half / kPerThread),
          frames_at_once(lanes < 256 ? 256 / lanes : 1),
          threads(lanes * frames_at_once),
          stride(half + half / 16) {}
};

// The position of number i of a frame in shared memory: one in 17 is left out, so that numbers a
// power of two apart lie in different banks (0, 16, 32 at 0, 17, 34).
OTO_BOTH constexpr int bank_padded(int i) { return i + i / 16; }

// The most samples of signal that a block keeps: shared memory stays within 64 kB up to n_fft 4096,
// and within 99 kB beyond.
template <class Real>
OTO_BOTH constexpr std::int64_t most_samples() {
    return (sizeof(Real) == 4 ? 44 << 10 : 26 << 10) / std::int64_t(sizeof(Real));
}

// Bytes of the workspace: sums of threads, frames being transformed, and `samples` of signal.
template <class Real>
OTO_BOTH std::int64_t workspace_bytes(std::int64_t n_fft, std::int64_t samples) {
    const FrameShape shape(n_fft);
    const std::int64_t reals = 2 * shape.frames_at_once * shape.stride + samples;
    return reals * std::int64_t(sizeof(Real)) + shape.threads * std::int64_t(sizeof(double));
}

template <class Real>
struct ThreadNumbers {
    Complex<Real> x[kPerThread];
};

template <class Real, Block B>
class FrameBlock {
  public:
    using C = Complex<Real>;

    OTO_DEVICE FrameBlock(B& block, const FrameLayout& layout)
        : block_(block),
          layout_(layout),
          shape_(layout.n_fft),
          numbers_(block.template per_thread<ThreadNumbers<Real>>()),
          sums_(static_cast<double*>(block.workspace())),
          z_(reinterpret_cast<C*>(sums_ + shape_.threads)),
          signal_(reinterpret_cast<Real*>(z_ + shape_.frames_at_once * shape_.stride)) {}

    OTO_DEVICE Real* signal() { return signal_; }
    OTO_DEVICE const FrameShape& shape() const { return shape_; }

    // signal[i] = sample first + i of the sum of all windowed frames, for i < count. With n_fft
    // 256, hop 64 and first 300, frames 1 (samples 64 to 319) and later ones are added.
    template <class Source>
    OTO_DEVICE void overlap_add(std::int64_t example, std::int64_t first, std::int64_t count,
                                const Source& source) {
        for_each_index(count, [&](std::int64_t i) { signal_[i] = Real(0); });
        const std::int64_t after = (first + count - 1) / layout_.hop + 1;
        const std::int64_t end = after < layout_.frames ? after : layout_.frames;
        const std::int64_t early =
            first - layout_.n_fft + 1;  // a frame from this sample on reaches `first`
        std::int64_t m = early <= 0 ? 0 : ceil_div(early, layout_.hop);
        for (; m < end; m += shape_.frames_at_once) {
            const int n_frames =
                int(end - m < shape_.frames_at_once ? end - m : shape_.frames_at_once);
            load_bins(example * layout_.frames + m, n_frames, source);
            transform<true>();
            add_frames(m, n_frames, first, count);
        }
    }

    // Divides signal by W.
    OTO_DEVICE void divide_by_overlap(std::int64_t first, std::int64_t count) {
        if (layout_.overlap == nullptr) return;
        for_each_index(count, [&](std::int64_t i) { signal_[i] *= reciprocal_overlap(first + i); });
    }

    // Transforms frames first to first + count, whose samples are y, and stores their bins.
    template <class Sink>
    OTO_DEVICE void analyse(const Real* y, std::int64_t first, std::int64_t count,
                            const Sink& sink) {
        const Real* window = static_cast<const Real*>(layout_.window);
        for (std::int64_t m = 0; m < count; m += shape_.frames_at_once) {
            const int n_frames =
                int(count - m < shape_.frames_at_once ? count - m : shape_.frames_at_once);
            block_.for_each_thread([&](int thread) {
                const int frame = thread / shape_.lanes;
                if (frame >= n_frames) return;
                const Real* from = y + (m + frame) * layout_.hop;
                for (int i = thread % shape_.lanes; i < shape_.half; i += shape_.lanes)
                    at(frame, i) = {window[2 * i] * from[2 * i] / 2,
                                    window[2 * i + 1] * from[2 * i + 1] / 2};
            });
            transform<false>();
            store_bins(first + m, n_frames, sink);
        }
    }

    template <class Body>
    OTO_DEVICE void for_each_index(std::int64_t count, const Body& body) {
        block_.for_each_thread([&](int thread) {
            for (std::int64_t i = thread; i < count; i += shape_.threads) body(i);
        });
    }

  private:
    OTO_DEVICE C& at(int frame, int i) const { return z_[frame * shape_.stride + bank_padded(i)]; }

    OTO_DEVICE const Real* twiddle(std::int64_t k) const {
        return static_cast<const Real*>(layout_.twiddles) + 2 * k;
    }

    template <class Source>
    OTO_DEVICE void load_bins(std::int64_t first_frame, int n_frames, const Source& source) {
        block_.for_each_thread([&](int thread) {
            const int frame = thread / shape_.lanes, half = shape_.half;
            if (frame >= n_frames) return;
            const std::int64_t row = (first_frame + frame) * layout_.bins();
            for (int k = thread % shape_.lanes; k <= half / 2; k += shape_.lanes) {
                C low = source(row + k), high = source(row + half - k), Z_low, Z_high;
                if (k == 0) low.i = high.i = Real(0);  // DC and Nyquist are real
                bins_to_complex(low, high, twiddle(k), Z_low, Z_high);
                at(frame, k) = Z_low;
                if (k > 0) at(frame, half - k) = Z_high;
            }
        });
    }

    template <class Sink>
    OTO_DEVICE void store_bins(std::int64_t first_frame, int n_frames, const Sink& sink) {
        block_.for_each_thread([&](int thread) {
            const int frame = thread / shape_.lanes, half = shape_.half;
            if (frame >= n_frames) return;
            const std::int64_t row = (first_frame + frame) * layout_.bins();
            double squared_error = 0;
            for (int k = thread % shape_.lanes; k <= half / 2; k += shape_.lanes) {
                C low, high;
                complex_to_bins(at(frame, k), at(frame, k == 0 ? 0 : half - k), twiddle(k), low,
                                high);
                squared_error += sink.store(row + k, low, k == 0);
                if (2 * k != half) squared_error += sink.store(row + half - k, high, k == 0);
            }
            if (sink.has_target()) sums_[thread] = squared_error;
        });
        if (!sink.has_target()) return;
        for (int reach = shape_.lanes / 2; reach > 0; reach /= 2)
            block_.for_each_thread([&](int thread) {
                if (thread % shape_.lanes < reach) sums_[thread] += sums_[thread + reach];
            });
        block_.for_each_thread([&](int thread) {
            const int frame = thread / shape_.lanes;
            if (thread % shape_.lanes == 0 && frame < n_frames)
                sink.store_error(first_frame + frame, sums_[thread]);
        });
    }

    // Stockham's transform, in place and in natural order: all numbers are read before any is
    // written. `done` is the product of the radices so far. A thread transforms numbers t,
    // t + half / radix, ... and writes number k of the result to
    // t / done * done * radix + t % done + k * done: with half 128, the second stage (radix 4, done
    // 8) takes t = 11 to 32 + 3 + 8 k. Invariant: these positions are a permutation of 0 .. half
    // - 1.
    template <bool kInverse>
    OTO_DEVICE void transform() {
        for (int done = 1; done < shape_.half;) {
            const int radix = stage_radix(shape_.half / done);
            block_.for_each_thread([&](int thread) {
                const int frame = thread / shape_.lanes, lane = thread % shape_.lanes;
                C(&x)[kPerThread] = numbers_[thread].x;
                OTO_UNROLL
                for (int j = 0; j < kPerThread; ++j) x[j] = at(frame, lane + j * shape_.lanes);
                radix == 8 ? radix8<kInverse>(x, done, lane) : radix4<kInverse>(x, done, lane);
            });
            block_.for_each_thread([&](int thread) {
                const int frame = thread / shape_.lanes, lane = thread % shape_.lanes;
                const C(&x)[kPerThread] = numbers_[thread].x;
                OTO_UNROLL
                for (int j = 0; j < kPerThread; ++j) {
                    const int group = radix == 8 ? 0 : j % 2, k = radix == 8 ? j : j / 2;
                    const int t = lane + group * shape_.lanes;
                    at(frame, t / done * radix * done + t % done + k * done) = x[j];
                }
            });
            done *= radix;
        }
    }

    template <bool kInverse>
    OTO_DEVICE void radix8(C (&x)[kPerThread], int done, int lane) const {
        const std::int64_t step = layout_.n_fft / (8 * done) * (lane % done);
        OTO_UNROLL
        for (int j = 1; j < kPerThread; ++j)
            x[j] = times_twiddle<kInverse>(x[j], twiddle(step * j));
        butterfly<kInverse, Real>(x);
    }

    template <bool kInverse>
    OTO_DEVICE void radix4(C (&x)[kPerThread], int done, int lane) const {
        OTO_UNROLL
        for (int group = 0; group < 2; ++group) {
            const int t = lane + group * shape_.lanes;
            const std::int64_t step = layout_.n_fft / (4 * done) * (t % done);
            OTO_UNROLL
            for (int j = 1; j < 4; ++j)
                x[group + 2 * j] = times_twiddle<kInverse>(x[group + 2 * j], twiddle(step * j));
            butterfly<kInverse>(x[group], x[group + 2], x[group + 4], x[group + 6]);
        }
    }

    OTO_DEVICE void add_frames(std::int64_t m, int n_frames, std::int64_t first,
                               std::int64_t count) {
        const Real* window = static_cast<const Real*>(layout_.window);
        const Real scale = Real(1) / Real(layout_.n_fft);
        for_each_index(count, [&](std::int64_t i) {
            Real sum = signal_[i];
            for (int frame = 0; frame < n_frames; ++frame) {
                const std::int64_t t = first + i - (m + frame) * layout_.hop;
                if (t < 0 || t >= layout_.n_fft) continue;
                const C& pair = at(frame, int(t / 2));
                sum += window[t] * scale * (t % 2 == 0 ? pair.r : pair.i);
            }
            signal_[i] = sum;
        });
    }

    OTO_DEVICE Real reciprocal_overlap(std::int64_t n) const {
        const double floor = layout_.overlap[layout_.hop];
        double W = layout_.overlap[n % layout_.hop];
        if (n < layout_.n_fft - layout_.hop || n >= layout_.frames * layout_.hop)
            W = edge_overlap(n);
        return W > floor ? Real(1) / Real(W) : Real(0);
    }

    OTO_DEVICE double edge_overlap(std::int64_t n) const {
        const Real* window = static_cast<const Real*>(layout_.window);
        std::int64_t m = n / layout_.hop < layout_.frames ? n / layout_.hop : layout_.frames - 1;
        double sum = 0;
        for (; m >= 0 && n - m * layout_.hop < layout_.n_fft; --m) {
            const double w = window[n - m * layout_.hop];
            sum += w * w;
        }
        return sum;
    }

    B& block_;
    const FrameLayout& layout_;
    FrameShape shape_;
    decltype(std::declval<B&>().template per_thread<ThreadNumbers<Real>>()) numbers_;
    double* sums_;  // [thread]
    C* z_;          // [frame, stride]
    Real* signal_;
};

}  // namespace otoscope
