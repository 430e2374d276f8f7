// Transforms of frames by a block of threads.
//
// A thread holds eight complex numbers in registers; a block transforms as many frames at once as
// it has threads for. Frames are added to a part of the signal in shared memory, each sample by one
// thread and in the order of the frames, so results do not vary with the size of that part.
#pragma once
#include <cmath>
#include <utility>

#include "block/block.h"
#include "numeric/memory.h"
#include "stft/fft.h"
#include "stft/frame_shape.h"
#include "stft/frame_sum.h"
#include "stft/stft.h"

namespace otoscope {

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
        const std::int64_t m = early <= 0 ? 0 : ceil_div(early, layout_.hop);
        std::int64_t row = example * layout_.frames + m;
        int start = int(first - m * layout_.hop);
        for (int n = int(end - m); n > 0; n -= Shape::at_once) {
            const int n_frames = group(n), n_next = group(n - Shape::at_once);
            source.visit([&](const auto& bins) { load_bins(row, n_frames, n_next, bins); });
            inverse();
            add_frames(start, n_frames, count);
            row += Shape::at_once, start -= Shape::at_once * short_hop();
        }
    }

    // Divides the sums of overlap_add by n_fft, and by W if there is an overlap: once for each
    // phase of the hop, and then all samples of that phase. With hop 4 and 10 threads, two teams of
    // four threads share the samples: thread 5 has samples 5, 13, 21, ...
    OTO_DEVICE void normalise(std::int64_t first, int count) {
        const std::int64_t ends = layout_.frames * layout_.hop, start = first % layout_.hop;
        const int hop = short_hop(), width = hop < Shape::threads ? hop : Shape::threads;
        const int teams = Shape::threads / width, phases = hop < count ? hop : count;
        const bool has_edge =
            layout_.overlap != nullptr && (first < kFft - layout_.hop || first + count > ends);
        for_each_thread([&](int thread) {
            if (thread >= width * teams) return;
            for (int i0 = thread % width; i0 < phases; i0 += width) {
                const std::int64_t phase =
                    start + i0 < layout_.hop ? start + i0 : start + i0 - layout_.hop;
                const Real gain = layout_.overlap == nullptr ? Real(1) / Real(kFft)
                                                             : reciprocal(layout_.overlap[phase]);
                const int begin = i0 + thread / width * hop, step = teams * hop;
                if (!has_edge) {
                    OTO_UNROLL_4
                    for (int i = begin; i < count; i += step) signal_[i] *= gain;
                    continue;
                }
                for (int i = begin; i < count; i += step) {
                    const std::int64_t n = first + i;
                    const bool is_edge = n < kFft - layout_.hop || n >= ends;
                    signal_[i] *= is_edge ? reciprocal(edge_overlap(n)) : gain;
                }
            }
        });
    }

    // Transforms frames first to first + count, whose samples are y, and stores their bins.
    template <class Sink>
    OTO_DEVICE void analyse(const Real* y, std::int64_t first, int count, const Sink& sink) {
        const bool in_pairs = is_paired(y, layout_.hop);
        for (int m = 0; m < count; m += Shape::at_once) {
            const int n_frames = group(count - m);
            in_pairs ? begin_forward<2>(y + m * layout_.hop, n_frames)
                     : begin_forward<1>(y + m * layout_.hop, n_frames);
            stages<false, stage_radix(Shape::half)>();
            sink.visit([&](const auto& bins) { store_bins(first + m, n_frames, bins); });
        }
    }

    template <class Body>
    OTO_DEVICE void for_each_index(int count, const Body& body) {
        for_each_thread([&](int thread) {
            for (int i = thread; i < count; i += Shape::threads) body(i);
        });
    }

  private:
    // A thread's range is said, so that divisions by powers of two are shifts.
    template <class Phase>
    OTO_DEVICE void for_each_thread(const Phase& phase) {
        block_.for_each_thread([&](int thread) {
            OTO_ASSUME(thread >= 0 && thread < Shape::threads);
            phase(thread);
        });
    }
    OTO_DEVICE static int group(int frames) {
        return frames < Shape::at_once ? frames : Shape::at_once;
    }
    // A hop that is longer than all samples that a block sees is as one of 2^20.
    OTO_DEVICE int short_hop() const { return int(layout_.hop < 1 << 20 ? layout_.hop : 1 << 20); }
    // Number i of a frame; number i + j lanes is at [j * kNext], since lanes is a multiple of 16.
    OTO_DEVICE C* at(int frame, int i) const { return z_ + frame * Shape::stride + bank_padded(i); }
    static constexpr int kNext = bank_padded(Shape::lanes);

    OTO_DEVICE const C* twiddle(int k) const { return static_cast<const C*>(layout_.twiddles) + k; }

    // True if samples from p on, `shift` further for each frame, can be read in pairs.
    OTO_DEVICE bool is_paired(const Real* p, std::int64_t shift) const {
        const auto address = reinterpret_cast<std::uintptr_t>(p);
        const auto window = reinterpret_cast<std::uintptr_t>(layout_.window);
        return shift % 2 == 0 && (address | window) % sizeof(C) == 0;
    }

    // Threads of a frame have bins lane, lane + lanes, ... and the bins that mirror them; the one
    // in the middle is lane 0's. Pointers go along, so that offsets from them are constants.
    template <class Source>
    OTO_DEVICE void load_bins(std::int64_t first_frame, int n_frames, int n_next,
                              const Source& source) {
        constexpr int half = Shape::half, kSteps = half / 2 / Shape::lanes;
        constexpr int kLoads = Source::in_flight;
        constexpr int bins = half + 1;
        for_each_thread([&](int thread) {
            const int frame = thread / Shape::lanes, lane = thread % Shape::lanes;
            if (frame < n_frames) {
                const std::int64_t row = (first_frame + frame) * bins;
                const auto lows = source.at(row + lane), highs = source.at(row + half - lane);
                C *z_low = at(frame, lane), *z_high = at(frame, half - lane);
                const C* w = twiddle(lane);
                OTO_UNROLL
                for (int j0 = 0; j0 < kSteps; j0 += kLoads) {
                    C low[kLoads], high[kLoads];
                    OTO_UNROLL
                    for (int j = 0; j < kLoads; ++j) {
                        low[j] = lows((j0 + j) * Shape::lanes);
                        high[j] = highs(-(j0 + j) * Shape::lanes);
                    }
                    if (j0 == 0 && lane == 0) low[0].i = high[0].i = Real(0);  // are real
                    OTO_UNROLL
                    for (int j = 0; j < kLoads; ++j) {
                        C Z_low, Z_high;
                        const C factor = w[(j0 + j) * Shape::lanes];  // one load
                        bins_to_complex(low[j], high[j], &factor.r, Z_low, Z_high);
                        z_low[(j0 + j) * kNext] = Z_low;
                        if (j0 + j > 0 || lane > 0) z_high[-(j0 + j) * kNext] = Z_high;
                    }
                }
                if (lane == 0) {
                    const C middle = lows(half / 2);
                    C Z_low, Z_high;
                    bins_to_complex(middle, middle, &w[half / 2].r, Z_low, Z_high);
                    *at(frame, half / 2) = Z_high;
                }
            }
            source.at((first_frame + Shape::at_once) * bins)
                .prefetch(n_next * bins, thread, Shape::threads);
        });
    }

    template <class Sink>
    OTO_DEVICE void store_bins(std::int64_t first_frame, int n_frames, const Sink& sink) {
        constexpr int half = Shape::half, kSteps = half / 2 / Shape::lanes;
        const auto rows = sink.at(first_frame * (half + 1));
        for_each_thread([&](int thread) {
            const int frame = thread / Shape::lanes, lane = thread % Shape::lanes;
            if (frame >= n_frames) return;
            const int row = frame * (half + 1);
            const auto lows = rows.at(row + lane), highs = rows.at(row + half - lane);
            const C *z_low = at(frame, lane), *z_high = at(frame, half - lane), *w = twiddle(lane);
            double squared_error = 0;
            OTO_UNROLL
            for (int j = 0; j < kSteps; ++j) {
                C low, high;
                const C* mirrored = j == 0 && lane == 0 ? z_low : z_high - j * kNext;
                const C factor = w[j * Shape::lanes];
                complex_to_bins(z_low[j * kNext], *mirrored, &factor.r, low, high);
                const bool is_edge = j == 0 && lane == 0;
                squared_error += lows.store(j * Shape::lanes, low, is_edge);
                squared_error += highs.store(-j * Shape::lanes, high, is_edge);
            }
            if (lane == 0) {
                const C middle = *at(frame, half / 2);
                C low, high;
                complex_to_bins(middle, middle, &w[half / 2].r, low, high);
                squared_error += lows.store(half / 2, low, false);
            }
            if constexpr (Sink::has_target) sums_[thread] = squared_error;
        });
        if constexpr (Sink::has_target) {
            for (int reach = Shape::lanes / 2; reach > 0; reach /= 2)
                for_each_thread([&](int thread) {
                    if (thread % Shape::lanes < reach) sums_[thread] += sums_[thread + reach];
                });
            for_each_thread([&](int thread) {
                const int frame = thread / Shape::lanes;
                if (thread % Shape::lanes == 0 && frame < n_frames)
                    sink.squared_error[first_frame + frame] = sums_[thread];
            });
        }
    }

    // Stockham's transform, in place and in natural order: all numbers are read before any is
    // written. kDone is the product of the radices so far. A thread transforms numbers t,
    // t + half / radix, ... and writes number k of the result to
    // t / kDone * kDone * radix + t % kDone + k * kDone: with half 128, the second stage (radix 4,
    // kDone 8) takes t = 11 to 32 + 3 + 8 k. Invariant: these positions are a permutation of
    // 0 .. half - 1. Their padding is the sum of both parts': kDone is 1, 8 or a multiple of 16, so
    // that the last four bits of 32 + 3 and of 8 k add up without a carry.
    OTO_DEVICE void inverse() { stages<true, 1>(); }

    // The first stage takes its numbers, two samples each, from frames of y; kWidth samples at
    // once.
    template <int kWidth>
    OTO_DEVICE void begin_forward(const Real* y, int n_frames) {
        constexpr int radix = stage_radix(Shape::half);
        for_each_thread([&](int thread) {
            const int frame = thread / Shape::lanes, lane = thread % Shape::lanes;
            const int read = frame < n_frames ? frame : 0;  // numbers of further frames stay unused
            const Real* from = y + read * layout_.hop + 2 * lane;
            const Real* window = static_cast<const Real*>(layout_.window) + 2 * lane;
            C(&x)[kPerThread] = numbers_[thread].x;
            OTO_UNROLL
            for (int j = 0; j < kPerThread; ++j) {
                const int i = 2 * j * Shape::lanes;
                if constexpr (kWidth == 2) {
                    const C w = *reinterpret_cast<const C*>(window + i);
                    const C z = *reinterpret_cast<const C*>(from + i);
                    x[j] = {w.r * z.r / 2, w.i * z.i / 2};
                } else {
                    x[j] = {window[i] * from[i] / 2, window[i + 1] * from[i + 1] / 2};
                }
            }
            turn<false, radix, 1>(x, lane);
            write<radix, 1>(x, frame, lane);
        });
    }

    template <bool kInverse, int kDone>
    OTO_DEVICE void stages() {
        if constexpr (kDone < Shape::half) {
            constexpr int radix = stage_radix(Shape::half / kDone);
            for_each_thread([&](int thread) {
                const int frame = thread / Shape::lanes, lane = thread % Shape::lanes;
                C(&x)[kPerThread] = numbers_[thread].x;
                OTO_UNROLL
                for (int j = 0; j < kPerThread; ++j) x[j] = at(frame, lane)[j * kNext];
                turn<kInverse, radix, kDone>(x, lane);
            });
            for_each_thread([&](int thread) {
                write<radix, kDone>(numbers_[thread].x, thread / Shape::lanes,
                                    thread % Shape::lanes);
            });
            stages<kInverse, kDone * radix>();
        }
    }

    template <int radix, int kDone>
    OTO_DEVICE void write(const C (&x)[kPerThread], int frame, int lane) const {
        OTO_UNROLL
        for (int set = 0; set < kPerThread / radix; ++set) {
            const int t = lane + set * Shape::lanes;
            C* to = at(frame, t / kDone * radix * kDone + t % kDone);
            OTO_UNROLL
            for (int k = 0; k < radix; ++k)
                to[bank_padded(k * kDone)] = x[set + k * kPerThread / radix];
        }
    }

    // Multiplies by twiddle factors, and transforms; the first stage's factors are 1. One factor is
    // read and the others are its powers, each of at most two more roundings.
    template <bool kInverse, int radix, int kDone>
    OTO_DEVICE void turn(C (&x)[kPerThread], int lane) const {
        if constexpr (radix == 8) {
            if constexpr (kDone > 1) {
                C w[kPerThread];
                w[1] = *twiddle(kFft / (8 * kDone) * (lane % kDone));
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
                    const C w = *twiddle(kFft / (4 * kDone) * (t % kDone));
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

    OTO_DEVICE void add_frames(int start, int n_frames, int count) {
        const FrameSum<Real, kFft> sum{
            z_,       signal_, static_cast<const Real*>(layout_.window), layout_.hop, start,
            n_frames, count};
        for_each_thread([&](int thread) { block_.tally(sum.add(thread)); });
    }

    // 1 / (n_fft W), or 0 where no window reaches.
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
