// Transforms of frames by a block of threads.
//
// A thread holds eight complex numbers in registers; a block transforms as many frames at once as
// it has threads for. Frames are added to a part of the signal in shared memory, each sample by one
// thread and in the order of the frames, so results do not vary with the size of that part.
//
// n_fft is a template parameter, so that the stages are unrolled and their index arithmetic is
// shifts. Example: n_fft 256 is a complex transform of 128 numbers, by 16 threads that hold 8 each:
// thread (lane) t reads numbers t, t + 16, ..., t + 112. 256 / 16 = 16 frames are transformed at
// once.
#pragma once
#include <cmath>
#include <type_traits>
#include <utility>

#include "block/block.h"
#include "numeric/memory.h"
#include "stft/fft.h"
#include "stft/stft.h"

namespace otoscope {

constexpr int kPerThread = 8;  // complex numbers

template <int kFft>
struct FrameShape {
    static constexpr int half = kFft / 2;                          // complex numbers per frame
    static constexpr int lanes = half / kPerThread;                // threads per frame
    static constexpr int at_once = lanes < 256 ? 256 / lanes : 1;  // frames
    static constexpr int threads = lanes * at_once;                // of a block
    static constexpr int stride = half + half / 16;  // numbers between frames in shared memory
};

// The position of number i of a frame in shared memory: one in 17 is left out, so that numbers a
// power of two apart lie in different banks (0, 16, 32 at 0, 17, 34).
OTO_BOTH constexpr int bank_padded(int i) { return i + i / 16; }

// Calls body(std::integral_constant<int, n_fft>()): a kernel for each size.
template <class Body>
void with_n_fft(std::int64_t n_fft, const Body& body) {
    switch (n_fft) {
        case 256:
            return body(std::integral_constant<int, 256>());
        case 512:
            return body(std::integral_constant<int, 512>());
        case 1024:
            return body(std::integral_constant<int, 1024>());
        case 2048:
            return body(std::integral_constant<int, 2048>());
        case 4096:
            return body(std::integral_constant<int, 4096>());
        default:
            return body(std::integral_constant<int, 8192>());
    }
}

// Bytes of the workspace: sums of threads, frames being transformed, and `samples` of signal.
template <class Real, int kFft>
OTO_BOTH constexpr std::int64_t workspace_bytes(std::int64_t samples) {
    using Shape = FrameShape<kFft>;
    return (2 * Shape::at_once * Shape::stride + samples) * std::int64_t(sizeof(Real)) +
           Shape::threads * std::int64_t(sizeof(double));
}

template <class Real>
struct ThreadNumbers {
    Complex<Real> x[kPerThread];
};

template <class Real, int kFft, Block B>
class FrameBlock {
  public:
    using C = Complex<Real>;
    using Shape = FrameShape<kFft>;

    OTO_DEVICE FrameBlock(B& block, const FrameLayout& layout)
        : block_(block),
          layout_(layout),
          numbers_(block.template per_thread<ThreadNumbers<Real>>()),
          sums_(static_cast<double*>(block.workspace())),
          z_(reinterpret_cast<C*>(sums_ + Shape::threads)),
          signal_(reinterpret_cast<Real*>(z_ + Shape::at_once * Shape::stride)) {}

    OTO_DEVICE Real* signal() { return signal_; }

    // signal[i] = n_fft times sample first + i of the sum of all windowed frames, for i < count.
    // With n_fft 256, hop 64 and first 300, frames 1 (samples 64 to 319) and later ones are added.
    template <class Source>
    OTO_DEVICE void overlap_add(std::int64_t example, std::int64_t first, int count,
                                const Source& source) {
        for_each_index(count, [&](int i) { signal_[i] = Real(0); });
        const std::int64_t after = (first + count - 1) / layout_.hop + 1;
        const std::int64_t end = after < layout_.frames ? after : layout_.frames;
        const std::int64_t early = first - kFft + 1;  // a frame from this sample on reaches `first`
        std::int64_t m = early <= 0 ? 0 : ceil_div(early, layout_.hop);
        for (; m < end; m += Shape::at_once) {
            const int n_frames = group(end - m), n_next = group(end - m - Shape::at_once);
            load_bins(example * layout_.frames + m, n_frames, n_next, source);
            inverse();
            add_frames(m, n_frames, first, count);
        }
    }

    // Divides the sums of overlap_add by n_fft, and by W if there is an overlap: once for each
    // phase of the hop, and then all samples of that phase. With hop 4 and 10 threads, two teams of
    // four threads share the samples: thread 5 has samples 5, 13, 21, ...
    OTO_DEVICE void normalise(std::int64_t first, int count) {
        const std::int64_t hop = layout_.hop, ends = layout_.frames * hop, start = first % hop;
        const int width = hop < Shape::threads ? int(hop) : Shape::threads;
        const int teams = Shape::threads / width, phases = int(hop < count ? hop : count);
        const bool has_edge =
            layout_.overlap != nullptr && (first < kFft - hop || first + count > ends);
        block_.for_each_thread([&](int thread) {
            if (thread >= width * teams) return;
            for (int i0 = thread % width; i0 < phases; i0 += width) {
                const std::int64_t phase = start + i0 < hop ? start + i0 : start + i0 - hop;
                const Real gain = of_phase(phase);
                for (std::int64_t i = i0 + thread / width * hop; i < count; i += teams * hop) {
                    const std::int64_t n = first + i;
                    const bool is_edge = has_edge && (n < kFft - hop || n >= ends);
                    signal_[i] *= is_edge ? reciprocal(edge_overlap(n)) : gain;
                }
            }
        });
    }

    // Transforms frames first to first + count, whose samples are y, and stores their bins.
    template <class Sink>
    OTO_DEVICE void analyse(const Real* y, std::int64_t first, std::int64_t count,
                            const Sink& sink) {
        const Real* window = static_cast<const Real*>(layout_.window);
        for (std::int64_t m = 0; m < count; m += Shape::at_once) {
            const int n_frames = group(count - m);
            forward([&](int frame, int i) {
                if (frame >= n_frames) return C{Real(0), Real(0)};
                const Real* from = y + (m + frame) * layout_.hop + 2 * i;
                return C{window[2 * i] * from[0] / 2, window[2 * i + 1] * from[1] / 2};
            });
            store_bins(first + m, n_frames, sink);
        }
    }

    template <class Body>
    OTO_DEVICE void for_each_index(int count, const Body& body) {
        block_.for_each_thread([&](int thread) {
            for (int i = thread; i < count; i += Shape::threads) body(i);
        });
    }

  private:
    OTO_DEVICE static int group(std::int64_t frames) {
        return int(frames < Shape::at_once ? frames : Shape::at_once);
    }
    OTO_DEVICE C& at(int frame, int i) const { return z_[frame * Shape::stride + bank_padded(i)]; }

    OTO_DEVICE C twiddle(int k) const { return static_cast<const C*>(layout_.twiddles)[k]; }

    // Threads of a frame have bins lane, lane + lanes, ... and the bins that mirror them; the one
    // in the middle is lane 0's.
    template <class Source>
    OTO_DEVICE void load_bins(std::int64_t first_frame, int n_frames, int n_next,
                              const Source& source) {
        constexpr int half = Shape::half, kSteps = half / 2 / Shape::lanes;
        constexpr int kLoads = 2;  // pairs of bins on their way at once, as registers allow
        const std::int64_t bins = half + 1, next = (first_frame + Shape::at_once) * bins;
        block_.for_each_thread([&](int thread) {
            const int frame = thread / Shape::lanes, lane = thread % Shape::lanes;
            if (frame < n_frames) {
                const auto row = source.at((first_frame + frame) * bins);
                OTO_UNROLL
                for (int j0 = 0; j0 < kSteps; j0 += kLoads) {
                    C low[kLoads], high[kLoads];
                    OTO_UNROLL
                    for (int j = 0; j < kLoads; ++j) {
                        const int k = lane + (j0 + j) * Shape::lanes;
                        low[j] = row(k), high[j] = row(half - k);
                    }
                    if (j0 == 0 && lane == 0) low[0].i = high[0].i = Real(0);  // are real
                    OTO_UNROLL
                    for (int j = 0; j < kLoads; ++j) {
                        const int k = lane + (j0 + j) * Shape::lanes;
                        const C w = twiddle(k);
                        C Z_low, Z_high;
                        bins_to_complex(low[j], high[j], &w.r, Z_low, Z_high);
                        at(frame, k) = Z_low;
                        if (k > 0) at(frame, half - k) = Z_high;
                    }
                }
                if (lane == 0) {
                    const C middle = row(half / 2), w = twiddle(half / 2);
                    C Z_low, Z_high;
                    bins_to_complex(middle, middle, &w.r, Z_low, Z_high);
                    at(frame, half / 2) = Z_high;
                }
            }
            source.at(next).prefetch(int(n_next * bins), thread, Shape::threads);
        });
    }

    template <class Sink>
    OTO_DEVICE void store_bins(std::int64_t first_frame, int n_frames, const Sink& sink) {
        constexpr int half = Shape::half, kSteps = half / 2 / Shape::lanes;
        block_.for_each_thread([&](int thread) {
            const int frame = thread / Shape::lanes, lane = thread % Shape::lanes;
            if (frame >= n_frames) return;
            const auto row = sink.at((first_frame + frame) * (half + 1));
            double squared_error = 0;
            OTO_UNROLL
            for (int j = 0; j < kSteps; ++j) {
                const int k = lane + j * Shape::lanes;
                const C w = twiddle(k);
                C low, high;
                complex_to_bins(at(frame, k), at(frame, k == 0 ? 0 : half - k), &w.r, low, high);
                squared_error += row.store(k, low, k == 0);
                squared_error += row.store(half - k, high, k == 0);
            }
            if (lane == 0) {
                const C middle = at(frame, half / 2), w = twiddle(half / 2);
                C low, high;
                complex_to_bins(middle, middle, &w.r, low, high);
                squared_error += row.store(half / 2, low, false);
            }
            if (sink.has_target()) sums_[thread] = squared_error;
        });
        if (!sink.has_target()) return;
        for (int reach = Shape::lanes / 2; reach > 0; reach /= 2)
            block_.for_each_thread([&](int thread) {
                if (thread % Shape::lanes < reach) sums_[thread] += sums_[thread + reach];
            });
        block_.for_each_thread([&](int thread) {
            const int frame = thread / Shape::lanes;
            if (thread % Shape::lanes == 0 && frame < n_frames)
                sink.store_error(first_frame + frame, sums_[thread]);
        });
    }

    // Stockham's transform, in place and in natural order: all numbers are read before any is
    // written. kDone is the product of the radices so far. A thread transforms numbers t,
    // t + half / radix, ... and writes number k of the result to
    // t / kDone * kDone * radix + t % kDone + k * kDone: with half 128, the second stage (radix 4,
    // kDone 8) takes t = 11 to 32 + 3 + 8 k. Invariant: these positions are a permutation of
    // 0 .. half - 1.
    OTO_DEVICE void inverse() { stages<true, 1>(); }

    // read(frame, i) is number i of a frame; the first stage takes it from there.
    template <class Read>
    OTO_DEVICE void forward(const Read& read) {
        constexpr int radix = stage_radix(Shape::half);
        block_.for_each_thread([&](int thread) {
            const int frame = thread / Shape::lanes, lane = thread % Shape::lanes;
            C(&x)[kPerThread] = numbers_[thread].x;
            OTO_UNROLL
            for (int j = 0; j < kPerThread; ++j) x[j] = read(frame, lane + j * Shape::lanes);
            turn<false, radix, 1>(x, lane);
            write<radix, 1>(x, frame, lane);
        });
        stages<false, radix>();
    }

    template <bool kInverse, int kDone>
    OTO_DEVICE void stages() {
        if constexpr (kDone < Shape::half) {
            constexpr int radix = stage_radix(Shape::half / kDone);
            block_.for_each_thread([&](int thread) {
                const int frame = thread / Shape::lanes, lane = thread % Shape::lanes;
                C(&x)[kPerThread] = numbers_[thread].x;
                OTO_UNROLL
                for (int j = 0; j < kPerThread; ++j) x[j] = at(frame, lane + j * Shape::lanes);
                turn<kInverse, radix, kDone>(x, lane);
            });
            block_.for_each_thread([&](int thread) {
                write<radix, kDone>(numbers_[thread].x, thread / Shape::lanes,
                                    thread % Shape::lanes);
            });
            stages<kInverse, kDone * radix>();
        }
    }

    template <int radix, int kDone>
    OTO_DEVICE void write(const C (&x)[kPerThread], int frame, int lane) const {
        OTO_UNROLL
        for (int j = 0; j < kPerThread; ++j) {
            const int set = radix == 8 ? 0 : j % 2, k = radix == 8 ? j : j / 2;
            const int t = lane + set * Shape::lanes;
            at(frame, t / kDone * radix * kDone + t % kDone + k * kDone) = x[j];
        }
    }

    // Multiplies by twiddle factors, and transforms; the first stage's factors are 1. One factor is
    // read and the others are its powers, each of at most two more roundings.
    template <bool kInverse, int radix, int kDone>
    OTO_DEVICE void turn(C (&x)[kPerThread], int lane) const {
        if constexpr (radix == 8) {
            if constexpr (kDone > 1) {
                C w[kPerThread];
                w[1] = twiddle(kFft / (8 * kDone) * (lane % kDone));
                w[2] = product(w[1], w[1]), w[3] = product(w[2], w[1]);
                w[4] = product(w[2], w[2]), w[5] = product(w[4], w[1]);
                w[6] = product(w[3], w[3]), w[7] = product(w[4], w[3]);
                OTO_UNROLL
                for (int j = 1; j < kPerThread; ++j) x[j] = times_twiddle<kInverse>(x[j], &w[j].r);
            }
            butterfly<kInverse, Real>(x);
        } else {
            OTO_UNROLL
            for (int set = 0; set < 2; ++set) {
                if constexpr (kDone > 1) {
                    const int t = lane + set * Shape::lanes;
                    const C w = twiddle(kFft / (4 * kDone) * (t % kDone));
                    const C w2 = product(w, w), w3 = product(w2, w);
                    x[set + 2] = times_twiddle<kInverse>(x[set + 2], &w.r);
                    x[set + 4] = times_twiddle<kInverse>(x[set + 4], &w2.r);
                    x[set + 6] = times_twiddle<kInverse>(x[set + 6], &w3.r);
                }
                butterfly<kInverse>(x[set], x[set + 2], x[set + 4], x[set + 6]);
            }
        }
    }

    OTO_DEVICE static C product(const C& a, const C& b) {
        return {a.r * b.r - a.i * b.i, a.r * b.i + a.i * b.r};
    }

    // Adds frames m, m + 1, ... in order to the samples that they reach, and visits no others.
    // Sample `at` of frame m is sample at - f hop of frame m + f: f goes down from q = at / hop to
    // the first that still reaches it. With n_fft 256 and hop 100, sample 250 is sample 250, 150
    // and 50 of frames 0, 1 and 2: q = 2, and the remainder 50 leaves room for two hops more.
    OTO_DEVICE void add_frames(std::int64_t m, int n_frames, std::int64_t first, int count) {
        const Real* window = static_cast<const Real*>(layout_.window);
        const Real* values = reinterpret_cast<const Real*>(z_);
        const std::int64_t hop = layout_.hop, shift = first - m * hop;  // of `at`, from index i
        const std::int64_t span = (n_frames - 1) * hop + kFft;
        const int begin = int(shift < 0 ? (-shift < count ? -shift : count) : 0);
        const int end = int(span - shift < count ? span - shift : count);
        const std::int64_t reach = (kFft - 1) / hop, rest = (kFft - 1) % hop;
        const std::int64_t step = Shape::threads / hop, step_rest = Shape::threads % hop;
        block_.for_each_thread([&](int thread) {
            std::int64_t q = (begin + thread + shift) / hop, r = (begin + thread + shift) % hop;
            for (int i = begin + thread; i < end; i += Shape::threads) {
                const std::int64_t lowest = q - reach + (r > rest ? 1 : 0);
                const int low = int(lowest > 0 ? lowest : 0);
                const int high = int(q < n_frames - 1 ? q : n_frames - 1);
                Real sum = signal_[i];
                int t = int(i + shift - low * hop);
                for (int f = low; f <= high; ++f, t -= int(hop))
                    sum += window[t] * values[2 * f * Shape::stride + t + t / 32 * 2];
                signal_[i] = sum;
                block_.tally(high - low + 1);
                q += step, r += step_rest;
                if (r >= hop) r -= hop, ++q;
            }
        });
    }

    // 1 / (n_fft W) of a phase of the hop, or 1 / n_fft without an overlap.
    OTO_DEVICE Real of_phase(std::int64_t phase) const {
        return layout_.overlap == nullptr ? Real(1) / Real(kFft)
                                          : reciprocal(layout_.overlap[phase]);
    }

    OTO_DEVICE Real reciprocal(double W) const {
        return W > layout_.overlap[layout_.hop] ? Real(1) / Real(W) / Real(kFft) : Real(0);
    }

    OTO_DEVICE double edge_overlap(std::int64_t n) const {
        const Real* window = static_cast<const Real*>(layout_.window);
        std::int64_t m = n / layout_.hop < layout_.frames ? n / layout_.hop : layout_.frames - 1;
        double sum = 0;
        OTO_NO_UNROLL
        for (; m >= 0 && n - m * layout_.hop < kFft; --m) {
            const double w = window[n - m * layout_.hop];
            sum += w * w;
        }
        return sum;
    }

    B& block_;
    const FrameLayout& layout_;
    decltype(std::declval<B&>().template per_thread<ThreadNumbers<Real>>()) numbers_;
    double* sums_;  // [thread]
    C* z_;          // [frame, stride]
    Real* signal_;
};

}  // namespace otoscope
